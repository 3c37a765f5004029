"""The lectures, and what the tests say about their equations."""

import ast
import re
import tempfile
from functools import cache
from pathlib import Path

import nbformat

from ganedu.teaching.slides import run

ROOT = Path(__file__).parents[2]
LECTURES = sorted(path.stem for path in (ROOT / "lectures").glob("*.ipynb"))
TAG = re.compile(r"\\tag\{(L\d+\.\d+)\}")
REFERENCE = re.compile(r"\((L\d+\.\d+)\)")


@cache
def notebook(lecture: str) -> nbformat.NotebookNode:
    """Not to be changed: everybody gets the same one."""
    return nbformat.read(ROOT / "lectures" / f"{lecture}.ipynb", as_version=4)


@cache
def executed(lecture: str) -> nbformat.NotebookNode:
    """With the outputs of a fresh kernel; run once for all tests that look at it, and not to be changed."""
    with tempfile.TemporaryDirectory() as folder:
        return run(notebook(lecture), Path(folder))


def text(lecture: str) -> str:
    """All prose of a lecture."""
    return "\n".join(cell.source for cell in notebook(lecture).cells if cell.cell_type == "markdown")


def number(lecture: str) -> int:
    return int(lecture.split("_")[0])


def numbers_tested(lecture: str) -> list[str]:
    """Every number that a test in ``test_lectureNN.py`` is marked with, by ``@pytest.mark.equation``."""
    path = Path(__file__).with_name(f"test_lecture{number(lecture):02}.py")
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found += [
                ast.literal_eval(argument)
                for mark in node.decorator_list
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.equation"
                for argument in mark.args
            ]
    return found
