"""The generated pages: up to date, refuse what they would spoil, and link to what is there."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ganedu.cli import app
from ganedu.grading import answers
from ganedu.teaching import contents, handbook, links

ROOT = Path(__file__).parents[2]
PAGES = ("lectures/README.md", "solutions/README.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture
def fork(tmp_path):
    """A copy of what the pages are made from."""
    for folder in ("lectures", "solutions", "labs"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    for name in ("pyproject.toml", "nbgrader_config.py", handbook.TIMES):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_pages_in_git_are_up_to_date():
    assert handbook.stale(ROOT) == [], "run: ganedu handbook"


@pytest.mark.parametrize("page", [*PAGES, "README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_that_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    local = [address.split("#")[0] for address in LINK.findall(text) if "://" not in address]
    assert [address for address in local if not ((ROOT / page).parent / address).exists()] == []


def test_a_fork_sets_one_variable_and_every_link_is_its_own(fork, monkeypatch):
    monkeypatch.chdir(fork)
    settings = fork / "pyproject.toml"
    address = 'repository = "https://github.com/ada/our-course/tree/spring"'
    settings.write_text(re.sub(r'(?m)^repository = ".*"$', address, settings.read_text()))
    assert handbook.stale(fork) == ["lectures/README.md"]
    done = CliRunner().invoke(app, ["handbook"])
    assert (done.exit_code, done.stdout) == (0, "lectures/README.md\n")
    assert handbook.stale(fork) == []

    text = (fork / "lectures/README.md").read_text(encoding="utf-8")
    found = [address for address in LINK.findall(text) if "colab" in address or "mybinder" in address]
    there = links.Home("ada", "our-course", "spring")
    paths = [path.relative_to(fork).as_posix() for path in sorted((fork / "lectures").glob("*.ipynb"))]
    paths += [path.relative_to(fork).as_posix() for path in sorted((fork / "labs").glob("*/*.ipynb"))]
    assert sorted(found) == sorted([f(path) for path in paths for f in (there.colab, there.binder)])
    assert there.requirement() in text


def test_a_new_mistake_makes_the_page_stale_and_what_is_written_by_hand_stays(fork):
    lab = contents.labs(fork)[0]
    hidden = fork / "solutions" / lab.name / "hidden" / f"{lab.exercises[0].function}.py"
    with hidden.open("a") as file:
        file.write(f"\n\n# %% wrong: a planted mistake\n\n\ndef {hidden.stem}(*given):\n    return 0\n")
    assert handbook.stale(fork) == ["solutions/README.md"]
    page = fork / "solutions/README.md"
    by_hand = handbook.PART.sub("", page.read_text())
    assert handbook.write(fork) == [page]
    assert "- a planted mistake" in page.read_text() and handbook.PART.sub("", page.read_text()) == by_hand
    assert handbook.write(fork) == []


def test_a_page_without_one_of_its_parts_is_refused():
    with pytest.raises(ValueError, match=r"page.md: its generated parts are \['a'\], expected \['a', 'b'\]"):
        handbook.replaced("page.md", "<!-- begin a -->\n<!-- end a -->", {"a": "x", "b": "y"})


def test_points_and_mistakes_of_a_lab_are_those_of_its_notebook_and_its_hidden_answers():
    for lab in contents.labs(ROOT):
        folder = ROOT / "solutions" / lab.name
        wrong, _ = answers.read(folder / "hidden")
        assert {e.function: e.wrong for e in lab.exercises if e.function} == {
            name: tuple(known) for name, known in wrong.items() if known
        }
        text = (folder / f"{lab.name}.ipynb").read_text(encoding="utf-8")
        assert sum(map(int, re.findall(r'"points": (\d+)', text))) == lab.points
        assert len(re.findall(r"### Exercise \d+", text)) == len(lab.exercises)


def test_every_lecture_says_what_it_needs_and_gives_and_has_its_lab():
    numbers = {lab.number for lab in contents.labs(ROOT)}
    for lecture in contents.lectures(ROOT):
        assert lecture.needs and lecture.afterwards and lecture.number in numbers, lecture.path


def test_a_table_keeps_a_bar_in_its_cell():
    assert handbook.table(("a", "b"), [("q(z|z')", "1")]).splitlines()[2] == r"| q(z\|z') | 1 |"


def test_times_that_were_not_measured_are_not_made_up():
    assert "not measured yet" in handbook.timing(["lectures/01_new.ipynb"], {})
