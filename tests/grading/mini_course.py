"""A course of one tiny lab, written to disk: functions that double, one that differentiates, one question."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[2]
LAB = "mini"

DOUBLE = '''def NAME(x):
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


@check("slope_test", points=2)
def slopes(student, rng):
    """slope(x, f) is the gradient of f."""
    x = torch.randn(4, 3, generator=rng)
    weight = torch.randn(3, generator=rng)
    f = Named("linear_logit", weight=weight, bias=0.5)
    expect = weight.expand(4, 3)
    student.close("gradient", student.call("slope", x=x, f=f), expect, wrong={"sign": -expect})


REFERENCE = {
    "double": "def double(x):\\n    return 2 * x\\n",
    "slope": "def slope(x, f):\\n    x = x.clone().requires_grad_()\\n"
    "    return torch.autograd.grad(f(x).sum(), x)[0]\\n",
}
'''
DOUBLE_CHECK = '''

@check("NAME_test", points=2)
def check_NAME(student, rng):
    """NAME(x) is 2x; equation (0.1)."""
    x = torch.randn(7, generator=rng)
    got = student.call("NAME", x=x)
    student.close("2x", got, 2 * x, wrong={"squared": x**2}, equation="(0.1)", hint="2 times x")
'''


def write_course(root: Path, doubles: Iterable[str] = ("double",)) -> Path:
    """A course in `root`: settings, source notebook and checks; not released."""
    source = root / "solutions" / LAB
    (source / "hidden").mkdir(parents=True)
    cells = [new_markdown_cell("# A tiny lab", id="title"), new_code_cell("import torch", id="imports")]
    for name in doubles:
        cells += exercise(name, DOUBLE.replace("NAME", name))
    cells += exercise("slope", SLOPE)
    hour = "raise RuntimeError('this cell takes an hour')"
    cells += [new_code_cell(hour, id="hour", metadata={"tags": ["long"]}), question("question", points=3)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, source / f"{LAB}.ipynb")
    (source / "checks.py").write_text(CHECKS + "".join(DOUBLE_CHECK.replace("NAME", n) for n in doubles))
    (source / "hidden" / "answers.py").write_text("SECRET = 'not for students'\n")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


def exercise(name: str, source: str) -> list[NotebookNode]:
    """An answer cell and its test cell of 2 points."""
    mark = {"schema_version": 3, "task": False}
    answer = mark | {"grade": False, "grade_id": name, "locked": False, "solution": True}
    test = mark | {"grade": True, "grade_id": f"{name}_test", "locked": True, "solution": False, "points": 2}
    said = "print('Checked when you submit.')"
    name = name.replace("_", "-")
    return [
        new_code_cell(source, id=name, metadata={"nbgrader": answer}),
        new_code_cell(said, id=f"{name}-test", metadata={"nbgrader": test}),
    ]


def question(name: str, points: int) -> NotebookNode:
    mark = {"grade": True, "grade_id": name, "locked": False, "solution": True, "points": points}
    return new_markdown_cell(
        "Because.", id=name, metadata={"nbgrader": mark | {"schema_version": 3, "task": False}}
    )


def released(root: Path) -> NotebookNode:
    return nbformat.read(root / "labs" / LAB / f"{LAB}.ipynb", as_version=4)


def submit(root: Path, student: str, notebook: NotebookNode | bytes) -> Path:
    """Put a notebook where submissions lie."""
    path = root / "submitted" / student / LAB / f"{LAB}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(notebook if isinstance(notebook, bytes) else nbformat.writes(notebook).encode())
    return path
