"""Slides: they show what they should, refer to nothing on the network, and what they refer to is there."""

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from ganedu.cli import app
from ganedu.teaching import slides
from tests.teaching.written import PIXEL, lecture, written

ROOT = Path(__file__).parents[2]
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}


class Loads(HTMLParser):
    """What a page loads by itself; a link that a reader may click is no such thing."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[str] = re.findall(r"@import\s*[\"']([^\"']+)|url\(\s*[\"']?([^\"')]+)", page)
        self.found = [one or other for one, other in self.found]
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if value := attributes.get(LOADING.get(tag, "")):
            self.found.append(value)

    def missing(self, folder: Path) -> list[str]:
        """What is neither in the page itself nor a file beside it."""
        local = [address for address in self.found if not address.startswith(("data:", "#"))]
        return [address for address in local if not (folder / address.split("?")[0]).is_file()]


def test_a_page_refers_to_files_beside_it_and_to_nothing_else(tmp_path):
    page = written(lecture(), tmp_path).read_text()
    loads = Loads(page)
    assert len([name for name in loads.found if name.startswith(("reveal.js/", "mathjax/"))]) == 5
    assert loads.missing(tmp_path) == []
    for path in tmp_path.rglob("*.css"):
        assert Loads(path.read_text()).missing(path.parent) == [], path
    assert "import mermaid" not in page and "require" not in page.replace("required", "")


def test_what_is_fetched_would_be_seen(tmp_path):
    remote = "![](https://example.org/a.png)"
    assert Loads(written(lecture(remote), tmp_path).read_text()).missing(tmp_path) == [
        "https://example.org/a.png"
    ]
    assert Loads("<style>@import 'b.css'; a { background: url(c.png) }</style>").missing(tmp_path) == [
        "b.css",
        "c.png",
    ]


def test_demos_are_pictures_and_what_is_for_the_lecturer_is_no_slide(tmp_path):
    page = written(lecture("## The end"), tmp_path).read_text()
    body = page[page.index("<body") :]
    assert PIXEL in body and "Panel(children" not in body and "HBox(children" not in body
    assert "12/12" not in body and "Read this at home" not in body
    assert re.search(r'<aside class="notes">.*Ask what they expect\..*</aside>', body, re.DOTALL)
    assert body.count("<section") == 2 + 3
    assert "\\tag{L0.1}" in body and "¶" not in body


def test_a_lecture_is_found_by_its_number_or_name_and_what_is_not_is_said(tmp_path):
    (tmp_path / "lectures").mkdir()
    for name in ("08_chains", "10_gans"):
        (tmp_path / "lectures" / f"{name}.ipynb").touch()
    for name in ("8", "08", "08_chains"):
        assert slides.find(name, tmp_path).stem == "08_chains"
    with pytest.raises(ValueError, match="no '1'; known: 08_chains, 10_gans"):
        slides.find("1", tmp_path)


def test_a_package_that_is_missing_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"sphinx-revealjs is not installed; run: pip install .*\[slides\]"):
        slides.copy_assets(tmp_path)


@pytest.mark.slow
def test_the_command_runs_a_lecture_and_names_the_cell_that_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lectures").mkdir()
    (tmp_path / "nbgrader_config.py").touch()
    for name, source in (("01_good", "print(6 * 7)"), ("02_bad", "1 / 0")):
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = new_notebook(cells=[new_code_cell(source, id="sum")], metadata=metadata)
        nbformat.write(notebook, tmp_path / "lectures" / f"{name}.ipynb")
    done = CliRunner().invoke(app, ["slides", "1", "--out", "talk"])
    assert done.exit_code == 0 and done.stdout == "talk/01_good.html\n"
    assert "42" in (tmp_path / "talk" / "01_good.html").read_text()
    failed = CliRunner().invoke(app, ["slides", "02"])
    assert failed.exit_code == 2
    assert "ganedu: cell sum: ZeroDivisionError: division by zero" in failed.stderr
