"""A handle on the trusted process that forms verdicts, `ganedu.grading.judge`.

It runs apart from the grader so that a check that breaks or never ends takes nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from ganedu.grading.verdicts import LabSummary, Verdict

START = 900.0  # seconds to load a lab's checks, on a machine that has much else to do
JUDGING = 120.0  # seconds beyond a check's own time for its verdict, which a busy machine must not cost
OVER = {"over": True}  # the guest has ended: who has not connected will not


class CheckerFailed(RuntimeError):
    """The checker broke down or did not end in time: a fault of the checks, not of the student."""


class Checker:
    """A handle on a checker process, started when it is first needed and again after it failed."""

    def __init__(self, path: Path, summary: LabSummary | None = None):
        """Of the checks at `path`; a `summary` that is known already spares waiting for them to load."""
        self.path = path
        self._summary = summary
        self._process: subprocess.Popen | None = None
        self._loaded = False

    def summary(self) -> LabSummary:
        """What the lab's checks are. Raises ValueError where they cannot be loaded."""
        if self._summary is None:
            self._load()
        return self._summary

    def start(self) -> None:
        """Start the process, which loads the checks while others are busy."""
        if self._process is None:
            program = [sys.executable, "-m", "ganedu.grading.judge", str(self.path)]
            self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._loaded = False
            _without_limit(self._process.pid)

    def ready(self) -> None:
        """Wait until the checks are loaded. Raises ValueError as `summary`, or CheckerFailed."""
        self._load()

    def begin(self, grade_id: str, address: Path, seed: int, seconds: float) -> None:
        """Start a check that waits for its guest at `address`; returns once the guest may connect."""
        request = {"grade_id": grade_id, "address": str(address), "seed": seed, "seconds": seconds}
        self._load()
        self._write(request)
        self._read(START)

    def finish(self, seconds: float) -> Verdict:
        """The verdict of the check that `begin` started, now that its guest has ended or been stopped."""
        self._write(OVER)
        verdict = self._read(seconds + JUDGING)
        return Verdict(**{**verdict, "messages": tuple(verdict["messages"])})

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self) -> None:
        self.start()
        if not self._loaded:
            said = self._read(START)
            if "refused" in said:
                self.close()
                raise ValueError(f"checks: {self.path}: {said['refused']}")
            self._summary, self._loaded = LabSummary.from_data(said), True

    def _write(self, value: dict[str, Any]) -> None:
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail("it broke down")

    def _read(self, seconds: float) -> dict[str, Any]:
        readable, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            self._fail("it broke down" if readable else f"it did not end within {seconds:g} s")
        return json.loads(line)

    def _fail(self, why: str) -> None:
        self.close()
        raise CheckerFailed(f"checks of {self.path.parent.name}: {why}")


def _without_limit(pid: int) -> None:
    """Lift the limit on memory that a child inherits from an examiner: torch needs more of it."""
    if hasattr(resource, "prlimit"):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
