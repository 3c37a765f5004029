"""The whole corpus in one course, with honest students among it: what each earns, what stays as it was."""

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from ganedu.grading import release, results
from ganedu.grading.kernel import Kernel
from ganedu.grading.results import Result
from ganedu.grading.sandbox import DEFAULTS
from tests.grading.corpus import HOSTILE, NOISY
from tests.grading.corpus.entry import FUNCTIONS, HANGS, POINTS, RIGHT, Entry, answered, files, write
from tests.grading.mini_course import LAB, ROOT, released, write_course
from tests.grading.run_corpus import groups

QUICK = ("agreeable number", "reads the frames", "lying guest", "ends in its call")
HONEST = ("ada", "hostile-kim", "lise", "noisy-max", "zoe")
MEMORY_LIMIT = 1 << 30  # bytes of all our grading processes together
STOPPING = 300.0  # seconds: an interrupt, a kill and new kernels, on a slow machine too

PROBE = """
import hashlib, json, os, sys
def tree(top):
    found = {}
    for folder, below, names in os.walk(top):
        below[:] = [n for n in below if os.path.join(folder, n) != sys.prefix]  # a clone may lie in /tmp
        for path in (os.path.join(folder, name) for name in ("", *names)):
            status = os.lstat(path)
            size = status.st_size if os.path.isfile(path) else 0
            found[path] = [status.st_mode, size, status.st_uid == os.getuid()]
    return found
def brief(found): return hashlib.sha256(json.dumps(found).encode()).hexdigest()
places = {top: tree(top) for top in ("/home", "/tmp", "/dev/shm")}
places |= {top: brief(tree(top)) for top in ("/opt", "/etc")}
packages = {path: brief(sorted(os.listdir(path))) for path in sys.path if os.path.isdir(path)}
names = [brief(sorted(sys.modules)), sorted(globals()), [type(f).__name__ for f in sys.meta_path]]
print(json.dumps([dict(os.environ), os.getcwd(), sys.path, names, places, packages, sorted(os.listdir("/"))]))
"""


class Graded(NamedTuple):
    """The course after grading, and what was noted around it."""

    root: Path
    results: dict[str, Result]
    status: int
    said: str
    peak: int
    before: tuple[dict, str]
    after: tuple[dict, str]


def student_of(entry: Entry, kind: str) -> str:
    return entry.student or f"{kind}-{entry.name.replace(' ', '_')}"


STUDENTS = {student_of(e, kind): e for kind, part in (("hostile", HOSTILE), ("noisy", NOISY)) for e in part}
LIMITS = {student: entry.limits for student, entry in STUDENTS.items()}
LIMITS |= dict.fromkeys(HONEST[::2], DEFAULTS) | dict.fromkeys(HONEST[1::2], HANGS)  # some among each


@pytest.fixture(scope="module")
def graded(sandboxed, tmp_path_factory) -> Graded:
    root = write_course(tmp_path_factory.mktemp("corpus"), doubles=FUNCTIONS[:2])
    release(LAB, root)
    clean = released(root)
    for student, entry in STUDENTS.items():
        write(root, student, entry.build(clean))
    for student in HONEST:
        write(root, student, files(answered(clean, RIGHT)))
    before = kept(root), next_kernel()
    command = [sys.executable, "-m", "tests.grading.run_corpus", str(root), LAB, groups(LIMITS)]
    log = root.parent / f"{root.name}.log"
    with log.open("wb") as file, subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file) as process:
        peak = peak_memory(process)
    found = {r.student: r for r in results.load_all(root, LAB)}
    after = kept(root), next_kernel()
    return Graded(root, found, process.returncode, log.read_text()[-3000:], peak, before, after)


def peak_memory(process: subprocess.Popen) -> int:
    """Wait for `process`; the largest sum, in bytes, of what it and its children held, sandboxes left out."""
    top, largest, over = psutil.Process(process.pid), 0, threading.Event()
    threading.Thread(target=lambda: (process.wait(), over.set()), daemon=True).start()
    while not over.wait(0.25):
        most = held(top, lambda process: process.memory_info().rss)
        if most >= MEMORY_LIMIT:  # shared pages count once: that takes long, so only where it decides
            most = held(top, lambda process: process.memory_full_info().pss)
        largest = max(largest, most)
    return largest


def held(top: psutil.Process, count: Callable[[psutil.Process], int]) -> int:
    """The sum of `count` over `top` and all below it but bubblewrap and what that started."""
    total, inside = 0, set()
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (top, *top.children(recursive=True)):  # parents come first
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.name() == "bwrap" or process.ppid() in inside:
                    inside.add(process.pid)
                else:
                    total += count(process)
    return total


def kept(root: Path) -> dict[str, str]:
    """Everything that grading must leave as it is, by path: the course's own files and the checkout's."""
    places = [root / name for name in ("submitted", "solutions", "labs", "nbgrader_config.py")]
    paths = [path for place in places for path in (place, *place.rglob("*"))]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout
    paths += [ROOT / name for name in tracked.split("\0") if name]
    return {str(path): digest(path) for path in paths}


