"""labs/ is what nbgrader makes of solutions/, and nothing that is hidden is in it."""

import ast
import re
import shutil

import pytest

from ganedu.grading import release
from tests.labs.lab import LABS, REGION, ROOT, checks, grade_id, released, source


@pytest.mark.parametrize("lab", LABS)
def test_a_fresh_release_is_the_one_in_git_byte_for_byte(lab, tmp_path):
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "solutions" / lab, tmp_path / "solutions" / lab, ignore=ignore)
    names = [path.relative_to(tmp_path) for path in release(lab, tmp_path)]
    kept = [path.relative_to(ROOT) for path in (ROOT / "labs" / lab).rglob("*") if path.is_file()]
    assert sorted(names) == sorted(kept), f"run: ganedu release {lab}"
    for name in names:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), f"run: ganedu release {lab}"


def lines(text: str) -> set[str]:
    """Lines that say something: those of 16 characters or more, without the space around them."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) >= 16}


def secrets(lab: str) -> set[str]:
    """Every line of solutions, model answers, checks and known answers that a student is not given anyway."""
    given, hidden = set(), set()
    for cell in source(lab).cells:
        given |= lines(REGION.sub("", cell.source))
        for region in REGION.findall(cell.source):
            hidden |= lines(region)
    for path in (ROOT / "solutions" / lab).rglob("*.py"):
        hidden |= lines(path.read_text(encoding="utf-8"))
    return hidden - given


def leaks(lab: str, text: str) -> set[str]:
    return {line for line in secrets(lab) if line in text}


def visible_text(lab: str) -> str:
    return "\n".join(cell.source for cell in released(lab).cells)


@pytest.mark.parametrize("lab", LABS)
def test_no_hidden_line_is_in_the_release(lab):
    assert len(secrets(lab)) > 100
    assert not leaks(lab, visible_text(lab))
    raw = (ROOT / "labs" / lab / f"{lab}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in raw and "Rubric" not in raw and "hidden/" not in raw


@pytest.mark.parametrize("lab", LABS)
def test_the_search_for_leaks_finds_a_planted_one(lab):
    for cell in source(lab).cells:
        for region in REGION.findall(cell.source):
            assert leaks(lab, visible_text(lab) + region), grade_id(cell)


@pytest.mark.parametrize("lab", LABS)
def test_the_source_notebook_keeps_no_outputs_and_names_its_cells(lab):
    cells = source(lab).cells
    assert all(not c.outputs and c.execution_count is None for c in cells if c.cell_type == "code")
    assert len({cell.id for cell in cells}) == len(cells)
    for cell in cells:
        if name := grade_id(cell):
            assert cell.id == re.sub(r"[^a-z0-9]+", "-", name), "a cell's id is made from its grade_id"
    assert [cell.id for cell in released(lab).cells] == [cell.id for cell in cells]


@pytest.mark.parametrize("lab", LABS)
def test_a_graded_cell_ends_in_a_print_and_follows_its_answer(lab):
    cells = [cell for cell in source(lab).cells if grade_id(cell)]
    for before, cell in zip(cells, cells[1:], strict=False):
        settings = cell.metadata.nbgrader
        if settings.grade and cell.cell_type == "code":
            assert grade_id(cell) == f"{grade_id(before)}_test" and before.metadata.nbgrader.solution
            last = ast.parse(cell.source).body[-1]
            assert ast.unparse(last).startswith("check.done(") and settings.locked


@pytest.mark.parametrize("lab", LABS)
def test_equations_are_numbered_in_order_and_those_referred_to_exist(lab):
    number = int(re.match(r"lab(\d+)", lab)[1])
    text = "\n".join(cell.source for cell in source(lab).cells)
    tags = re.findall(r"\\tag\{(\d+\.\d+)\}", text)
    assert tags == [f"{number}.{i}" for i in range(1, len(tags) + 1)]
    checks_py = (ROOT / "solutions" / lab / "checks.py").read_text(encoding="utf-8")
    assert set(re.findall(rf"\(({number}\.\d+)\)", text + checks_py)) <= set(tags)


@pytest.mark.parametrize("lab", LABS)
def test_the_notebook_installs_nothing_and_names_no_path(lab):
    for cell in released(lab).cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*[!%]|\bpip\b|https?://|/home/|/root/|\.\./", cell.source, re.MULTILINE)


@pytest.mark.parametrize("lab", LABS)
def test_what_runs_while_grading_imports_only_what_the_sandbox_holds(lab):
    allowed = {"ganedu.check", *checks(lab).lab.allow}
    for cell in released(lab).cells:
        if cell.cell_type != "code" or "long" in cell.metadata.get("tags", []):
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "ganedu":
                names = (
                    {node.module}
                    if node.module in allowed
                    else {f"{node.module}.{a.name}" for a in node.names}
                )
                assert names <= allowed
            if isinstance(node, ast.Import):
                assert all(a.name.split(".")[0] != "ganedu" or a.name in allowed for a in node.names)
