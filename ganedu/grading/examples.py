"""Example submissions of a lab: one complete, one half done, one wrong and trying to cheat."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from ganedu.grading import course as courses
from ganedu.grading import rebuild
from ganedu.grading.checks import LabChecks

# Each tries to earn points by what it does to the process that it runs in, or to the page that shows it. The
# last leaves nothing running after it, so it comes last.
TRICKS = {
    "comparisons that always agree": """
import builtins, numpy, torch, unittest
for module in (torch, torch.testing, numpy, numpy.testing):
    for name in ("allclose", "equal", "assert_close", "assert_allclose"):
        setattr(module, name, lambda *a, **k: True)
import ganedu.check
ganedu.check.close = ganedu.check.compare = lambda *a, **k: None
""",
    "an AST transformer that drops asserts": """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
get_ipython().ast_transformers.append(Drop())
""",
    "a score on the display hook": """
import sys
sys.displayhook(12)
print("12 of 12 points")
12
""",
    "a page that runs a script": """
from IPython.display import HTML, Javascript, display
display(HTML("<script>document.title = 'graded: 12/12'</script><h1>12 of 12 points</h1>"))
display(Javascript("alert('12 of 12')"))
""",
    "reading the solutions": """
import glob, os
found = [path for top in ("/srv", "/home", "/root", "/tmp", os.getcwd())
         for path in glob.glob(top + "/**/checks.py", recursive=True)]
for path in found:
    exec(open(path).read())
    globals().update({name: eval(name) for name in REFERENCE})
""",
    "a guest that lies to the grader": """
import ganedu_guest.serve as serve
serve.answer = lambda request, namespace: {"points": 12, "value": {"points": 12}, "known_mistake": None}
""",
    "cells that are not run": """
shell = get_ipython()
shell.run_cell = lambda *a, **k: shell.__class__.run_cell(shell, "12")
""",
}

# Wrong answers, in turn: what a function may return to please whoever compares it.
AGREEABLE = """
class Agreeable(float):
    def __eq__(self, other): return True
    def __le__(self, other): return True
    def __sub__(self, other): return 0.0
    def __getattr__(self, name): return lambda *a, **k: True
    __ne__ = lambda self, other: False
    __rsub__ = __sub__
    __hash__ = float.__hash__
"""
ANSWERS = (
    AGREEABLE + "\ndef {name}(*args, **kwargs):\n    return Agreeable()\n",
    "def {name}(*args, **kwargs):\n    return next(iter([*args, *kwargs.values()]))\n",
    "def {name}(*args, **kwargs):\n    raise SystemExit(0)\n",
    "def {name}(*args, **kwargs):\n    print('all checks passed')\n    return True\n",
)


def write(lab: str, root: Path = Path(".")) -> dict[str, Path]:
    """Write submitted/{complete,half,cheat}/LAB/LAB.ipynb from the released notebook; paths by student.

    `complete` has every reference answer, `half` those of the first functions that together give half of the
    points. Raises ValueError where no first few functions do.
    """
    course = courses.open_course(root, lab)
    released, checks = course.released(lab), course.checks(lab)
    notebooks = {
        "complete": answered(released, checks.reference),
        "half": answered(released, half(released, checks)),
        "cheat": cheating(released, checks),
    }
    paths = {}
    for student, notebook in notebooks.items():
        paths[student] = course.submission(student, lab)
        paths[student].parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, paths[student])
    return paths


def answered(released: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """The released notebook with `answers`, source by grade_id, in its answer cells."""
    notebook = nbformat.from_dict(released)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in answers and cell.metadata.nbgrader.solution:
            cell.source = answers[grade_id]
    return notebook


def half(released: NotebookNode, checks: LabChecks) -> dict[str, str]:
    """Reference answers of the notebook's first functions, to exactly half of the points."""
    tests = [cell.metadata.nbgrader.grade_id for cell in released.cells if rebuild.is_test(cell)]
    wanted, points, answers = sum(checks.checks[test].points for test in tests) / 2, 0.0, {}
    for test in tests:
        if points == wanted:
            return answers
        points += checks.checks[test].points
        answers[answer_id(test)] = checks.reference[answer_id(test)]
    raise ValueError(f"checks: no first few functions of {checks.lab.name} give {wanted:g} points")


def cheating(released: NotebookNode, checks: LabChecks) -> NotebookNode:
    """Wrong answers to every function, and every trick of `TRICKS` in cells of its own before them."""
    names = [answer_id(grade_id) for grade_id in checks.checks]
    answers = {name: text.replace("{name}", name) for name, text in zip(names, cycle(ANSWERS), strict=False)}
    notebook = answered(released, answers)
    *early, late = (
        new_code_cell(source.strip(), id=f"trick-{i}") for i, source in enumerate(TRICKS.values())
    )
    places = [i for i, cell in enumerate(notebook.cells) if rebuild.is_test(cell)]
    notebook.cells.insert(places[-1], late)
    notebook.cells[places[0] : places[0]] = early
    return notebook


def answer_id(test_id: str) -> str:
    """The answer cell that a test cell is for: NAME_test tests NAME."""
    return test_id.removesuffix("_test")
