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

KILLS = 20
SECRET = bytes(range(32))
# What to kill, by a word of its command line; None is the main process itself.
TARGETS = (None, "ganedu.grading.examiner", "ganedu_guest.launch", "ganedu.grading.judge")


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
    return process.wait(timeout=300)


@pytest.fixture(scope="module")
def undisturbed(untouched, tmp_path_factory):
    root = shutil.copytree(untouched, tmp_path_factory.mktemp("undisturbed") / "course")
    begun = time.monotonic()
    assert finish(start(root)) == 0, (root / "log").read_text()[-2000:]
    lines = ledger(root, LAB)
    points = {(line[0], line[1]): line[2] for line in lines}
    earned = {student for (student, name), value in points.items() if name == "double_test" and value == 2}
    assert earned == {"full"} and points["dies", "slope_test"] == points["half", "slope_test"] == 2
    return lines, time.monotonic() - begun


def kill(process: subprocess.Popen, target: str | None) -> bool:
    """SIGKILL the run, or one of its processes if there is one now."""
    if target is None:
        process.kill()
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if target in child.cmdline():
                    child.send_signal(signal.SIGKILL)
                    return True
    return False


def leftovers(root: Path) -> list[str]:
    """Half-written files; whole ones have other names."""
    return [path.name for path in root.rglob("*.part")]


@pytest.mark.parametrize("trial", range(KILLS))
def test_a_killed_run_taken_up_again_gives_the_undisturbed_gradebook(untouched, undisturbed, tmp_path, trial):
    expected, seconds = undisturbed
    root = shutil.copytree(untouched, tmp_path / "course")
    moment = random.Random(trial).uniform(0.1, 1.0) * seconds
    process = start(root)
    deadline = time.monotonic() + moment
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    while process.poll() is None and not kill(process, TARGETS[trial % len(TARGETS)]):
        time.sleep(0.01)  # there is no such process at this moment; the next one that comes up is it
    finish(process)
    assert finish(start(root, "--resume")) == 0, (root / "log").read_text()[-2000:]
    assert ledger(root, LAB) == expected and not leftovers(root)


def test_a_full_disk_is_said_and_costs_nobody_points(untouched, undisturbed, tmp_path):
    """The course lies on a file system of a few MB, full but for a little; then room is made."""
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path]).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        root = shutil.copytree(untouched, tmp_path / "course")
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
        assert ledger(root, LAB) == undisturbed[0] and not leftovers(root)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
