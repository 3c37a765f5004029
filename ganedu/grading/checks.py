"""What a lab's `checks.py` is written with, and how a check is run on answers that are called as data."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganedu.check import CheckFailed, compare
from ganedu.grading.guest.named import Named
from ganedu.grading.verdicts import Exercise, LabSummary, Verdict

__all__ = ["Check", "Lab", "Named", "Student", "Verdict", "check", "load", "rehearse", "run_check"]


class Lab(NamedTuple):
    """A lab: its folder's name, and the modules of ganedu ("ganedu.nets") that its sandbox may see."""

    name: str
    allow: tuple[str, ...] = ()


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


class Student:
    """A student's functions, seen from the trusted side: data goes in, data comes out."""

    def __init__(self, ask: Callable[[dict[str, Any]], Any]):
        """`ask` carries a request to the answer and returns its value; `CheckFailed` if there is none."""
        self._ask = ask
        self.messages: list[str] = []

    def call(self, function: str, /, **arguments: Any) -> Any:
        """The value of `function(**arguments)`: a tensor, number, bool, None, or containers of them.

        Raises `CheckFailed` if the function is missing, raises, hangs or returns what is not data. Non-finite
        entries come through (log 0 is an honest -inf); `close` accepts them only where they are expected.
        """
        return self._ask({"do": "call", "function": function, "arguments": arguments})

    def call_tensors(self, function: str, count: int, /, **arguments: Any) -> tuple[Tensor, ...]:
        """As `call`, for a function that returns `count` tensors; raises `CheckFailed` for anything else."""
        value = self.call(function, **arguments)
        if not isinstance(value, (tuple, list)) or len(value) != count:
            many = f"{len(value)} values" if isinstance(value, (tuple, list)) else type(value).__name__
            raise CheckFailed(f"✗ {function} returned {many}, expected {count} tensors")
        if not all(isinstance(item, Tensor) for item in value):
            kinds = ", ".join(type(item).__name__ for item in value)
            raise CheckFailed(f"✗ {function} returned {kinds}, expected {count} tensors")
        return tuple(value)

    def vjp(self, function: str, /, *, wrt: str, cotangent: Tensor, **arguments: Any) -> Tensor:
        """cotangentᵀ ∂function/∂wrt at `arguments`, by autograd through the student's function.

        Zero where the result does not depend on `wrt`. `cotangent` has the shape of the result.
        """
        request = {"do": "vjp", "function": function, "arguments": arguments, "wrt": wrt}
        return self._ask({**request, "cotangent": cotangent})

    def argument_after(self, function: str, /, *, argument: str, **arguments: Any) -> Any:
        """What `argument` is after `function(**arguments)`: as it was sent, unless that works in place."""
        return self._ask({"do": "after", "function": function, "arguments": arguments, "argument": argument})

    def close(
        self,
        what: str,
        got: Any,
        expect: Any,
        *,
        rtol: float = 1e-4,
        atol: float = 1e-5,
        wrong: Mapping[str, Any] | None = None,
        equation: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Go on if `got` equals `expect`, else end the check; `wrong` has known mistakes by their names."""
        compare(what, got, expect, rtol=rtol, atol=atol, wrong=wrong, equation=equation, hint=hint)
        self.messages.append(f"✓ {what}")

    def require(self, what: str, ok: bool, message: str, mistake: str | None = None) -> None:
        """Go on if the claim `what` holds, else end the check with `message`, naming the known `mistake`."""
        if not ok:
            named = f"\n    looks like: {mistake}" if mistake else ""
            raise CheckFailed(f"✗ {what}\n    {message}{named}", mistake)
        self.messages.append(f"✓ {what}")


def run_check(check: Check, student: Student, seed: int) -> Verdict:
    """The verdict of one check on one student; its random inputs come from `seed`."""
    try:
        check.run(student, torch.Generator().manual_seed(seed))
    except CheckFailed as failure:
        messages = (*student.messages, str(failure))
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
    return LabSummary(lab.lab.name, lab.lab.allow, getattr(lab.lab, "packages", None), checks)


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
