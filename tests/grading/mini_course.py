"""A course of one tiny lab, written to disk: two graded functions and one question in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[2]
LAB = "mini"

DOUBLE = '''def double(x):
    """2x, elementwise. x: (n,) -> (n,)"""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
'''
SLOPE = '''def slope(x, f):
    """Gradient of the sum of f at x. x: (n, d) -> (n, d)"""
    ### BEGIN SOLUTION
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]
    ### END SOLUTION
'''

CHECKS = '''"""Hidden checks of the tiny lab."""

import torch

from ganedu.grading.checks import Lab, Named, check

LAB = Lab("mini", allow=("ganedu.rng",))


@check("double_test", points=2)
def doubles(student, rng):
    """double(x) is 2x; equation (0.1)."""
    x = torch.randn(7, generator=rng)
    student.close("2x", student.call("double", x=x), 2 * x, wrong={"squared": x**2},
                  equation="(0.1)", hint="2 times x")


@check("slope_test", points=2)
def slopes(student, rng):
    """slope(x, f) is the gradient of f."""
    x = torch.randn(4, 3, generator=rng)
    weight = torch.randn(3, generator=rng)
    f = Named("linear_logit", weight=weight, bias=0.5)
    gradient = weight.expand(4, 3)
    student.close("gradient", student.call("slope", x=x, f=f), gradient, wrong={"sign": -gradient})


REFERENCE = {
    "double": "def double(x):\\n    return 2 * x\\n",
    "slope": "def slope(x, f):\\n    x = x.clone().requires_grad_()\\n"
    "    return torch.autograd.grad(f(x).sum(), x)[0]\\n",
}
WRONG = {
    "double": {"squared": "def double(x):\\n    return x**2\\n"},
    "slope": {"sign": "def slope(x, f):\\n    x = x.clone().requires_grad_()\\n"
              "    return -torch.autograd.grad(f(x).sum(), x)[0]\\n"},
}
RIGHT = {"double": {"sum": "def double(x):\\n    return x + x\\n"}}
'''


def write_course(root: Path) -> Path:
    """A course in `root`: settings, source notebook and checks; not released."""
    source = root / "solutions" / LAB
    (source / "hidden").mkdir(parents=True)
    nbformat.write(source_notebook(), source / f"{LAB}.ipynb")
    (source / "checks.py").write_text(CHECKS)
    (source / "hidden" / "answers.py").write_text("SECRET = 'not for students'\n")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


def source_notebook() -> NotebookNode:
    cells = [
        new_markdown_cell("# A tiny lab", id="title"),
        new_code_cell("import torch", id="imports"),
        code("double", DOUBLE, solution=True),
        code("double_test", "print('Checked when you submit.')", points=2),
        code("slope", SLOPE, solution=True),
        code("slope_test", "print('Checked when you submit.')", points=2),
        new_code_cell(
            "raise RuntimeError('this cell takes an hour')", id="hour", metadata={"tags": ["long"]}
        ),
        answer("question", "Because.", points=3),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def code(grade_id: str, source: str, *, solution: bool = False, points: int | None = None) -> NotebookNode:
    mark = {"grade": points is not None, "grade_id": grade_id, "locked": not solution, "solution": solution}
    mark |= {"schema_version": 3, "task": False} | ({} if points is None else {"points": points})
    return new_code_cell(source, id=grade_id.replace("_", "-"), metadata={"nbgrader": mark})


def answer(grade_id: str, source: str, points: int) -> NotebookNode:
    mark = {"grade": True, "grade_id": grade_id, "locked": False, "solution": True, "points": points}
    return new_markdown_cell(
        source, id=grade_id, metadata={"nbgrader": mark | {"schema_version": 3, "task": False}}
    )


def submit(root: Path, student: str, notebook: NotebookNode | bytes) -> Path:
    """Put a notebook where students' submissions lie."""
    path = root / "submitted" / student / LAB / f"{LAB}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook if isinstance(notebook, bytes) else nbformat.writes(notebook).encode())
    return path


def answered(root: Path, **answers: str) -> NotebookNode:
    """The released notebook with the source of some answer cells replaced, by grade_id."""
    notebook = nbformat.read(root / "labs" / LAB / f"{LAB}.ipynb", as_version=4)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in answers:
            cell.source = answers[grade_id]
    return notebook
