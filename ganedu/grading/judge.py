"""The trusted process that forms verdicts: it asks the guest in the sandbox over a socket and compares.

`python -m ganedu.grading.judge CHECKS.py` says what the checks are, then reads requests and writes verdicts,
all as lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ganedu.grading.border import ask
from ganedu.grading.checks import Check, Student, load, run_check, summarise
from ganedu.grading.guest.wire import Deadline, send
from ganedu.grading.verdicts import Verdict

FAREWELL = 1.0  # seconds for a guest to read that it is done


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
        verdict = run_check(check, Student(partial(ask, connection, deadline=Deadline(seconds))), seed)
        with contextlib.suppress(OSError):
            send(connection, {"do": "bye"}, Deadline(FAREWELL))
    return verdict


def main(path: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a check prints is not a verdict

    def say(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        lab = load(Path(path))
    except Exception as error:  # the instructor's code: whatever it raises is the instructor's to read
        return say(
            {
                "refused": f"{type(error).__name__}: {error}"
                if not isinstance(error, ValueError)
                else str(error)
            }
        )
    say(summarise(lab).as_data())
    while line := sys.stdin.readline():
        request = json.loads(line)
        check = lab.checks[request["grade_id"]]
        ready = partial(say, {"listening": check.grade_id})
        verdict = judge(check, request["address"], request["seed"], request["seconds"], ready)
        sys.stdin.readline()  # OVER: it may come before or after the verdict, and belongs to this check
        say(verdict._asdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
