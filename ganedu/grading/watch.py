"""A watch on a sandbox from outside; what its processes use together, where there are no control groups.

That count is weaker than a control group: it is taken every fifth of a second, and memory that no process
maps (an open but unmapped file of memory) is refused by the sandbox instead of counted.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

PAUSE = 0.2  # seconds between two looks
SCRATCH = ("tmp", "home", "dev/shm")  # its files in memory


class Usage(NamedTuple):
    """What a process and all below it use: bytes, seconds of processor time, processes."""

    memory: int
    cpu: float
    processes: int


def usage(pid: int) -> Usage:
    """The sum over the tree of the sandbox `pid`, its files in memory included; zeros if it has gone.

    Memory that processes share counts once.
    """
    memory, cpu, count = 0, 0.0, 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        inside = root.children(recursive=True)
        memory = _files(inside[0].pid) if inside else 0
        for process in (root, *inside):
            with contextlib.suppress(psutil.NoSuchProcess):
                memory += _memory(process)
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                count += 1
    return Usage(memory, cpu, count)


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.AccessDenied:  # a process may hide its shares from us; then each page counts in full
        info = process.memory_info()
        return info.rss - _mapped_files(process.pid)


def _mapped_files(pid: int) -> int:
    """Resident bytes of a process that are pages of files: the libraries that all have."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssFile:"):
                return int(line.split()[1]) << 10
    return 0


def _files(pid: int) -> int:
    """Bytes in the folders that the sandbox of process `pid` may write to."""
    total = 0
    for folder in SCRATCH:
        with contextlib.suppress(OSError):
            state = os.statvfs(f"/proc/{pid}/root/{folder}")
            total += (state.f_blocks - state.f_bfree) * state.f_frsize
    return total


class Watch(threading.Thread):
    """A thread that looks every `PAUSE`, and calls `end` once there is something to say; then `why` is it."""

    def __init__(self, look: Callable[[], str | None], end: Callable[[], None]):
        super().__init__(daemon=True)
        self._look, self._end = look, end
        self.why: str | None = None
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                why = self._look()
            except Exception as error:  # whoever cannot be watched is not let run
                why = f"it could not be watched: {error}"
            if why:
                self.why = why
                self._end()
                return

    def stop(self) -> None:
        self._over.set()


def beyond(used: Usage, most: Usage) -> str | None:
    """What of `used` is more than `most`, in words; None if nothing is."""
    if used.memory > most.memory:
        return too_much_memory(most.memory)
    if used.cpu > most.cpu:
        return f"it used more than {most.cpu:.0f} s of processor time"
    if used.processes > most.processes:
        return f"it started more than {most.processes} processes"
    return None


def too_much_memory(most: int) -> str:
    return f"it used more than {size(most)} of memory"


def size(count: int) -> str:
    """Bytes in words: "2 GiB", "768 MiB"."""
    return f"{count / (1 << 30):g} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
