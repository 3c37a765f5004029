"""A course that looks graded, without a kernel: what the pages and exports of an instructor are made from."""

from __future__ import annotations

import base64
import copy
import io
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import Gradebook
from PIL import Image

from ganedu.grading import rebuild, results
from ganedu.grading.results import Result
from tests.grading.mini_course import LAB, released

MOST = {"double_test": 2.0, "slope_test": 2.0}


def result(student: str, points: dict[str, float] | None = None, **changes) -> Result:
    """A record; a lost check matches the known mistake "squared"."""
    points = MOST | (points or {})
    checks = []
    for name, most in MOST.items():
        lost = points[name] < most
        messages = ["✓ 2x"] if not lost else ["✓ shape", "✗ 2x\n    got       [1]\n    looks like: squared"]
        mistake = {"messages": messages, "known_mistake": "squared" if lost else None}
        checks.append({"grade_id": name, "points": points[name], "max_points": most, **mistake})
    score = sum(points.values())
    line = {"score": score, "max_score": 4.0, "manual_score": 0.0, "manual_max": 3.0, "seconds": 1.0}
    line |= {"sandboxed": True, "submission": "ab" * 32, "checks": checks}
    return Result(student=student, lab=LAB, **{**line, **changes})


def picture() -> str:
    data = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def notebook(root: Path, answers: dict[str, str], points: dict[str, float] | None = None) -> NotebookNode:
    """The released notebook with answers, and with points as nbgrader reads them."""
    made = copy.deepcopy(released(root))
    for cell in made.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
        if rebuild.is_test(cell):
            number = {"text/plain": f"{(MOST | (points or {}))[name]:g}"}
            words = new_output("stream", text="what is checked\n✓ 2x\n2 of 2 points\n")
            cell.outputs = [words, new_output("execute_result", data=number)]
    return made


def record(root: Path, made: Result, autograded: NotebookNode | None = None) -> None:
    """Put a result, its notebook and its row in the gradebook where grading puts them."""
    results.save(root, made)
    if autograded is not None:
        path = root / "autograded" / made.student / LAB / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(autograded, path)
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        gradebook.update_or_create_student(made.student)
        submission = gradebook.update_or_create_submission(LAB, made.student)
        points = {check["grade_id"]: check["points"] for check in made.checks}
        for grade in submission.notebooks[0].grades:
            grade.auto_score = points.get(grade.name)
        gradebook.db.commit()


def by_hand(root: Path, student: str, cell: str, points: float, comment: str | None = None) -> None:
    """What a human gives in formgrader."""
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        gradebook.find_grade(cell, LAB, LAB, student).manual_score = points
        if comment:
            gradebook.find_comment(cell, LAB, LAB, student).manual_comment = comment
        gradebook.db.commit()
