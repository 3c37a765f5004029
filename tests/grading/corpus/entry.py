"""What an entry of the corpus is, and how it is written down as a submission of the tiny lab."""

from __future__ import annotations

import copy
import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from ganedu.grading.sandbox import DEFAULTS, Limits
from tests.grading.mini_course import LAB

POINTS = 2.0  # of each function
# For what ends by a limit of time alone: it is cut short soon, and what works gets the usual, long limits,
# for on a slow machine an import alone takes seconds.
HANGS = Limits(cell=5, check=5, notebook=120)
FUNCTIONS = ("double", "honest", "slope")
NOTEBOOK = f"{LAB}.ipynb"
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "honest": "def honest(x):\n    return x + x",
    "slope": """def slope(x, f):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]""",
}
ECHO = "def slope(x, f):\n    return x"


class Link(NamedTuple):
    """A symbolic link where a file is expected; relative to the folder that it lies in."""

    target: str


class Special(NamedTuple):
    """What is no regular file: "fifo" or "folder"."""

    kind: str


Content = bytes | Link | Special
Build = Callable[[NotebookNode], dict[str, Content]]


class Entry(NamedTuple):
    """A submission: what it tries, its files as made from the released notebook, and what it deserves.

    `deserves` names the functions that it answers rightly; every other point that it gets is undeserved.
    Where `spoils`, the sabotage may cost those too, which is its own loss. `student` is the name of its
    folder where that is part of the trick. `ours` says why other graders are not given the entry. `limits`
    are those that it is graded with.
    """

    name: str
    tries: str
    build: Build
    deserves: tuple[str, ...] = ()
    spoils: bool = False
    student: str | None = None
    ours: str = ""
    limits: Limits = DEFAULTS

    @property
    def score(self) -> float:
        return POINTS * len(self.deserves)


def answered(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """A copy of the released notebook with `answers`, source by grade_id."""
    notebook = copy.deepcopy(released)
    for name, source in answers.items():
        notebook.cells[place(notebook, name)].source = source.strip("\n")
    return notebook


def place(notebook: NotebookNode, grade_id: str) -> int:
    """Where the cell `grade_id` is."""
    names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    return names.index(grade_id)


def files(notebook: NotebookNode) -> dict[str, Content]:
    """As JSON, and not by nbformat, which refuses or mends much of what is wrong on purpose."""
    return {NOTEBOOK: json.dumps(notebook).encode()}


def attack(
    name: str,
    tries: str,
    source: str,
    *,
    slope: str = ECHO,
    before: Iterable[str] = (),
    deserves: tuple[str, ...] = ("honest",),
    spoils: bool = False,
    ours: str = "",
    limits: Limits = DEFAULTS,
) -> Entry:
    """An attack by `source` in the place of `double` and `slope` in its own, after cells `before`."""

    def build(released: NotebookNode) -> dict[str, Content]:
        notebook = answered(released, RIGHT | {"double": source, "slope": slope})
        first = place(notebook, "double")
        notebook.cells[first:first] = [
            new_code_cell(text.strip("\n"), id=f"extra-{i}") for i, text in enumerate(before)
        ]
        return files(notebook)

    return Entry(name, tries, build, deserves, spoils, None, ours, limits)


def edited(
    name: str,
    tries: str,
    edit: Callable[[NotebookNode], Any],
    *,
    deserves: tuple[str, ...] = ("honest",),
    **fields: Any,
) -> Entry:
    """A notebook with wrong answers (`honest` is right) that `edit` changes in place, or returns as bytes."""

    def build(released: NotebookNode) -> dict[str, Content]:
        wrong = {"double": "def double(x):\n    return x", "slope": ECHO}
        notebook = answered(released, RIGHT | wrong)
        made = edit(notebook)
        return {NOTEBOOK: made} if isinstance(made, bytes) else files(notebook)

    return Entry(name, tries, build, deserves, **fields)


def write(root: Path, student: str, content: dict[str, Content]) -> Path:
    """Put the files of a submission where submissions lie; returns their folder."""
    folder = root / "submitted" / student / LAB
    folder.mkdir(parents=True)
    for name, value in content.items():
        path = folder / name
        match value:
            case Link(target):
                path.symlink_to(target)
            case Special("fifo"):
                os.mkfifo(path)
            case Special("folder"):
                path.mkdir()
            case bytes():
                path.write_bytes(value)
                path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    return folder
