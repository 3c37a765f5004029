"""The sandbox of one submission: what it sees, what it may use, and the bubblewrap command line that says so.

It sees Python, the packages and the modules of ganedu that the lab allows, and the guest. It does not see the
course, solutions, gradebook, other submissions, the network, other processes or this machine's HOME.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import ganedu
from ganedu.grading import packages as installed
from ganedu.grading.library import GUEST, copy_library
from ganedu.grading.syscalls import seccomp_filter

LIBRARY = "/opt/ganedu"  # where the sandbox finds ganedu and ganedu_guest
MATPLOTLIB = "/tmp/matplotlib"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
ETC = ("/etc/ld.so.cache", "/etc/fonts", "/etc/alternatives", "/etc/localtime")
MIB = 1 << 20
STARTING = 120.0  # seconds of processor time that kernels of one submission may take to come up
SHARES = {"/tmp": 2, "/home": 1, "/dev/shm": 1}  # of `Limits.scratch`, in quarters


class SandboxMissing(RuntimeError):
    """This machine cannot isolate a submission; the message says what to do."""


class Limits(NamedTuple):
    """What one submission may use, all its processes together. Times are seconds; sizes are bytes.

    A kernel with torch takes 0.25 GiB, and a lab's answers work on kilobytes: 2 GiB leave a wasteful answer
    room, and eight workers in 16 GiB. Until a kernel has come up it runs our code alone, and is given time: a
    busy machine must not cost points.
    """

    memory: int = 2048 * MIB  # with what it writes to /tmp
    processes: int = 256  # threads count
    cpus: float = 1.0  # processors' worth of time, at once or (without control groups) on the whole
    file: int = 64 * MIB
    files: int = 1024  # open at once, by one process
    scratch: int = 256 * MIB  # /tmp, HOME and /dev/shm together
    start: float = 900.0
    cell: float = 60.0
    check: float = 60.0
    notebook: float = 600.0

    @property
    def cpu(self) -> float:
        """Seconds of processor time that all processes together may take."""
        return self.cpus * (self.notebook + STARTING)

    def rlimits(self) -> dict[str, int]:
        """What each process may use. Address space that is reserved and never used costs nobody anything."""
        sizes = {"AS": self.memory + 2048 * MIB, "FSIZE": self.file, "NOFILE": self.files}
        return sizes | {"NPROC": self.processes, "CORE": 0, "MEMLOCK": 0, "CPU": int(self.cpu) + 1}


DEFAULTS = Limits()
_SANDBOXES = itertools.count()


def require_bubblewrap() -> None:
    """Raise `SandboxMissing` unless bubblewrap is installed and this machine lets it make namespaces."""
    if shutil.which("bwrap") is None:
        raise SandboxMissing(
            "no sandbox: bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf "
            "install bubblewrap); --unsandboxed grades without, for submissions that you trust"
        )
    trial = ["bwrap", *_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    result = subprocess.run(trial, capture_output=True, text=True, timeout=300)
    if result.returncode:
        raise SandboxMissing(
            f"no sandbox: bubblewrap cannot make namespaces here ({result.stderr.strip()[:200]}); allow "
            "user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; Docker: "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined); --unsandboxed grades "
            "without, for submissions that you trust"
        )


def require_apart(course: Path) -> None:
    """Raise `SandboxMissing` if a sandbox would see `course` or HOME in a folder of Python or the system."""
    seen = {Path(course).resolve(): list(_system()[0]), Path.home().resolve(): _interpreter()}
    for place, folders in seen.items():
        for folder in folders:
            if place.is_relative_to(os.path.realpath(folder)):
                raise SandboxMissing(
                    f"no sandbox for {place}: it lies in {folder}, which a submission sees (Python and the "
                    "system); move it, or make the virtual environment in a folder of its own"
                )


class Command(NamedTuple):
    """A program to start: its words and environment, and open files that it inherits under their numbers."""

    words: list[str]
    environment: dict[str, str]
    files: tuple[IO[bytes], ...] = ()


def command(
    program: list[str],
    folder: Path,
    allow: Iterable[str],
    limits: Limits,
    packages: Iterable[str] | None = None,
) -> Command:
    """`program` in bubblewrap.

    `folder` is this side's own. Its "s", for sockets, is seen under the same path and cannot be written;
    what the lab allows is copied there. `packages` are the installed packages that it sees, with what they
    require; None is all. Options travel in a file: the first process of the sandbox shows its command line.
    """
    library, sockets = copy_library(folder, allow), folder / "s"
    binds, links = _system()
    binds[LIBRARY] = str(library)
    options = [*_namespaces(), "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for path, quarters in SHARES.items():
        options += ["--perms", "1777", "--size", str(limits.scratch // 4 * quarters), "--tmpfs", path]
    options += ["--perms", "0777", "--dir", MATPLOTLIB, *_folders([*binds, *links, str(sockets)])]
    for path, source in binds.items():
        options += ["--ro-bind", source, path]
    for path, target in links.items():
        options += ["--symlink", target, path]
    options += _hidden(folder) if packages is None else _only(installed.entries(tuple(packages)))
    for index in (library / "fonts").iterdir():
        options += ["--ro-bind", str(index), f"{MATPLOTLIB}/{index.name}"]
    options += ["--ro-bind", str(sockets), str(sockets), "--chdir", "/home", "--clearenv"]
    for name, value in environment().items():
        options += ["--setenv", name, value]
    # Where the submission has the user that bubblewrap had, it could write to what bubblewrap has made.
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    files, words = [_file("\0".join(options).encode())], ["bwrap"]
    words += ["--args", str(files[0].fileno())]
    if calls := seccomp_filter():
        files.append(_file(calls))
        words += ["--seccomp", str(files[1].fileno())]
    return Command([*words, "--", *program], {"PATH": os.defpath}, tuple(files))


def bare_command(program: list[str], folder: Path) -> Command:
    """`program` with nothing around it: for submissions that are trusted, and said so on every report."""
    library = folder / "library"
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


def _system() -> tuple[dict[str, str], dict[str, str]]:
    """The system and the interpreter: (where the sandbox has it -> where it is here, link -> target)."""
    binds: dict[str, str] = {}
    links: dict[str, str] = {}
    for path in filter(os.path.lexists, (*SYSTEM, *ETC)):
        if os.path.islink(path):
            links[path] = os.readlink(path)
        else:
            binds[path] = path
    for path in _interpreter():
        real = os.path.realpath(path)
        binds[real] = real
        if real != path:
            links[path] = real
    return binds, {path: target for path, target in links.items() if not _inside(path, binds)}


def _interpreter() -> list[str]:
    """The folders that Python runs from, outside the system's."""
    folders = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    return sorted(f for f in folders if not _inside(f, SYSTEM))


