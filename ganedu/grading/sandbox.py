"""The sandbox of one submission: what it sees, what it may use, and the bubblewrap command line that says so.

It sees Python, its packages, the modules of ganedu that the lab allows, and the guest. It does not see the
course, solutions, gradebook, other submissions, the network, other processes or this machine's HOME.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import ganedu

GUEST = Path(__file__).parent / "guest"
LIBRARY = "/opt/ganedu"  # where the sandbox finds ganedu and ganedu_guest
MATPLOTLIB = "/tmp/matplotlib"
ALWAYS = ("ganedu.check",)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
ETC = ("/etc/ld.so.cache", "/etc/fonts", "/etc/alternatives", "/etc/localtime")
MIB = 1 << 20


class SandboxMissing(RuntimeError):
    """This machine cannot isolate a submission; the message says what to do."""


class Limits(NamedTuple):
    """What one submission may use. Times are wall-clock seconds; sizes are bytes."""

    memory: int = 4096 * MIB  # address space of one process; importing torch takes 0.6 GiB of it
    processes: int = 256  # threads count
    file: int = 64 * MIB
    files: int = 1024  # open at once
    scratch: int = 256 * MIB  # /tmp and HOME together
    start: float = 120.0
    cell: float = 60.0
    check: float = 60.0
    notebook: float = 600.0

    def rlimits(self) -> dict[str, int]:
        cpu = int(self.notebook + self.start) * 2
        sizes = {"AS": self.memory, "NPROC": self.processes, "FSIZE": self.file, "NOFILE": self.files}
        return sizes | {"CORE": 0, "CPU": cpu}


def require_bubblewrap() -> None:
    """Raise `SandboxMissing` unless bubblewrap is installed and this machine lets it make namespaces."""
    if shutil.which("bwrap") is None:
        raise SandboxMissing(
            "no sandbox: bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf "
            "install bubblewrap); --unsandboxed grades without, for submissions that you trust"
        )
    trial = ["bwrap", *_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    result = subprocess.run(trial, capture_output=True, text=True, timeout=30)
    if result.returncode:
        raise SandboxMissing(
            f"no sandbox: bubblewrap cannot make namespaces here ({result.stderr.strip()[:200]}); allow "
            "user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; Docker: "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined); --unsandboxed grades "
            "without, for submissions that you trust"
        )


DEFAULTS = Limits()
_SANDBOXES = itertools.count()


class Command(NamedTuple):
    words: list[str]
    environment: dict[str, str]


def command(program: list[str], run_dir: Path, allow: Iterable[str], limits: Limits) -> Command:
    """`program` in bubblewrap. `run_dir`, for the sockets, is the one writable folder of this side."""
    mounts = _system() | {f"{LIBRARY}/{name}": str(source) for source, name in visible(allow)} | _fonts()
    words = ["bwrap", *_namespaces(), "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/dev/shm", "/tmp", "/home"):
        words += ["--perms", "1777", "--size", str(limits.scratch), "--tmpfs", path]
    words += ["--perms", "0777", "--dir", MATPLOTLIB, *_folders([*mounts, str(run_dir)])]
    for path, source in mounts.items():
        words += (
            ["--symlink", os.readlink(source), path]
            if os.path.islink(source)
            else ["--ro-bind", source, path]
        )
    words += _hidden(mounts)
    words += ["--bind", str(run_dir), str(run_dir), "--chdir", "/home", "--clearenv"]
    for name, value in environment().items():
        words += ["--setenv", name, value]
    return Command([*words, "--", *program], {"PATH": os.defpath})


def bare_command(program: list[str], run_dir: Path, allow: Iterable[str], limits: Limits) -> Command:
    """`program` with nothing around it: for submissions that are trusted, and said so on every report."""
    library = run_dir / "library"
    library.mkdir()
    (library / "ganedu_guest").symlink_to(GUEST)
    paths = f"{library}{os.pathsep}{Path(ganedu.__file__).parents[1]}"
    return Command(program, {**os.environ, "PYTHONPATH": paths})


def environment() -> dict[str, str]:
    """All that a submission finds in its environment."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": "/home",
        "LANG": "C.UTF-8",
        "PYTHONPATH": LIBRARY,
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLCONFIGDIR": MATPLOTLIB,
        "IPYTHONDIR": "/home/ipython",
        "OMP_NUM_THREADS": "1",  # the same sums in the same order on any machine
        "MALLOC_ARENA_MAX": "2",  # an arena a thread would eat the limit on address space
    }


def visible(allow: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """(file or folder here, its name under `LIBRARY`) for the guest and every allowed module of ganedu.

    "ganedu.nets" is one file; "ganedu.gans" is that package with all below it; "ganedu.samplers.langevin" is
    one file in a package whose own code stays hidden. Raises ValueError for a module that is not there.
    """
    root = Path(ganedu.__file__).parent
    yield GUEST, "ganedu_guest"
    yield root / "__init__.py", "ganedu/__init__.py"
    for module in dict.fromkeys((*ALWAYS, *allow)):
        first, *rest = module.split(".")
        place = root.joinpath(*rest)
        if first != "ganedu" or not rest or rest[0] == "grading":
            raise ValueError(f"allow: got {module!r}, expected a module of ganedu outside ganedu.grading")
        if place.is_dir():
            yield place, "/".join(("ganedu", *rest))
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py"), "/".join(("ganedu", *rest)) + ".py"
        else:
            raise ValueError(f"allow: there is no module {module!r}")


def sandbox_uid() -> int:
    """The user that root becomes inside; 0, no change, where we are not root.

    Each sandbox gets a uid of its own: a limit on processes counts this submission's, not those that the one
    before it left dying.
    """
    return 0 if os.getuid() else 200_000 + os.getpid() % 100_000 * 10_000 + next(_SANDBOXES) % 10_000


def _namespaces() -> list[str]:
    apart = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if (
        os.getuid() == 0
    ):  # real root drops to a real user inside: a limit on processes does nothing for a mapped root
        return [*apart, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return [*apart, "--unshare-user", "--uid", "65534", "--gid", "65534"]


def _system() -> dict[str, str]:
    """Where the sandbox has it -> where it is here, for the system and the interpreter."""
    return {path: path for path in (*SYSTEM, *ETC, *_interpreter()) if os.path.lexists(path)}


def _folders(paths: Iterable[str]) -> list[str]:
    """Make the parents of `paths` readable: those that bubblewrap makes itself are closed to other users."""
    parents = {str(parent) for path in paths for parent in Path(path).parents}
    return [
        word for p in sorted(parents - {"/", "/tmp", "/home"}) for word in ("--perms", "0755", "--dir", p)
    ]


def _hidden(mounts: Iterable[str]) -> list[str]:
    """Cover ganedu where it is installed among the packages; what the lab allows of it is in `LIBRARY`."""
    package = Path(ganedu.__file__).parent
    return ["--tmpfs", str(package)] if any(package.is_relative_to(path) for path in mounts) else []


def _interpreter() -> list[str]:
    """The folders that Python runs from, outside the system's."""
    folders = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    return sorted(f for f in folders if not any(Path(f).is_relative_to(s) for s in SYSTEM))


def _fonts() -> dict[str, str]:
    """matplotlib's index of fonts, which takes seconds to build and holds no secret."""
    import matplotlib

    indices = Path(matplotlib.get_cachedir()).glob("fontlist-*.json")
    return {f"{MATPLOTLIB}/{index.name}": str(index) for index in indices}