def digest(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no regular file"


def next_kernel() -> str:
    """What a new kernel finds: its environment, its files, its modules."""
    with Kernel(("ganedu.rng",), DEFAULTS) as kernel:
        (output,) = kernel.run(PROBE, 60).outputs
        return output.text.replace(str(kernel.folder), "FOLDER")


def points(result: Result) -> dict[str, float]:
    return {check["grade_id"].removesuffix("_test"): check["points"] for check in result.checks}


@pytest.mark.slow
def test_a_few_of_them_earn_nothing_where_they_spoil_what_they_deserve(graded):
    """To the point, where the tests below leave it open what a submission does to itself."""
    chosen = {student: entry for student, entry in STUDENTS.items() if entry.name in (*QUICK, "numpy")}
    earned = {student: graded.results[student].score for student in chosen}
    spoilt = {student: 0.0 for student, entry in chosen.items() if entry.spoils}
    assert len(chosen) == len(QUICK) + 1
    assert earned == {student: entry.score for student, entry in chosen.items()} | spoilt


@pytest.mark.slow
def test_the_batch_goes_to_its_end(graded):
    assert graded.status == 0, graded.said
    assert set(graded.results) == {*STUDENTS, *HONEST}


@pytest.mark.slow
@pytest.mark.parametrize("student", HONEST)
def test_an_honest_student_among_them_gets_full_marks(graded, student):
    assert points(graded.results[student]) == dict.fromkeys(FUNCTIONS, POINTS), graded.results[student]


@pytest.mark.slow
@pytest.mark.parametrize("student", [s for s, e in STUDENTS.items() if e in HOSTILE], ids=ascii)
def test_a_hostile_submission_earns_what_its_right_answers_earn(graded, student):
    entry, result = STUDENTS[student], graded.results[student]
    expect = {name: POINTS * (name in entry.deserves) for name in FUNCTIONS}
    if entry.spoils:
        assert all(value in (0, expect[name]) for name, value in points(result).items()), result
    else:
        assert points(result) == expect, result


@pytest.mark.slow
@pytest.mark.parametrize("student", [s for s, e in STUDENTS.items() if e in NOISY])
def test_a_noisy_submission_loses_nothing(graded, student):
    assert points(graded.results[student]) == dict.fromkeys(FUNCTIONS, POINTS), graded.results[student]


@pytest.mark.slow
def test_no_submission_delays_the_batch_beyond_its_own_limit(graded):
    """Left alone, those that hang would go on for ten minutes at least."""
    assert HANGS.notebook + STOPPING < 600
    slow = {s: r.seconds for s, r in graded.results.items() if r.seconds > LIMITS[s].notebook + STOPPING}
    assert not slow


@pytest.mark.slow
def test_grading_processes_stay_small(graded):
    assert 0 < graded.peak < MEMORY_LIMIT


@pytest.mark.slow
def test_all_files_but_the_grades_are_byte_for_byte_what_they_were(graded):
    before, after = graded.before[0], graded.after[0]
    assert sorted(name for name in {*before, *after} if before.get(name) != after.get(name)) == []


@pytest.mark.slow
def test_the_next_kernel_is_as_clean_as_the_first(graded):
    before, after = (json.loads(seen) for _, seen in (graded.before, graded.after))
    assert after == before


@pytest.mark.slow
def test_the_gradebook_holds_the_verdicts_and_nothing_else(graded):
    with Gradebook(f"sqlite:///{graded.root}/gradebook.db") as gradebook:
        assert [a.name for a in gradebook.assignments] == [LAB]
        submissions = {s.student.id: s for s in gradebook.assignment_submissions(LAB)}
        nameless = {
            student for student in STUDENTS if not student.isprintable() and student not in submissions
        }
        assert all("gradebook" in graded.results[student].error for student in nameless)
        assert {student.id for student in gradebook.students} == {*STUDENTS, *HONEST} - nameless
        assert submissions.keys() == {*STUDENTS, *HONEST} - nameless
        for student, submission in submissions.items():
            (notebook,) = submission.notebooks
            scores = {g.name.removesuffix("_test"): g.auto_score or 0 for g in notebook.grades}
            assert scores == points(graded.results[student]) | {"question": 0}, student
            assert {g.name: g.manual_score for g in notebook.grades if g.manual_score} == {}, student
            assert {g.name: g.extra_credit for g in notebook.grades if g.extra_credit} == {}, student
            assert not any(comment.manual_comment for comment in notebook.comments), student


@pytest.mark.slow
def test_what_an_instructor_opens_runs_nothing(graded):
    for path in (graded.root / "autograded").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        data = [kind for c in notebook.cells for o in c.get("outputs", ()) for kind in o.get("data", ())]
        assert set(data) <= {"text/plain", "image/png"}, path
        assert not any("<script" in c.source for c in notebook.cells if c.cell_type == "markdown"), path
        assert path.stat().st_size < 20 << 20
