"""What a run of the grader was asked to do, kept while it runs: one that is cut short can be taken up."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ganedu.grading.results import write
from ganedu.grading.secret import FOLDER


class Choice(NamedTuple):
    """Which students, None for all, and how: it is what decides the gradebook that a run ends with."""

    students: list[str] | None = None
    unsandboxed: bool = False
    execute_all: bool = False


def interrupted(root: Path, lab: str) -> Choice | None:
    """What the last run of `lab` was asked to do, if it did not end."""
    try:
        return Choice(**json.loads(_path(root, lab).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def kept(root: Path, lab: str, choice: Choice) -> Iterator[None]:
    """Keep `choice` until the block has ended well."""
    path = _path(root, lab)
    path.parent.mkdir(exist_ok=True)
    write(path, json.dumps(choice._asdict()))
    yield
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One grader a course, or ValueError: the lock goes with the process that holds it."""
    with (root / FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"root: {root} is being graded already; wait for that run, or end it") from None
        yield


def _path(root: Path, lab: str) -> Path:
    return root / FOLDER / "runs" / f"{lab}.json"
