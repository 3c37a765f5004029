"""Control groups: what the processes of one submission may use together, kept by the system.

Version 2 and the older version 1 alike. Groups are made beside or below our own, so that a limit on us (of a
container, of SLURM) stays one on what we start. Where we may not make any, `watch` stands in.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PERIOD = 100_000  # microseconds over which a share of processors is counted
PREFIX = "ganedu-"
PATIENCE = 3.0  # seconds for the killed to be gone


class Parents(NamedTuple):
    """The folders in which groups may be made, by controller; in version 2 it is one folder."""

    version: int
    folders: dict[str, Path]

    @property
    def controllers(self) -> list[str]:
        return sorted(self.folders)


def parents(proc: Path = Path("/proc/self")) -> Parents | None:
    """Where this process may make groups that limit memory at least; None where it may not.

    In version 2 a group that holds processes hands no controller on, so the place is the nearest group above
    our own that does.
    """
    own, mounts = _own(proc), _mounts(proc)
    if "" in mounts and "" in own:
        folder, top = _folder(mounts[""], own[""]), mounts[""][1]
        while folder != top and not _hands_on(folder):
            folder = folder.parent
        if _hands_on(folder):
            names = (folder / "cgroup.subtree_control").read_text().split()
            return Parents(2, {name: folder for name in ("memory", "pids", "cpu") if name in names})
    folders = {c: _folder(mounts[c], own[c]) for c in ("memory", "pids", "cpu") if c in mounts and c in own}
    folders = {name: folder for name, folder in folders.items() if os.access(folder, os.W_OK)}
    return Parents(1, folders) if "memory" in folders else None


def usable() -> Parents | None:
    """`parents`, if a process can be put into a group there: some systems let us make groups and not that."""
    place = parents()
    if place is None:
        return None
    try:
        group = Group(place, 64 << 20, 16, 1.0)
    except OSError:
        return None
    try:
        entered = subprocess.run(group.enter(["true"]), capture_output=True, timeout=300)
    finally:
        group.remove()
    return None if entered.returncode else place


class Group:
    """A group for one submission. Raises OSError if the system does not make it after all."""

    def __init__(self, place: Parents, memory: int, processes: int, cpus: float):
        """Limits: bytes of memory with no swap, the files in /tmp included; processes; processors."""
        self.name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self.version = place.version
        self._folders = {controller: folder / self.name for controller, folder in place.folders.items()}
        try:
            for folder in self.folders:
                folder.mkdir()
            for controller, settings in _settings(place.version, memory, processes, cpus).items():
                if controller in self._folders:
                    _write(self._folders[controller], settings)
        except OSError:
            self.remove()
            raise

    @property
    def folders(self) -> list[Path]:
        return list(dict.fromkeys(self._folders.values()))

    def enter(self, words: list[str]) -> list[str]:
        """`words` as a command that is in this group before it starts."""
        joins = [f"echo 0 > {shlex.quote(str(folder / 'cgroup.procs'))}" for folder in self.folders]
        return ["/bin/sh", "-ec", "; ".join([*joins, 'exec "$@"']), "sh", *words]

    @property
    def memory_kills(self) -> int:
        """How often the system ended a process here because memory ran out."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError, ValueError):
            lines = (self._folders["memory"] / name).read_text().splitlines()
            return int(dict(line.split(maxsplit=1) for line in lines).get("oom_kill", 0))
        return 0

    def remove(self) -> None:
        """Remove the group as soon as its processes are gone; what stays is swept at a later start."""
        kill = self._folders["memory"] / "cgroup.kill"
        if kill.exists():  # version 2, since Linux 5.14
            with contextlib.suppress(OSError):
                kill.write_text("1")
        deadline = time.monotonic() + PATIENCE
        while not all([_removed(folder) for folder in self.folders]) and time.monotonic() < deadline:
            time.sleep(0.005)


def sweep(place: Parents) -> None:
    """Remove the groups that a killed run has left. One with processes in it cannot be removed, and stays."""
    for folder in set(place.folders.values()):
        for group in folder.glob(f"{PREFIX}*-*"):
            owner = group.name.removeprefix(PREFIX).split("-")[0]
            if not (owner.isdigit() and Path("/proc", owner).exists()):
                _removed(group)


def _settings(version: int, memory: int, processes: int, cpus: float) -> dict[str, dict[str, str]]:
    """File contents by controller and file; a name that ends in ? may be missing."""
    quota = str(int(cpus * PERIOD))
    if version == 2:
        ram = {"memory.max": str(memory), "memory.swap.max?": "0", "memory.oom.group?": "1"}
        cpu = {"cpu.max": f"{quota} {PERIOD}"}
    else:
        ram = {"memory.limit_in_bytes": str(memory), "memory.memsw.limit_in_bytes?": str(memory)}
        cpu = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": quota}
    return {"memory": ram, "pids": {"pids.max": str(processes)}, "cpu": cpu}


def _write(folder: Path, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        path = folder / name.rstrip("?")
        if path.exists() or not name.endswith("?"):
            path.write_text(value)


def _removed(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _hands_on(folder: Path) -> bool:
    control = folder / "cgroup.subtree_control"
    ours = os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
    return ours and control.is_file() and {"memory", "pids"} <= set(control.read_text().split())


def _own(proc: Path) -> dict[str, str]:
    """Our group's path by controller, "" for version 2."""
    with contextlib.suppress(OSError):
        lines = (line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines())
        return {name: path for _, names, path in lines for name in names.split(",")}
    return {}


def _mounts(proc: Path) -> dict[str, tuple[str, Path]]:
    """(the group that is mounted, where) by controller, "" for version 2."""
    found: dict[str, tuple[str, Path]] = {}
    with contextlib.suppress(OSError):
        for line in (proc / "mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            root, place = before.split()[3:5]
            kind, _, options = after.split()[:3]
            if kind == "cgroup2":
                found.setdefault("", (root, Path(place)))
            elif kind == "cgroup":
                found |= {name: (root, Path(place)) for name in options.split(",")}
    return found


def _folder(mount: tuple[str, Path], own: str) -> Path:
    """Our group's folder under `mount`; the mounted group itself where ours lies outside of it."""
    root, place = mount
    inside = Path(own).is_relative_to(root)
    return place / Path(own).relative_to(root) if inside else place
