"""A program in the sandbox as a process: started, limited together with all that it starts, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from ganedu.grading import cgroups, sandbox
from ganedu.grading.watch import Usage, Watch, beyond, too_much_memory, usage


class Confined:
    """A process in a sandbox of its own, and its limits."""

    def __init__(
        self,
        program: list[str],
        said: dict[str, Any],
        sockets: Mapping[str, socket.socket],
        folder: Path,
        allow: Iterable[str],
        packages: Iterable[str] | None,
        limits: sandbox.Limits,
        *,
        unsandboxed: bool,
    ):
        """Start `program`, which reads `said`, its uid, limits and `sockets` as JSON, and inherits these.

        `folder` is this side's own, and holds its "log"; what else it is for, `sandbox.command` says.
        """
        self.limits = limits
        self.group: cgroups.Group | None = None
        self.watch: Watch | None = None
        self._why: str | None = None
        if unsandboxed:
            words, environment, files = sandbox.bare_command(program, folder)
        else:
            words, environment, files = sandbox.command(program, folder, allow, limits, packages)
            words = self._grouped(words)
        said = said | {
            "uid": 0 if unsandboxed else sandbox.sandbox_uid(),
            "limits": {} if unsandboxed else limits.rlimits(),
            "sockets": {name: listener.fileno() for name, listener in sockets.items()},
        }
        inherited = (*files, *sockets.values())
        try:
            with (folder / "log").open("wb") as log:
                # bubblewrap ends with the thread that started it, so that has to be one which stays.
                self.process = (
                    _starter(os.getpid())
                    .submit(
                        subprocess.Popen,
                        words,
                        env=environment,
                        cwd=folder,
                        stdin=subprocess.PIPE,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        pass_fds=[file.fileno() for file in inherited],
                    )
                    .result()
                )
        except BaseException:
            if self.group:
                self.group.remove()
            raise
        finally:
            for file in inherited:
                file.close()
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(json.dumps(said).encode())
        if not unsandboxed:
            self.watch = Watch(self._excess, self.kill)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def why_dead(self) -> str | None:
        """What ended it, to follow a colon; None while it lives, if we ended it, or if unknown."""
        if self._why is None and not self.alive:
            self._why = self._cause()
        return self._why

    def kill(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """End it. Where there are control groups, nothing of it runs after this returns."""
        if self.watch:
            self.watch.stop()
        self.kill()
        self._why = self.why_dead
        if self.group:
            self.group.remove()

    def _grouped(self, words: list[str]) -> list[str]:
        """`words` in a control group of their own where this machine has them."""
        place = _groups()
        if place:
            with contextlib.suppress(OSError):  # then `watch` counts
                limits = self.limits
                self.group = cgroups.Group(place, limits.memory, limits.processes, limits.cpus)
                return self.group.enter(words)
        return words

    def _excess(self) -> str | None:
        """What of its limits the submission has overstepped, in words.

        Version 1 of control groups ends one process where memory runs out; here it costs all of them, always.
        """
        limits = self.limits
        if self.group:
            return too_much_memory(limits.memory) if self.group.memory_kills else None
        return beyond(usage(self.process.pid), Usage(limits.memory, limits.cpu, limits.processes))

    def _cause(self) -> str | None:
        code = self.process.returncode
        if self.watch and self.watch.why:
            return self.watch.why
        if self.group and self.group.memory_kills:
            return too_much_memory(self.limits.memory)
        if code > 128:  # bubblewrap's way to say that a signal ended what it started
            with contextlib.suppress(ValueError):
                return f"it was ended by {signal.Signals(code - 128).name}"
        return f"it left with exit status {code}" if code >= 0 else None


@cache
def _groups() -> cgroups.Parents | None:
    """Where control groups may be made, after those that killed runs have left there were removed."""
    place = cgroups.usable()
    if place:
        cgroups.sweep(place)
    return place


@cache
def _starter(pid: int) -> ThreadPoolExecutor:
    """The one thread of process `pid` that starts sandboxes, for as long as the process lives."""
    return ThreadPoolExecutor(1, f"sandboxes-of-{pid}")
