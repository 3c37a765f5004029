"""Rebuild a submission: the released notebook's structure with the student's answers in it.

Cells, tags and metadata come from the released notebook; the submission gives the source of each answer cell,
found by its grade_id. Code that the student added or changed elsewhere stays, in its order, as plain cells
without metadata: a helper that an answer needs is not lost, and no such cell is ever graded. Outputs are left
behind, but for those of cells that grading does not execute; they are cleaned and labelled as the student's.
"""

from __future__ import annotations

import copy
import json
import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from ganedu.grading.harmless import harmless
from ganedu.grading.outputs import Budget, Outputs, cleaned
from ganedu.grading.text import printable

SIZE_LIMIT = 32 << 20  # bytes; pictures that a student leaves in a notebook take a few
VALUE_LIMIT = 2_000_000  # strings, lists, dicts, commas; three bytes of JSON can become seventy in memory
CELL_LIMIT = 2000
SOURCES_LIMIT = 4 << 20  # characters, all cells together
LINES_LIMIT = 100_000
BLANKS = 100
RUN_OF_BLANKS = re.compile(rf"\s{{{BLANKS + 1},}}")
SOURCE_LIMIT = 1 << 20  # characters
KINDS = ("code", "markdown", "raw")
LONG = "long"  # the tag of a cell that grading does not execute
# A string, closed or not, or what else begins a value. Possessive: no file makes it go back.
VALUES = re.compile(rb'"[^"\\]*+(?:\\.?+[^"\\]*+)*+"?|[\[{,]', re.DOTALL)


class Unreadable(ValueError):
    """The submission cannot be graded; the message says why, to its student."""


class Written(NamedTuple):
    """A cell of a submission, reduced to what is used of it; outputs and attachments as they were sent."""

    kind: str
    source: str
    grade_id: str | None
    cell_id: str | None
    outputs: Any = None
    attachments: Any = None


def read(path: Path) -> bytes:
    """The bytes of a submitted notebook. Raises `Unreadable` if it is no regular file of a sane size, or if
    it or one of its two folders is a link: what lies elsewhere is somebody else's."""
    if path.parent.is_symlink() or path.parent.parent.is_symlink():
        raise Unreadable(f"the folder of {path.name} is a link, not a folder")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        others = sorted(printable(other.name) for other in path.parent.glob("*.ipynb"))
        found = f"; found {', '.join(others[:5])}" if others else ""
        raise Unreadable(f"no notebook named {path.name} was submitted{found}") from None
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be opened: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(f"{path.name} is not a file")
        if status.st_size > SIZE_LIMIT:
            sizes = f"{status.st_size >> 20} MiB, more than {SIZE_LIMIT >> 20}"
            raise Unreadable(f"{path.name} has {sizes}: clear its outputs")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(SIZE_LIMIT)
    finally:
        os.close(descriptor)


def parse(data: bytes) -> list[Written]:
    """The cells of a submitted notebook. Raises `Unreadable` for what is not a notebook of format 4.

    Takes less than 400 MiB of memory, whatever is in `data`.
    """
    if not data.strip():
        raise Unreadable("the notebook is empty: 0 bytes of content")
    if sum(1 for _ in islice(VALUES.finditer(data), VALUE_LIMIT + 1)) > VALUE_LIMIT:
        raise Unreadable(f"the notebook has more than {VALUE_LIMIT:,} values: clear its outputs")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the notebook is corrupt: not JSON ({str(error)[:80]})") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("this is not a Jupyter notebook of format 4: it has no list of cells")
    if len(cells) > CELL_LIMIT:
        raise Unreadable(f"the notebook has {len(cells)} cells, more than {CELL_LIMIT}")
    written = [_written(cell) for cell in cells if isinstance(cell, dict)]
    for what, count, limit in (
        ("characters", sum(len(cell.source) for cell in written), SOURCES_LIMIT),
        ("lines", sum(cell.source.count("\n") for cell in written), LINES_LIMIT),
    ):
        if count > limit:
            raise Unreadable(f"the cells have {count:,} {what}, more than {limit:,}")
    return written


def legible(source: str) -> str:
    """Code to show: no more than `BLANKS` white characters in a row, over which highlighters take hours."""
    return RUN_OF_BLANKS.sub(lambda run: run[0][:BLANKS], source)


