"""What a lab's `checks.py` is written with, and how a check is run on answers that are called as data."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ganedu.check import CheckFailed
from ganedu.grading.guest.named import Named
from ganedu.grading.student import Handle, Student
from ganedu.grading.verdicts import Exercise, LabSummary, Verdict

__all__ = [
    "Check",
    "Handle",
    "Lab",
    "Named",
    "Student",
    "Verdict",
    "check",
    "load",
    "rehearse",
    "run_check",
]

MESSAGE_LIMIT = 4000  # characters; one that quotes a reply is cut


class Lab(NamedTuple):
    """A lab: its folder's name, and the modules of ganedu ("ganedu.nets") that its sandbox may see.

    `packages` are the installed packages that it sees as well, by their names on PyPI, with what they
    require; None is all of them. `long` are modules that only cells tagged as long need, which may well hold
    the lab's answer: those cells run after all verdicts, in a sandbox of their own, and only if asked for.
    """

    name: str
    allow: tuple[str, ...] = ()
    packages: tuple[str, ...] | None = None
    long: tuple[str, ...] = ()


class Check(NamedTuple):
    """A hidden check: the grade_id of the test cell that it stands for, its points, and what to run."""

    grade_id: str
    points: float
    run: Callable[[Student, torch.Generator], None]

    @property
    def description(self) -> str:
        return " ".join((self.run.__doc__ or self.run.__name__.replace("_", " ")).split())


def check(grade_id: str, points: float) -> Callable[[Callable[[Student, torch.Generator], None]], Check]:
    """Make `f(student, rng)` the check of the test cell `grade_id`: all points if it returns, else none."""
    return lambda run: Check(grade_id, points, run)


def run_check(check: Check, student: Student, seed: int) -> Verdict:
    """The verdict of one check on one student; its random inputs come from `seed`."""
    try:
        check.run(student, torch.Generator().manual_seed(seed))
    except CheckFailed as failure:
        messages = (*student.messages, str(failure)[:MESSAGE_LIMIT])
        return Verdict(check.grade_id, 0.0, check.points, messages, failure.known_mistake)
    except Exception as error:
        message = "✗ this check broke down; it has been reported to your instructor"
        cause = f"{check.grade_id}: {type(error).__name__}: {error}"
        return Verdict(check.grade_id, 0.0, check.points, (*student.messages, message), None, cause)
    return Verdict(check.grade_id, check.points, check.points, tuple(student.messages))


class LabChecks(NamedTuple):
    """A lab's `checks.py`, loaded; source code of known answers is by the solution cell's grade_id."""

    lab: Lab
    checks: dict[str, Check]
    reference: dict[str, str]
    wrong: dict[str, dict[str, str]]
    right: dict[str, dict[str, str]]


def summarise(lab: LabChecks) -> LabSummary:
    """A lab's checks without their code."""
    checks = {name: Exercise(name, check.points, check.description) for name, check in lab.checks.items()}
    return LabSummary(*lab.lab, checks)


def load(path: Path) -> LabChecks:
    """Load the trusted `solutions/LAB/checks.py`. ValueError if it has no LAB or repeats a grade_id."""
    if not path.is_file():
        raise ValueError(f"checks: there is no {path}")
    name = f"ganedu_checks_{path.parent.name}"
    # As a package, so that a lab's checks may be several files: `from .reference import log_alpha`.
    folder = [str(path.parent)]
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, Check)]
    checks = {check.grade_id: check for check in found}
    if not isinstance(getattr(module, "LAB", None), Lab):
        raise ValueError(f"checks: {path} has no LAB = Lab(...)")
    if len(checks) != len(found):
        raise ValueError(f"checks: {path} has two checks for one grade_id")
    answers = (getattr(module, kind, {}) for kind in ("REFERENCE", "WRONG", "RIGHT"))
    return LabChecks(module.LAB, checks, *answers)


def rehearse(check: Check, namespace: dict[str, Any], seed: int = 0) -> Verdict:
    """Run a check in this process on functions in `namespace`: for a lab's author, on code that is trusted.

    The request and the answer cross the same wire as in grading, so what passes here is data there too.
    """
    from ganedu.grading.border import rehearsal

    with rehearsal(namespace) as ask:
        return run_check(check, Student(ask), seed)
