"""A hostile submission of ours, run in a sandbox here: what could it do?"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import NamedTuple

from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import MIB, Limits

SMALL = Limits(memory=768 * MIB, processes=64)
SECONDS = 300.0  # it takes a few, where others leave it a processor
HIDDEN = ("nbgrader_config.py", "solutions", "submitted", "gradebook.db", ".ganedu")
LOOK = """
import json, os, socket, time
def can(action):
    try:
        action()
    except Exception:
        return False
    return True
found = {
    "network": can(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2)),
    "course": any(map(os.path.lexists, HIDDEN)),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "rights": os.getuid() == 0 or can(lambda: os.setuid(0)),
    "forks": 0,
}
try:
    while found["forks"] < MOST:
        if os.fork() == 0:
            time.sleep(SECONDS)
            os._exit(0)
        found["forks"] += 1
except OSError:
    pass
print(json.dumps(found))
"""
FILL = "kept = []\nwhile len(kept) < MOST: kept.append(bytearray(b'1') * (1 << 20))"


class Trial(NamedTuple):
    """What the submission could do; `error` where no sandbox started, `memory` what ended its greed."""

    error: str | None = None
    network: bool = False
    course: bool = False
    processes: int = 0
    rights: bool = False
    forks: int = 0
    most_forks: int = SMALL.processes
    memory: str | None = None


def trial(course: Path) -> Trial:
    """Run it twice: once to look around and multiply, once to fill the memory."""
    hidden = [str(course / name) for name in HIDDEN]
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, Kernel((), SMALL) as kernel:
            names = {"PORT": server.getsockname()[1], "HIDDEN": hidden, "MOST": SMALL.processes}
            execution = kernel.run(_filled(LOOK, names | {"SECONDS": SECONDS}), SECONDS)
        if execution.status != "ok":
            return Trial(f"a sandbox's kernel ended: {execution.status}")
        with Kernel((), SMALL) as kernel:
            twice = 2 * SMALL.memory // MIB
            ended = kernel.run(_filled(FILL, {"MOST": twice}), SECONDS).status in ("error", "dead")
            why = (kernel.why_dead or "it ran out of memory") if ended else None
    except (RuntimeError, OSError) as error:
        return Trial(str(error))
    return Trial(**json.loads(execution.outputs[-1].text), memory=why)


def _filled(code: str, names: dict[str, object]) -> str:
    return "\n".join((*(f"{name} = {value!r}" for name, value in names.items()), code))
