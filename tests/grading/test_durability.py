"""Killed at any moment and taken up again, a run ends with the gradebook that an undisturbed run gives."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ganedu.grading import examples, release
from ganedu.grading.checks import load
from tests.grading.ledger import ledger
from tests.grading.mini_course import LAB, released, submit, write_course

pytestmark = pytest.mark.slow

SECRET = bytes(range(32))
# The points for double and slope of each student whose submission is examined, and of the others.
EXAMINED = {"full": (2, 2), "half": (0, 2), "wrong": (0, 2), "dies": (0, 2)}
EARNED = EXAMINED | {"corrupt": (0, 0), "nothing": (0, 0)}
HOUR = 3600.0  # only so that a run that hangs does not hang the tests

# What is killed beside the "run", the main process itself, by a word of its command line.
WORDS = {
    "examiner": "ganedu.grading.examiner",
    "judge": "ganedu.grading.judge",
    "kernel": "ganedu_guest.launch",
}
# Twenty kills, of four courses. A run that is killed is taken up by another, which the next kills hit.
CHAINS = (
    ("examiner", "run", "judge", "run", "examiner"),
    ("judge", "run", "examiner", "run", "judge"),
    ("kernel", "run", "examiner", "run", "kernel"),
    ("kernel", "run", "judge", "run", "kernel"),
)


@pytest.fixture(scope="module")
def untouched(sandboxed, tmp_path_factory):
    """A course that nobody has graded: full, half, wrong, corrupt, missing, and one that ends its kernel."""
    root = write_course(tmp_path_factory.mktemp("durable") / "course")
    release(LAB, root)
    (root / ".ganedu").mkdir(mode=0o700, exist_ok=True)
    (root / ".ganedu" / "secret").write_bytes(SECRET)
    right = load(root / "solutions" / LAB / "checks.py").reference
    clean = released(root)
    submit(root, "full", examples.answered(clean, right))
    submit(root, "half", examples.answered(clean, {"slope": right["slope"]}))
    submit(root, "wrong", examples.answered(clean, right | {"double": "def double(x):\n    return x**2"}))
    submit(root, "dies", examples.answered(clean, right | {"double": "import os\nos._exit(1)"}))
    submit(root, "corrupt", b"{")
    (root / "submitted" / "nothing" / LAB).mkdir(parents=True)
    return root


def start(root: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ganedu", "grade", LAB, "--workers", "2", "--json", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with (root / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)


def finish(process: subprocess.Popen) -> int:
    try:
        return process.wait(timeout=HOUR)
    finally:
        process.kill()


def processes(process: subprocess.Popen) -> list[psutil.Process]:
    """A run's main process and all below it; none once it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        main = psutil.Process(process.pid)
        return [main, *main.children(recursive=True)]
    return []


def work(found: list[psutil.Process]) -> float:
    """Seconds of processor time of these processes and of those that they have waited for.

    How far a run has come: unlike the clock, it stands still while others have the processor.
    """
    seconds = 0.0
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def named(found: list[psutil.Process], name: str) -> list[psutil.Process]:
    """Those of a run's processes that are called `name` here."""
    if name == "run":
        return found[:1]
    kept = []
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            if WORDS[name] in process.cmdline():
                kept.append(process)
    return kept


def to_examine(root: Path) -> int:
    """How many submissions have no record yet."""
    handed_in = [student for student in EXAMINED if (root / "submitted" / student).exists()]
    return len(handed_in) - len(list((root / ".ganedu" / "outcomes" / LAB).glob("*.json")))


def kill(process: subprocess.Popen, root: Path, name: str, moment: float, left: int, rng: random.Random):
    """SIGKILL one process called `name` of a run; what was hit in words, or "" if the run has ended before.

    It is time once the run has done the work `moment`, or examines the last but `left` submissions; where
    there is no such process then, the next one that comes up is it.
    """
    while process.poll() is None:
        found = processes(process)
        done = work(found)
        if done >= moment or (to_examine(root) <= left and named(found, "judge")):
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                rng.choice(named(found, name)).send_signal(signal.SIGKILL)
                return f"{name} after {done:.1f} s of work, {to_examine(root)} to examine"
        time.sleep(0.25)
    return ""


@pytest.fixture(scope="module")
def undisturbed(untouched, tmp_path_factory):
    """The gradebook of an undisturbed run, and the work that it took."""
    root = shutil.copytree(untouched, tmp_path_factory.mktemp("undisturbed") / "course")
    process, seconds = start(root), 0.0
    while process.poll() is None:
        seconds = max(seconds, work(processes(process)))
        time.sleep(0.5)
    assert process.returncode == 0, (root / "log").read_text()[-2000:]
    lines = ledger(root, LAB)
    points = {(line[0], line[1]): line[2] for line in lines}
    earned = {student: (points[student, "double_test"], points[student, "slope_test"]) for student in EARNED}
    assert earned == EARNED, (root / "log").read_text()[-9000:]
    return lines, seconds


def leftovers(root: Path) -> list[str]:
    """Half-written files; whole ones have other names."""
    return [path.name for path in root.rglob("*.part")]


@pytest.mark.parametrize("chain", range(len(CHAINS)))
def test_killed_runs_taken_up_again_give_the_undisturbed_gradebook(untouched, undisturbed, tmp_path, chain):
    expected, whole = undisturbed
    root = shutil.copytree(untouched, tmp_path / "course")
    to_kill = list(CHAINS[chain])
    if "kernel" in to_kill:  # two deaths of a kernel are held against its submission, whoever caused them
        shutil.rmtree(root / "submitted" / "dies")
        expected = [line for line in expected if line[0] != "dies"]
    rng, hits, how = random.Random(chain), [], []
    for _ in range(8):  # three runs, and one more for each that ended before it was hit
        run, moment = start(root, *how), 0.0
        likely = whole * (0.4 + 0.6 * max(to_examine(root), 1) / len(EXAMINED))
        while to_kill:
            moment += rng.uniform(0.05, 0.5) * likely
            hit = kill(run, root, to_kill[0], moment, left=to_kill.count("run"), rng=rng)
            hits += [hit] if hit else ["missed: the run had ended"]
            if not hit or to_kill.pop(0) == "run":
                break
        code = finish(run)
        if code == -signal.SIGKILL:
            how = ["--resume"]
            continue
        said = hits, (root / "log").read_text()[-9000:]
        assert code == 0, said
        assert ledger(root, LAB) == expected and not leftovers(root), said
        if not to_kill:
            break
        how = ["--again"]
    print("\n".join(hits))
    assert not to_kill and len([hit for hit in hits if "missed" not in hit]) == len(CHAINS[chain]), hits


def test_a_full_disk_is_said_and_costs_nobody_points(untouched, undisturbed, tmp_path):
    """The course lies on a file system of a few MB, full but for a little; then room is made."""
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path]).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        root = shutil.copytree(untouched, tmp_path / "course")
        for student in ("dies", "wrong"):
            shutil.rmtree(root / "submitted" / student)
        ballast = root / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(ballast, ballast.stat().st_size - 300_000)
        codes = [finish(start(root))]
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))
        codes.append(finish(start(root)))
        ballast.unlink()
        assert finish(start(root, "--resume")) == 0
        assert codes[-1] == 2, codes
        expected = [line for line in undisturbed[0] if line[0] not in ("dies", "wrong")]
        assert ledger(root, LAB) == expected and not leftovers(root)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
