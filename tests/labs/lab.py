"""What the tests of labs share: where labs are, and a lab's source, checks and release."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ganedu.grading.checks import LabChecks, load

ROOT = Path(__file__).parents[2]
LABS = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/checks.py"))
REGION = re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)


def source(lab: str) -> NotebookNode:
    return nbformat.read(ROOT / "solutions" / lab / f"{lab}.ipynb", as_version=4)


def released(lab: str) -> NotebookNode:
    return nbformat.read(ROOT / "labs" / lab / f"{lab}.ipynb", as_version=4)


@cache
def checks(lab: str) -> LabChecks:
    return load(ROOT / "solutions" / lab / "checks.py")


def grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def code(lab: str) -> dict[str, str]:
    """The source of every named cell of code in the notebook with solutions, by grade_id."""
    return {grade_id(c): c.source for c in source(lab).cells if c.cell_type == "code" and grade_id(c)}


def functions(lab: str) -> list[str]:
    """The grade_ids of the solution cells that a check exists for."""
    return [name for name in checks(lab).reference if f"{name}_test" in checks(lab).checks]


def submission(lab: str, answers: dict[str, str]) -> str:
    """The released notebook with `answers` in its solution cells, as a student would hand it in."""
    notebook = released(lab)
    for cell in notebook.cells:
        if grade_id(cell) in answers:
            cell.source = answers[grade_id(cell)]
    return nbformat.writes(notebook)
