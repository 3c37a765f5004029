"""What isolation this machine gives a submission, as tried here; what is missing, and how to get it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from ganedu.grading import cgroups
from ganedu.grading.sandbox import DEFAULTS, SandboxMissing, require_apart, require_bubblewrap
from ganedu.grading.syscalls import MACHINES
from ganedu.grading.trial import Trial, trial
from ganedu.grading.watch import size

State = Literal["yes", "weaker", "no"]
CONTAINER = (
    "run it in a Linux container: docker run --rm -it --security-opt seccomp=unconfined --security-opt "
    'apparmor=unconfined -v "$PWD":/course -w /course python:3.11 bash, and there: apt-get update && '
    "apt-get install -y bubblewrap make && make install"
)
SWITCHES = {  # file -> (its value that forbids, how to allow)
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "AppArmor forbids user namespaces (Ubuntu 24.04): sudo sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "/proc/sys/kernel/unprivileged_userns_clone": (
        "0",
        "the system forbids user namespaces (Debian's switch): sudo sysctl "
        "kernel.unprivileged_userns_clone=1",
    ),
    "/proc/sys/user/max_user_namespaces": (
        "0",
        "the system allows no user namespace: sudo sysctl user.max_user_namespaces=10000",
    ),
}
ENOUGH_DISK = 2 << 30  # bytes


class Finding(NamedTuple):
    """One thing that grading relies on: whether it is there, what that gives, and how to get more."""

    what: str
    state: State
    gives: str
    how: str = ""


def examine_machine(root: Path) -> list[Finding]:
    """All findings about this machine and the course in `root`. Takes seconds: it starts two sandboxes."""
    found = [*_system(), *_limits(), *_course(Path(root).resolve()), *_pins(Path(root)), *_around()]
    if all(finding.state != "no" for finding in found):
        found += tried(trial(Path(root).resolve()))
    return found


def report(root: Path, as_json: bool = False) -> int:
    """Print the findings; returns the exit code: 1 where grading would refuse, or should."""
    found = examine_machine(root)
    if as_json:
        print(json.dumps([finding._asdict() for finding in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(found)))
    return int(any(finding.state == "no" for finding in found))


def lines(found: Iterable[Finding]) -> Iterator[str]:
    """The findings as text, a line each and one more for what can be done."""
    for finding in found:
        yield f"{finding.state:<7} {finding.what}: {finding.gives}"
        if finding.how:
            yield f"{'':<8}→ {finding.how}"


def _system() -> Iterator[Finding]:
    name = platform.system()
    if name != "Linux":
        yield Finding("system", "no", f"{name} has no bubblewrap", CONTAINER)
        return
    program = shutil.which("bwrap")
    if program is None:
        how = "Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap"
        yield Finding("bubblewrap", "no", "not installed", how)
        return
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30).stdout
    yield Finding("bubblewrap", "yes", said.strip() or program)
    try:
        require_bubblewrap()
    except SandboxMissing as missing:
        yield Finding("namespaces", "no", str(missing).split(" (")[0], forbidden())
        return
    yield Finding("namespaces", "yes", "files, processes, network, host name and shared memory of its own")
    if platform.machine() in MACHINES:
        yield Finding("system calls", "yes", "those that namespaces leave open are refused (seccomp)")
    else:
        gives = f"no filter for {platform.machine()}: a submission may make namespaces and unmapped memory"
        yield Finding("system calls", "weaker", gives, "grade on x86_64 or aarch64")


def forbidden(switches: Path = Path("/")) -> str:
    """What forbids namespaces here, and the switch that allows them."""
    found = []
    for name, (value, how) in SWITCHES.items():
        path = switches / name.lstrip("/")
        if path.is_file() and path.read_text().strip() == value:
            found.append(how)
    if any((switches / name).exists() for name in (".dockerenv", "run/.containerenv")):
        found.append(
            "a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "(Kubernetes: securityContext.seccompProfile.type: Unconfined)"
        )
    return "; or: ".join(found) or "ask who runs this machine to allow user namespaces"


def _limits() -> Iterator[Finding]:
    if os.getuid() == 0:
        yield Finding("user", "yes", "root; each submission is a user of its own, without rights")
    elif _linux() >= (5, 14):
        yield Finding("user", "yes", "not root; each submission has a user namespace of its own")
    else:
        gives = "not root, and before Linux 5.14 a limit on processes counts all that are yours"
        yield Finding("user", "weaker", gives, "a newer Linux, or grade as root")
    place = cgroups.usable()
    if place and "pids" in place.folders:
        gives = f"version {place.version}: {', '.join(place.controllers)}, for all processes of a submission"
        yield Finding("control groups", "yes", gives)
    else:
        gives = "none that we may make: memory is counted five times a second, and more of it ends the kernel"
        how = "systemd-run --user --scope -p Delegate=yes ganedu grade LAB, or grade as root"
        yield Finding("control groups", "weaker", gives, how)
    memory, need = psutil.virtual_memory().total, DEFAULTS.memory
    workers = int(memory // (need + (1 << 30)))  # a submission beside the process that examines it
    gives = f"{memory / (1 << 30):.1f} GiB; a submission may use {size(need)}"
    if workers >= 1:
        yield Finding("memory", "yes", f"{gives}: room for {workers} at once, whatever they do")
    else:
        yield Finding("memory", "weaker", f"{gives}: one may take all of it", f"{size(2 * need)} of memory")


def _course(root: Path) -> Iterator[Finding]:
    try:
        require_apart(root)
        yield Finding("course", "yes", "lies where no submission sees it")
    except SandboxMissing as seen:
        yield Finding("course", "no", str(seen).split("; ")[0], str(seen).split("; ")[1])
    for place in (root, Path("/tmp")):
        free = shutil.disk_usage(place).free
        gives = (
            f"{free / (1 << 30):.1f} GiB free; a full disk stops grading, and a second run goes on from there"
        )
        state: State = "yes" if free >= ENOUGH_DISK else "weaker"
        yield Finding(f"disk of {place}", state, gives, "" if state == "yes" else "make room")
    yield secret(root / ".ganedu" / "secret")
    yield gradebook(root / "gradebook.db")


def secret(path: Path) -> Finding:
    """Whether the course's secret is the instructor's alone."""
    if not path.exists():
        return Finding("course secret", "yes", "made at first use, for you alone")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding("course secret", "weaker", f"others may read it (mode {mode:o})", f"chmod 600 {path}")
    return Finding("course secret", "yes", "yours alone")


def gradebook(path: Path) -> Finding:
    """Whether nbgrader's gradebook can be read and written."""
    if not path.exists():
        return Finding("gradebook", "yes", "made at first use")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0)) as book:
            book.execute("begin immediate")
            book.rollback()
    except sqlite3.Error as error:
        how = f"close what holds {path}, or take it from a backup"
        return Finding("gradebook", "no", f"cannot be written: {error}", how)
    return Finding("gradebook", "yes", "can be written")


