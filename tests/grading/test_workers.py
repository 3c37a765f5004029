"""Verdicts are the same with one worker, two, and a scheduler; what changes meanwhile is noticed."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from distributed import Client

from ganedu.grading import examples, grade, outcomes, runs, workers
from ganedu.grading.checks import load
from ganedu.grading.examine import Setup
from ganedu.grading.fingerprint import environment
from ganedu.grading.outcomes import Record
from ganedu.grading.verdicts import LabSummary, Verdict
from tests.grading.mini_course import LAB, released, submit


@pytest.fixture(scope="module")
def class_of_three(released_course, tmp_path_factory):
    """Three submissions: right, wrong, and the right one again by another student."""
    root = shutil.copytree(released_course, tmp_path_factory.mktemp("three") / "course")
    right = load(root / "solutions" / LAB / "checks.py").reference
    clean = released(root)
    submit(root, "ann", examples.answered(clean, right))
    submit(root, "ben", examples.answered(clean, right | {"double": "def double(x):\n    return x**2"}))
    submit(root, "cid", examples.answered(clean, right))
    return root


@pytest.fixture
def handed_in(class_of_three, tmp_path):
    """A copy of one's own, not graded."""
    return shutil.copytree(class_of_three, tmp_path / "three")


@pytest.fixture(scope="module")
def by_one(sandboxed, class_of_three, tmp_path_factory):
    """Another, and the results of one worker."""
    root = shutil.copytree(class_of_three, tmp_path_factory.mktemp("one") / "course")
    return root, grade(LAB, root, progress=False, parallel=1)


@pytest.fixture
def scheduler(tmp_path):
    """The address of a dask scheduler with a worker of two threads, both processes of their own."""
    address = tmp_path / "scheduler.json"
    words = ["--scheduler-file", str(address)]
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    dask = [sys.executable, "-m", "dask"]
    quiet = ["--no-dashboard"]
    processes = [subprocess.Popen([*dask, "scheduler", *words, *quiet, "--port", "0"], **common)]
    processes.append(
        subprocess.Popen([*dask, "worker", *words, *quiet, "--nthreads", "2", "--nworkers", "1"], **common)
    )
    try:
        with Client(scheduler_file=str(address), timeout=600) as client:
            client.wait_for_workers(1, timeout=600)
            where = client.scheduler.address
        yield where
    finally:
        for process in processes:
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_verdicts_do_not_depend_on_who_examines(by_one, scheduler, tmp_path):
    graded, results = by_one
    course = shutil.copytree(graded, tmp_path / "course")
    one = {r.student: (r.score, r.checks) for r in results}
    assert {student: score for student, (score, _) in one.items()} == {"ann": 4, "ben": 2, "cid": 4}
    for how in ({"parallel": 2}, {"scheduler": scheduler}):
        again = grade(LAB, course, progress=False, again=True, **how)
        assert {r.student: (r.score, r.checks) for r in again} == one


@pytest.mark.slow
def test_what_was_examined_is_not_examined_again(by_one, tmp_path, monkeypatch):
    graded, first = by_one
    course = shutil.copytree(graded, tmp_path / "course")
    assert len(list((course / ".ganedu/outcomes/mini").glob("*.json"))) == 2  # ann's and cid's are the same

    def refuse(*_):
        raise AssertionError("nothing is left to examine")

    monkeypatch.setattr(workers, "start", refuse)
    assert grade(LAB, course, progress=False) == first
    with pytest.raises(AssertionError, match="nothing is left"):
        grade(LAB, course, progress=False, again=True)


def test_a_record_is_for_one_secret_one_lab_and_one_way_to_grade(handed_in):
    lab = handed_in / "solutions" / LAB
    setup = Setup(str(lab / "checks.py"), str(handed_in / "labs" / LAB / f"{LAB}.ipynb"))

    def name(secret=b"s" * 32, setup=setup, data=b"{}"):
        return outcomes.key(outcomes.conditions(lab, secret, setup), data)

    names = {name(), name(b"t" * 32), name(data=b"{ }")}
    names |= {name(setup=setup._replace(execute_all=True)), name(setup=setup._replace(unsandboxed=True))}
    names |= {name(setup=setup._replace(limits=setup.limits._replace(cell=1.0)))}
    before = name()
    (lab / "hidden" / "answers.py").write_text("SECRET = 'another'\n")
    names.add(name())
    assert len(names) == 7 and before in names and name() != before


