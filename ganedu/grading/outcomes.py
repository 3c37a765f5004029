"""What a submission earned, kept under a name that says all it depends on: nothing is examined twice.

A record lies in `.ganedu/outcomes/LAB/KEY.json`. Its key is a hash of the submission, the lab's checks and
released notebook, the course's secret, the limits, and the versions of what runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from ganedu.grading import results
from ganedu.grading.examine import Outcome, Setup
from ganedu.grading.fingerprint import environment, of_folder
from ganedu.grading.secret import FOLDER
from ganedu.grading.verdicts import Verdict

FORMAT = 1


class Record(NamedTuple):
    """An `Outcome` as plain JSON."""

    notebook: dict[str, Any]
    verdicts: list[dict[str, Any]]
    problems: list[str]
    seconds: float
    deaths: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether a kernel or a check ended in the middle: that may have come from outside, so look twice."""
        return self.deaths > 0 or self.broken

    @property
    def broken(self) -> bool:
        """Whether a check broke down: what it gave is nobody's verdict."""
        return any(verdict["error"] for verdict in self.verdicts)


def as_record(outcome: Outcome) -> Record:
    verdicts = [verdict._asdict() for verdict in outcome.verdicts]
    return Record(outcome.notebook, verdicts, outcome.problems, outcome.seconds, outcome.deaths)


def as_outcome(record: Record) -> Outcome:
    verdicts = [Verdict(**{**fields, "messages": tuple(fields["messages"])}) for fields in record.verdicts]
    notebook: NotebookNode = nbformat.from_dict(record.notebook)
    return Outcome(notebook, verdicts, list(record.problems), record.seconds, record.deaths)


def points(record: Record) -> float:
    """All points of a record."""
    return sum(verdict["points"] for verdict in record.verdicts)


def conditions(lab: Path, secret: bytes, setup: Setup) -> str:
    """A hash of all that verdicts depend on besides the submission; `lab` is its folder of solutions."""
    released, how = Path(setup.released), setup._replace(checks="", released="")
    parts = [f"format {FORMAT}", hashlib.sha256(secret).hexdigest(), repr(how), *environment()]
    parts += [of_folder(lab), hashlib.sha256(released.read_bytes()).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def key(conditions: str, data: bytes) -> str:
    """The name of the record of the submission `data`."""
    return hashlib.sha256(f"{conditions} {hashlib.sha256(data).hexdigest()}".encode()).hexdigest()[:40]


def path(root: Path, lab: str, key: str) -> Path:
    return root / FOLDER / "outcomes" / lab / f"{key}.json"


def save(root: Path, lab: str, key: str, record: Record) -> None:
    """Keep a record, whole or not at all."""
    target = path(root, lab, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    results.write(target, json.dumps(record._asdict()))


def load(root: Path, lab: str, key: str) -> Record | None:
    """The record, or None where there is none that can be read."""
    try:
        return Record(**json.loads(path(root, lab, key).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def forget(root: Path, lab: str, keys: Iterable[str]) -> None:
    """Remove records: their submissions are examined again."""
    for name in keys:
        path(root, lab, name).unlink(missing_ok=True)
