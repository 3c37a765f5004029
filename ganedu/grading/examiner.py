"""The process that reads what a submission says: its notebook, its kernel's messages. Its memory is limited.

`Examiner` is the handle. `python -m ganedu.grading.examiner` is the process: it holds a checker and a kernel
ready, takes one submission after another from its standard input, and writes their outcomes to its standard
output. It may be killed at any moment, by a flood that it read or by hand: a new one takes its place.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil

from ganedu.grading.checker import Checker
from ganedu.grading.examine import Outcome, Setup, examine, refuse
from ganedu.grading.outcomes import Record, as_record
from ganedu.grading.pool import Kernels
from ganedu.grading.sandbox import Limits
from ganedu.grading.verdicts import LabSummary

MEMORY = 1 << 30  # bytes of address space, all that a flood of messages or brackets can take
MARGIN = 60.0  # seconds beyond a submission's own limits
FLOODED = "what this notebook holds, or sends while it runs, takes more memory than grading has for it"


class ExaminerDied(RuntimeError):
    """The process ended or was stopped in the middle of a submission, for whatever reason."""


class Examiner:
    """A handle on an examiner process. A context manager."""

    def __init__(self, setup: Setup, lab: LabSummary, secret: bytes):
        """Start the process; the course's `secret` goes through its standard input, and no further."""
        self.setup = setup
        self.spent = False  # it ran out of memory, and ended
        self.served = 0
        program = [sys.executable, "-m", "ganedu.grading.examiner"]
        arenas = os.environ | {"MALLOC_ARENA_MAX": "2"}  # one a thread would eat the limit on address space
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=arenas)
        self._write({"setup": setup._asdict(), "lab": lab.as_data(), "secret": secret.hex()})

    @property
    def pid(self) -> int:
        return self._process.pid

    def examine(self, data: bytes, more: bool = True) -> Record:
        """The outcome of one submission; `more` says that another one will follow.

        Raises ExaminerDied if the process ends, or takes longer than a submission may, and RuntimeError if
        the sandbox failed.
        """
        limits = self.setup.limits
        patience = limits.notebook + limits.check + 2 * limits.start + MARGIN
        if self.setup.execute_all:
            patience += limits.notebook + limits.start
        overdue = threading.Timer(patience, self._process.kill)
        overdue.start()
        try:
            self._write({"bytes": len(data), "more": more}, data)
            line = self._process.stdout.readline()
        finally:
            overdue.cancel()
        if not line.endswith(b"\n"):
            self.close()
            raise ExaminerDied("the process that examined it was stopped")
        reply = json.loads(line)
        self.spent = reply.pop("spent", False)
        self.served += 1
        if "failure" in reply:
            raise RuntimeError(reply["failure"])
        return Record(**reply)

    def close(self) -> None:
        """End the process, and with it its kernel."""
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _write(self, header: dict[str, Any], data: bytes = b"") -> None:
        try:
            self._process.stdin.write(json.dumps(header).encode() + b"\n" + data)
            self._process.stdin.flush()
        except OSError:
            self.close()
            raise ExaminerDied("the process that examined it was stopped") from None

    def __enter__(self) -> Examiner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    """Examine what comes on standard input until it ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # through every `finally`: kernel, sockets, checker
    incoming = sys.stdin.buffer
    first = json.loads(incoming.readline())
    setup, secret = Setup(**first["setup"]), bytes.fromhex(first["secret"])
    setup = setup._replace(limits=Limits(*setup.limits))
    _limit_memory()
    _end_with_parent()
    _sweep()
    lab = LabSummary.from_data(first["lab"])
    with (
        Checker(Path(setup.checks), lab) as checker,
        Kernels(lab, setup.limits, unsandboxed=setup.unsandboxed) as kernels,
    ):
        checker.start()
        kernels.warm()
        released = nbformat.read(setup.released, as_version=4)
        examined = partial(
            examine,
            released=released,
            checker=checker,
            kernels=kernels,
            secret=secret,
            limits=setup.limits,
            execute_all=setup.execute_all,
        )
        while line := incoming.readline():
            header = json.loads(line)
            kernels.more = header["more"]
            reply = _reply(examined, incoming.read(header["bytes"]))
            if reply is None:
                reply = as_record(refuse(released, lab, FLOODED))._asdict() | {"spent": True}
            print(json.dumps(reply), file=replies, flush=True)
            if "spent" in reply:
                return


def _reply(examined: Callable[[bytes], Outcome], data: bytes) -> dict[str, Any] | None:
    """A record, or a failure of ours that is nobody's verdict; None where memory ran out."""
    try:
        return as_record(examined(data))._asdict()
    except MemoryError:
        return None
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def _limit_memory() -> None:
    """The soft limit alone: a kernel sets its own, and the checker's is lifted."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


def _end_with_parent() -> None:
    """Do not outlive the grader, however it was ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _sweep() -> None:
    """Remove the folders of kernels whose examiner was killed."""
    for folder in Path("/tmp").glob("gk-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)) and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
