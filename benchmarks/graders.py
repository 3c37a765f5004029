"""The tiny lab of the corpus for other graders, each run with a whole machine of its own to break.

Plain nbgrader and otter's local runner execute a submission with the rights of whoever grades. So each entry
runs in a bubblewrap of its own: no network, a user without rights, everything read-only but a course in
memory, which is gone afterwards; what it scored comes back as a line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from tests.grading.corpus.entry import (
    ECHO,
    FUNCTIONS,
    NOTEBOOK,
    POINTS,
    RIGHT,
    Entry,
    Link,
    answered,
    files,
    write,
)
from tests.grading.mini_course import LAB, write_course

COURSE = "/course"
HEIR = "zoe"  # graded after the entry, with `honest` right: what she gets shows what the entry left behind
ELDER = "ada"  # graded before it, all right: worth copying
MALLORY = "mallory"
SECONDS = 100.0  # for one batch, which is an entry and its heir; a cell has nbgrader's own 30 s
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/etc/alternatives",
    "/etc/hosts",
    "/etc/nsswitch.conf",
)
USER = "65534"

DOUBLE_TEST = """x = torch.randn(7)
expect = 2 * x
got = torch.as_tensor(NAME(x))
assert got.shape == expect.shape
assert torch.allclose(got.double(), expect.double(), atol=1e-5)"""
SLOPE_TEST = """weight = torch.randn(3)
f = lambda x: x @ weight + 0.5
expect = weight.expand(4, 3)
got = torch.as_tensor(slope(torch.randn(4, 3), f))
assert got.shape == expect.shape
assert torch.allclose(got.double(), expect.double(), atol=1e-5)"""
TESTS = {name: DOUBLE_TEST.replace("NAME", name) for name in FUNCTIONS[:2]} | {"slope": SLOPE_TEST}

SETTINGS = """c = get_config()
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
"""
# Run where nbgrader was: the scores of everybody in the gradebook, None for who was not graded.
REPORT_NBGRADER = f"""
import json, os
from nbgrader.api import Gradebook
found = {{}}
with Gradebook("sqlite:///gradebook.db") as book:
    for s in book.assignment_submissions("{LAB}"):
        grades = [g for n in s.notebooks for g in n.grades]
        scores = {{g.name: (g.auto_score or 0) + (g.manual_score or 0) for g in grades}}
        if os.path.exists(f"autograded/{{s.student.id}}/{LAB}/{NOTEBOOK}"): found[s.student.id] = scores
print(json.dumps({{"scores": found}}))
"""
REPORT_OTTER = """
import json
tests = json.load(open("out/results.json"))["tests"]
scores = {t["name"].split()[0]: t.get("score", 0) for t in tests}
print(json.dumps({"scores": {"mallory": scores}}))
"""


class Finding(NamedTuple):
    """What a grader made of an entry: points by function for it and its heir, None for who has no grade."""

    entry: dict[str, float] | None
    heir: dict[str, float] | None
    stopped: bool
    seconds: float

    def undeserved(self, entry: Entry) -> float:
        """Points beyond what the entry's right answers are worth, and beyond the heir's one."""
        return _beyond(self.entry, entry.deserves) + _beyond(self.heir, ("honest",))

    def lost(self, entry: Entry) -> float:
        """Points that were earned and not given; what an entry's own sabotage cost it does not count."""
        mine = 0.0 if entry.spoils else _short(self.entry, entry.deserves)
        return mine + (_short(self.heir, ("honest",)) if self.heir is not None or self.stopped else 0.0)


def _beyond(points: dict[str, float] | None, deserves: tuple[str, ...]) -> float:
    return sum(max(value - POINTS * (name in deserves), 0.0) for name, value in (points or {}).items())


def _short(points: dict[str, float] | None, deserves: tuple[str, ...]) -> float:
    return sum(max(POINTS - (points or {}).get(name, 0.0), 0.0) for name in deserves)


def heir(released: NotebookNode) -> NotebookNode:
    return answered(released, RIGHT | {"double": "def double(x):\n    return x", "slope": ECHO})


def source_notebook(folder: Path) -> NotebookNode:
    """The corpus's lab with its tests in the notebook, as nbgrader has them."""
    root = write_course(folder, doubles=FUNCTIONS[:2])
    notebook = nbformat.read(root / "solutions" / LAB / NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "").removesuffix("_test")
        if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("_test"):
            cell.source = f"### BEGIN HIDDEN TESTS\n{TESTS[name]}\n### END HIDDEN TESTS"
    return notebook


