"""What grading found, one file a submission, beside nbgrader's gradebook: what reports are made from."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ganedu.grading.verdicts import Verdict

FORMAT = 1
NAME_LIMIT = 200  # bytes; a draft's name is longer than its file's


@dataclass(frozen=True)
class Result:
    """One student's line. `score` and `max_score` are automatic points only; `error` is None or one line.

    Each of `checks` has grade_id, points, max_points, messages, known_mistake. `submission` is the SHA-256 of
    the submitted notebook, empty where there was none to read; `outcome` names the record of its examination.
    """

    student: str
    lab: str
    score: float
    max_score: float
    manual_score: float
    manual_max: float
    seconds: float
    sandboxed: bool
    error: str | None = None
    submission: str = ""
    outcome: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)


def as_check(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is kept: plain JSON."""
    kept = verdict._asdict()
    kept["messages"] = list(verdict.messages)
    del kept["error"]
    return kept


def folder(root: Path, lab: str) -> Path:
    return root / ".ganedu" / "results" / lab


def path(root: Path, lab: str, student: str) -> Path:
    """Where a student's record lies: under their name, or under its hash where no file can have that name."""
    name = os.fsencode(student)
    usual = len(name) <= NAME_LIMIT and student.isprintable()
    return folder(root, lab) / f"{student if usual else hashlib.sha256(name).hexdigest()}.json"


def save(root: Path, result: Result) -> None:
    """Write the record of `result`, whole or not at all."""
    target = path(root, result.lab, result.student)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, json.dumps({"format": FORMAT, **asdict(result)}, indent=1) + "\n")


def load_all(root: Path, lab: str) -> list[Result]:
    """The records of a lab, by student. Raises ValueError for one that is of another format."""
    found = [load(path) for path in folder(root, lab).glob("*.json")]
    return sorted(found, key=lambda result: result.student)


def find(root: Path, lab: str, student: str) -> Result | None:
    """A student's record, or None where there is none that can be read."""
    try:
        return load(path(root, lab, student))
    except (OSError, ValueError, TypeError):
        return None


def load(path: Path) -> Result:
    """One record. Raises ValueError where it is of another format."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept.pop("format", None) != FORMAT:
        raise ValueError(f"results: {path} is not of format {FORMAT}; grade {path.parent.name} again")
    return Result(**kept)


def write(path: Path, text: str) -> None:
    """Write `text` beside its name, then rename it into place: whole or not at all, on a full disk too."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove the drafts in `folder` and below that a run left which was killed while it wrote."""
    for draft in folder.rglob(".*.part"):
        draft.unlink(missing_ok=True)
