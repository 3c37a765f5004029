"""The trusted process that forms verdicts: it asks the guest in the sandbox over a socket and compares.

`python -m ganedu.grading.checker CHECKS.py` reads requests and writes verdicts as lines of JSON. It runs
apart from the grader so that a check that breaks or never ends takes nothing with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ganedu.grading.border import ask
from ganedu.grading.checks import Check, Student, Verdict, load, run_check
from ganedu.grading.guest.wire import send

START = 120.0  # seconds to load a lab's checks
OVER = {"over": True}  # the guest has ended: who has not connected will not


class CheckerFailed(RuntimeError):
    """The checker broke down or did not end in time: a fault of the checks, not of the student."""


class Checker:
    """A handle on a checker process, started when it is first needed and again after it failed."""

    def __init__(self, path: Path):
        self.path = path
        self._process: subprocess.Popen | None = None

    def begin(self, grade_id: str, address: Path, seed: int, seconds: float) -> None:
        """Start a check that waits for its guest at `address`; returns once the guest may connect."""
        request = {"grade_id": grade_id, "address": str(address), "seed": seed, "seconds": seconds}
        self._start()
        self._write(request)
        self._read(START)

    def finish(self, seconds: float) -> Verdict:
        """The verdict of the check that `begin` started, now that its guest has ended or been stopped."""
        self._write(OVER)
        verdict = self._read(seconds)
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

    def _start(self) -> None:
        if self._process is None:
            program = [sys.executable, "-m", "ganedu.grading.checker", str(self.path)]
            self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._read(START)

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


def judge(check: Check, address: str, seed: int, seconds: float, ready: Callable[[], None]) -> Verdict:
    """Run `check` on the guest that connects to the socket `address`; `ready` is called once it may."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        os.chmod(address, 0o666)  # the sandbox is another user; its folder is open to it alone
        listener.listen(1)
        ready()
        guest, _, _ = select.select([listener, sys.stdin], [], [])
        os.unlink(address)
        if listener not in guest:  # the grader says that it is over: nobody will come
            message = (
                "✗ the notebook's kernel did not answer: it died, or something in it replaced how cells run"
            )
            return Verdict(check.grade_id, 0.0, check.points, (message,))
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(seconds)
        verdict = run_check(check, Student(partial(ask, connection)), seed)
        with contextlib.suppress(OSError):
            send(connection, {"do": "bye"})
    return verdict


def main(path: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a check prints is not a verdict

    def say(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    lab = load(Path(path))
    say({"loaded": lab.lab.name})
    while line := sys.stdin.readline():
        request = json.loads(line)
        check = lab.checks[request["grade_id"]]
        ready = partial(say, {"listening": check.grade_id})
        verdict = judge(check, request["address"], request["seed"], request["seconds"], ready)
        sys.stdin.readline()  # OVER: it may come before or after the verdict, and belongs to this check
        say(verdict._asdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