def nbgrader_course(root: Path) -> NotebookNode:
    """A course in `root` for plain nbgrader; returns its released notebook."""
    (root / "source" / LAB).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(source_notebook(Path(folder) / "course"), root / "source" / LAB / NOTEBOOK)
    (root / "nbgrader_config.py").write_text(SETTINGS)
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", LAB]
    environment = {**os.environ, "PATH": f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    return nbformat.read(root / "release" / LAB / NOTEBOOK, as_version=4)


def nbgrader(entry: Entry, course: Path, released: NotebookNode, *, followed: bool) -> Finding:
    """A batch of plain `nbgrader autograde`: the entry and, where it is `followed`, its heir."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "course"
        shutil.copytree(course, root)
        student = entry.student or MALLORY
        made = entry.build(released)
        write(root, student, made)
        if followed:
            write(root, HEIR, files(heir(released)))
        if followed or any(isinstance(value, Link) for value in made.values()):
            write(root, ELDER, files(answered(released, RIGHT)))
        (root / "report.py").write_text(REPORT_NBGRADER)
        program = f"{sys.executable} -m nbgrader autograde {LAB}"
        said, seconds = confined(program, root, Path(sys.executable))
    scores = said.get("scores", {})
    mine, next_one = (named(scores.get(name)) for name in (student, HEIR))
    return Finding(mine, next_one, followed and next_one is None, seconds)


def otter_tests(root: Path, otter: Path) -> None:
    """otter's autograder.zip in `root`, with the same tests as doctests."""
    (root / "tests").mkdir(parents=True)
    (root / "out").mkdir()
    for name, source in TESTS.items():
        lines = "\n".join(f">>> {line}" for line in source.splitlines())
        case = {"code": f">>> import torch\n{lines}", "hidden": True, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        test = {"name": name, "points": 2, "suites": [suite]}
        (root / "tests" / f"{name}.py").write_text(f"OK_FORMAT = True\n\ntest = {test!r}\n")
    command = [otter, "-m", "otter", "generate", "-t", "tests", "-o", "autograder.zip"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def otter(entry: Entry, course: Path, released: NotebookNode, python: Path) -> Finding:
    """otter's local runner on the entry alone: it takes one submission."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "course"
        shutil.copytree(course, root)
        write(root, MALLORY, entry.build(released))
        write(root, ELDER, files(answered(released, RIGHT)))
        (root / "report.py").write_text(REPORT_OTTER)
        notebook = f"submitted/{MALLORY}/{LAB}/{NOTEBOOK}"
        program = f"{python} -m otter run -a autograder.zip -o out --no-logo {notebook}"
        said, seconds = confined(program, root, python)
    mine = named(said.get("scores", {}).get(MALLORY))
    return Finding(mine, None, False, seconds)


def named(scores: dict[str, float] | None) -> dict[str, float] | None:
    """Points by function; those of a cell that is no function's test under its own name."""
    return None if scores is None else {k.removesuffix("_test"): float(v) for k, v in scores.items() if v}


def root_here() -> bool:
    """Whether we are root: then a real user without rights runs inside, of whom processes are counted."""
    return os.getuid() == 0


def confined(program: str, root: Path, python: Path) -> tuple[dict[str, Any], float]:
    """Run `program` on a copy of the course `root` in memory; what its report.py says, and the seconds."""
    prefixes = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix, sys.base_prefix, sys.path, sep='\\n')"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    mounts = [*SYSTEM, *prefixes[:2], sys.prefix, sys.base_prefix]
    rights = [w for cap in ("SETUID", "SETGID") for w in ("--cap-add", f"CAP_{cap}")]
    apart = ["--cap-drop", "ALL", *rights] if root_here() else ["--unshare-user"]
    apart += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words = ["bwrap", *apart, "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/home", COURSE):
        words += ["--perms", "1777", "--size", str(1 << 31), "--tmpfs", place]
    for path in dict.fromkeys(mounts):
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            parents = [str(p) for p in reversed(Path(path).parents) if str(p) not in ("/", "/tmp", "/home")]
            words += [w for p in parents for w in ("--perms", "0755", "--dir", p)] + ["--ro-bind", path, path]
    words += ["--ro-bind", str(root), "/seed", "--chdir", COURSE, "--clearenv", "--setenv", "HOME", "/home"]
    words += [
        "--setenv",
        "PATH",
        f"{python.parent}:{sys.prefix}/bin:/usr/bin:/bin",
        "--setenv",
        "OMP_NUM_THREADS",
        "1",
    ]
    words += [
        "--setenv",
        "LANG",
        "C.UTF-8",
        "--",
        "prlimit",
        "--nproc=512",
        f"--as={8 << 30}",
        f"--fsize={1 << 30}",
        "--core=0",
    ]
    if root_here():
        words += ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
        for path in (root, *root.rglob("*")):
            os.chown(path, int(USER), int(USER), follow_symlinks=False)
    limit = int(SECONDS)
    script = f"cp -RP /seed/. . && echo started && timeout -k 3 {limit} {program} >log 2>&1; "
    script += f"exec {python} report.py"
    start = time.monotonic()
    command = [*words, "sh", "-c", script]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS + 30, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return {}, time.monotonic() - start
    if not done.stdout.startswith(b"started"):
        raise RuntimeError(f"the benchmark's own sandbox did not start: {done.stderr.decode()[-500:]}")
    try:
        return json.loads(done.stdout.splitlines()[-1]), time.monotonic() - start
    except ValueError:  # the report did not come to its end: neither did the grader
        return {}, time.monotonic() - start