def test_a_record_comes_back_as_it_was_and_a_broken_one_is_none(tmp_path):
    verdict = Verdict("f_test", 1.0, 2.0, ("✓",))._asdict() | {"messages": ["✓"]}
    record = Record({"cells": []}, [verdict], ["a problem"], 1.5, 1)
    outcomes.save(tmp_path, LAB, "key", record)
    assert outcomes.load(tmp_path, LAB, "key") == record
    assert outcomes.as_record(outcomes.as_outcome(record)) == record._replace(
        verdicts=[{**record.verdicts[0], "messages": ("✓",)}]
    )
    outcomes.path(tmp_path, LAB, "key").write_text("{")
    assert outcomes.load(tmp_path, LAB, "key") is None is outcomes.load(tmp_path, LAB, "other")


@pytest.mark.parametrize(
    ("record", "doubtful"),
    [
        (Record({}, [{"error": None}], [], 1.0), False),
        (Record({}, [{"error": None}], [], 1.0, deaths=1), True),
        (Record({}, [{"error": "the check broke down"}], [], 1.0), True),
    ],
)
def test_what_may_come_from_outside_is_doubtful(record, doubtful):
    assert record.doubtful is doubtful


@pytest.mark.parametrize(("error", "points"), [(None, 0.0), ("the check broke down", 2.0)])
def test_of_two_tries_that_died_the_worse_counts_unless_a_check_broke_down(
    handed_in, monkeypatch, error, points
):
    tries = iter(
        Record({}, [{"points": earned, "error": why}], [], 1.0, deaths=1)
        for earned, why in ((0.0, error), (2.0, None))
    )
    monkeypatch.setattr(workers, "_examine", lambda *_: next(tries))
    task, asked = job(handed_in)
    digest = hashlib.sha256(Path(asked.path).read_bytes()).hexdigest()
    assert outcomes.points(workers.work(task, asked._replace(digest=digest))) == points


def job(root, **changes):
    path = root / "submitted" / "ann" / LAB / f"{LAB}.ipynb"
    setup = Setup("", "")
    task = workers.Task(str(root), LabSummary(LAB, (), None, (), {}), setup, environment())
    return task._replace(**changes), workers.Job("key", str(path), "0" * 64)


def test_a_worker_notices_another_environment_and_a_submission_that_changed(handed_in):
    assert "other versions" in workers.work(*job(handed_in, environment=("Python 2",)))
    assert "changed while it was graded" in workers.work(*job(handed_in))


def test_nobody_at_the_schedulers_address_is_an_error_in_words(handed_in, monkeypatch):
    with (
        pytest.raises(ValueError, match="scheduler: nobody answers at tcp://127.0.0.1:9"),
        workers.start(scheduler="tcp://127.0.0.1:9", patience=1),
    ):
        pass


def test_one_grader_at_a_time(handed_in):
    (handed_in / ".ganedu").mkdir(exist_ok=True)
    with runs.alone(handed_in), pytest.raises(ValueError, match="is being graded already"):
        grade(LAB, handed_in, progress=False, unsandboxed=True)


def test_the_choice_of_a_run_that_was_cut_short_is_kept(tmp_path):
    choice = runs.Choice(["ann"], execute_all=True)
    (tmp_path / ".ganedu").mkdir()
    with pytest.raises(KeyboardInterrupt), runs.kept(tmp_path, LAB, choice):
        raise KeyboardInterrupt
    assert runs.interrupted(tmp_path, LAB) == choice
    with runs.kept(tmp_path, LAB, choice):
        pass
    assert runs.interrupted(tmp_path, LAB) is None