def _inside(path: str | Path, folders: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _folders(paths: Iterable[str]) -> list[str]:
    """Make the parents of `paths` readable: those that bubblewrap makes itself are closed to other users."""
    parents = {str(parent) for path in paths for parent in Path(path).parents}
    return [
        word for p in sorted(parents - {"/", "/tmp", "/home"}) for word in ("--perms", "0755", "--dir", p)
    ]


def _only(entries: Iterable[Path]) -> list[str]:
    """Cover the folders of packages, and show `entries` of them."""
    entries, options = list(entries), []
    for folder in filter(_seen, installed.folders()):
        inside = [entry for entry in entries if entry.is_relative_to(folder)]
        options += ["--perms", "0755", "--tmpfs", str(folder)]
        for parent in sorted({entry.parent for entry in inside} - {folder}):
            options += ["--perms", "0755", "--dir", str(parent)]
        for entry in inside:
            options += ["--ro-bind", str(entry), str(entry)]
        options += ["--remount-ro", str(folder)]
    return options


def _hidden(folder: Path) -> list[str]:
    """Cover ganedu, and what tells where it lies, wherever a sandbox would see them."""
    empty, nothing = folder / "empty", folder / "nothing"
    empty.mkdir()
    empty.chmod(0o755)
    nothing.touch()
    nothing.chmod(0o644)
    places = [Path(ganedu.__file__).resolve().parent]
    for packages in installed.folders():
        for pattern in ("ganedu", "ganedu-*", "ganedu.*", "__editable__*", "easy-install.pth"):
            places += packages.glob(pattern)
        root = str(Path(ganedu.__file__).resolve().parents[1])
        places += (path for path in packages.glob("*.pth") if root in path.read_text(errors="replace"))
    covers = ((place, empty if place.is_dir() else nothing) for place in dict.fromkeys(places))
    return [w for place, cover in covers if _seen(place) for w in ("--ro-bind", str(cover), str(place))]


def _seen(place: Path) -> bool:
    """Whether `place`, without links in it, lies in a folder that every sandbox sees."""
    return _inside(place, _system()[0])


def _file(data: bytes) -> IO[bytes]:
    """An open file without a name that holds `data`, at its beginning."""
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return file