def _pins(root: Path) -> Iterator[Finding]:
    path = root / "constraints.txt"
    if not path.is_file():
        gives = "there is no constraints.txt to compare the installed versions with"
        yield Finding("packages", "weaker", gives, "copy ganedu's beside nbgrader_config.py")
        return
    others = list(unpinned(path.read_text()))
    if others:
        gives = "others than the tests passed with: " + ", ".join(others[:6]) + (" ..." if others[6:] else "")
        yield Finding("packages", "weaker", gives, "pip install -r constraints.txt, or make install")
    else:
        yield Finding("packages", "yes", f"at the pins; Python {platform.python_version()}")


def unpinned(constraints: str) -> Iterator[str]:
    """ "name installed (pinned)" for each package that is installed in another version than its pin."""
    for name, pin in re.findall(r"^([\w.-]+)==([^\s;#]+)", constraints, re.MULTILINE):
        try:
            installed = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pin.split("+")[0]:
            yield f"{name} {installed} ({pin})"


def _around() -> Iterator[Finding]:
    if shutil.which("sbatch"):
        how = "bubblewrap is needed on the nodes: srun ganedu grade --doctor"
        yield Finding("SLURM", "yes", "ganedu grade LAB --slurm grades in jobs", how)
    if "JUPYTERHUB_USER" in os.environ:
        gives = "grade in a server of your own; students' servers must not share your user or your folder"
        yield Finding("JupyterHub", "yes", gives)


def tried(seen: Trial) -> Iterator[Finding]:
    """What code in a sandbox could do, as findings; whatever it could is a reason not to grade here."""

    def finding(what: str, good: bool, gives: str, bad: str, otherwise: State = "no") -> Finding:
        report = "tell the developers: ganedu grade --doctor --json"
        return Finding(
            f"tried: {what}", "yes" if good else otherwise, gives if good else bad, "" if good else report
        )

    yield finding("start", seen.error is None, "a sandbox starts", str(seen.error))
    if seen.error is None:
        yield finding("network", not seen.network, "not reached", "reached this machine")
        yield finding("course", not seen.course, "not seen", "read the course's folder")
        yield finding("processes", seen.processes <= 4, "sees its own alone", f"sees {seen.processes}")
        yield finding("rights", not seen.rights, "none, and none to be had", "became another user")
        bad = "memory beyond the limit was used"
        yield finding("memory limit", seen.memory is not None, f"{seen.memory}: ended", bad)
        gives = f"stopped at {seen.forks} of {seen.most_forks}"
        yield finding("process limit", seen.forks < seen.most_forks, gives, "more were started", "weaker")


def _linux() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