def rebuild(released: NotebookNode, submitted: list[Written]) -> tuple[NotebookNode, list[str]]:
    """The notebook to run, and what was wrong with the submission's structure, in words for its student.

    The submission's own outputs, cleaned, are in the cells tagged `LONG`. Raises `Unreadable` if not one
    answer cell of the released notebook is in it.
    """
    notebook = _bare(released)
    answers = {_grade_id(cell): cell for cell in notebook.cells if _is_answer(cell)}
    if not any(cell.grade_id in answers for cell in submitted):
        empty = not any(cell.source.strip() for cell in submitted)
        raise Unreadable(
            "the notebook is empty" if empty else "another notebook: no answer cell of this lab is in it"
        )
    places = _places(released)
    remarks: list[str] = []
    taken: set[str] = set()
    found: set[int] = set()
    extra: dict[int, list[NotebookNode]] = {}
    budget = Budget()
    anchor = -1
    for written in submitted:
        place = _place(written, places)
        if place in found and _is_helper(notebook.cells[place]):
            place = None  # the released cell was here already: its copy is the student's, where it stands
        if place is not None:
            anchor = place
            found.add(place)
        home = None if place is None else notebook.cells[place]
        if home is not None and _is_answer(home) and (grade_id := _grade_id(home)) not in taken:
            taken.add(grade_id)
            _answer(home, written, budget)
            if written.kind != home.cell_type:
                remarks.append(
                    f"cell {grade_id} was turned from {home.cell_type} to {written.kind}: turned back"
                )
            continue
        if home is not None and _is_answer(home):
            remarks.append(f"cell {_grade_id(home)} is there twice: the second is kept as an ungraded cell")
        if written.kind != "code" or not written.source.strip():
            continue
        if home is not None and _is_old(written, home, released.cells[place]):
            if LONG in tags(home) and not home.outputs:
                home.outputs = cleaned(written.outputs, budget)
            continue
        added = new_code_cell(written.source)
        if home is not None and LONG in tags(home):
            added.metadata.tags, added.outputs = [LONG], cleaned(written.outputs, budget)
        extra.setdefault(anchor, []).append(added)
    remarks += [
        f"cell {name} is missing: the released one is in its place" for name in answers if name not in taken
    ]
    notebook.cells = _merged(notebook.cells, extra)
    return notebook, remarks


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def is_test(cell: NotebookNode) -> bool:
    """A cell whose points come from a check."""
    mark = cell.metadata.get("nbgrader", {})
    return bool(mark.get("grade")) and not mark.get("solution")


def is_manual(cell: NotebookNode) -> bool:
    """A cell whose points come from a human."""
    mark = cell.metadata.get("nbgrader", {})
    return bool(mark.get("grade") and mark.get("solution")) or bool(mark.get("task"))


def _answer(home: NotebookNode, written: Written, budget: Budget) -> None:
    """Put a student's answer where it belongs: code as it is, prose made harmless with the PNGs in it."""
    home.source = written.source
    if home.cell_type != "markdown":
        return
    attached = written.attachments if isinstance(written.attachments, dict) else {}
    names: dict[str, str] = {}
    pictures: dict[str, dict[str, str]] = {}
    for name, formats in attached.items():
        shown = Outputs(budget)
        shown.add("display_data", {"data": formats})
        if shown.kept and "image/png" in shown.kept[0].data:
            names[name] = f"picture-{len(names)}.png"
            pictures[names[name]] = {"image/png": shown.kept[0].data["image/png"]}
    home.source = harmless(written.source, names)
    if pictures:
        home.attachments = pictures


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _bare(released: NotebookNode) -> NotebookNode:
    notebook = copy.deepcopy(released)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _places(released: NotebookNode) -> dict[str, int]:
    """Where a cell belongs, by what identifies it: its grade_id, else its id, else the code itself."""
    places: dict[str, int] = {}
    for place, cell in enumerate(released.cells):
        names = [f"id {cell.get('id')}", f"code {_plain(cell.source)}"]
        for name in names if _grade_id(cell) is None else [f"grade_id {_grade_id(cell)}", *names]:
            places.setdefault(name, place)
    return places


def _place(written: Written, places: dict[str, int]) -> int | None:
    if written.grade_id is not None and (place := places.get(f"grade_id {written.grade_id}")) is not None:
        return place
    names = [f"id {written.cell_id}", f"code {_plain(written.source)}"]
    return next((places[name] for name in names if name in places), None)


def _is_helper(cell: NotebookNode) -> bool:
    """A cell that is not graded, and no harm to run twice."""
    return _grade_id(cell) is None and LONG not in tags(cell)


def _is_old(written: Written, home: NotebookNode, released: NotebookNode) -> bool:
    """Nothing new: code that is there already, or a test cell, whose code is never what earns points."""
    return is_test(home) or _plain(written.source) in (_plain(home.source), _plain(released.source))


def _merged(cells: list[NotebookNode], extra: dict[int, list[NotebookNode]]) -> list[NotebookNode]:
    merged = list(extra.get(-1, []))
    for place, cell in enumerate(cells):
        merged += [cell, *extra.get(place, [])]
    added = [cell for group in extra.values() for cell in group]
    for number, cell in enumerate(added):
        cell.id = f"student-{number}"
    return merged


def _written(cell: dict[str, Any]) -> Written:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    text = source if isinstance(source, str) else ""
    if len(text) > SOURCE_LIMIT:
        raise Unreadable(f"a cell has {len(text):,} characters, more than {SOURCE_LIMIT:,}")
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    metadata = cell.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    names = (mark.get("grade_id") if isinstance(mark, dict) else None, cell.get("id"))
    grade_id, cell_id = (name if isinstance(name, str) else None for name in names)
    kind = cell.get("cell_type")
    kind = kind if kind in KINDS else "an unknown kind"
    return Written(kind, text, grade_id, cell_id, cell.get("outputs"), cell.get("attachments"))


def _plain(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
