"""Grade all submissions of a lab: examine them side by side, record each in nbgrader's gradebook.

Killed at any moment and started again, it ends with the gradebook that an undisturbed run gives: what was
examined is kept (`outcomes`), and recording (`record`) can be repeated.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SAWarning
from tqdm import tqdm

from ganedu.grading import course as courses
from ganedu.grading import outcomes, rebuild, results, workers
from ganedu.grading.checker import Checker
from ganedu.grading.course import Course
from ganedu.grading.examine import Outcome, Setup, refuse
from ganedu.grading.manual import manual_points, maxima
from ganedu.grading.publish import cause
from ganedu.grading.record import Recorder
from ganedu.grading.results import Result
from ganedu.grading.sandbox import DEFAULTS, Limits, require_bubblewrap
from ganedu.grading.secret import FOLDER, course_secret
from ganedu.grading.text import printable


class Submission(NamedTuple):
    """What a student handed in: the SHA-256 of its bytes, or why there are none."""

    student: str
    path: Path
    digest: str = ""
    key: str = ""
    unreadable: str | None = None


def grade(
    lab: str,
    root: Path = Path("."),
    students: list[str] | None = None,
    unsandboxed: bool = False,
    progress: bool = True,
    limits: Limits = DEFAULTS,
    *,
    parallel: int | None = None,
    scheduler: str | None = None,
    slurm: bool = False,
    execute_all: bool = False,
    again: bool = False,
) -> list[Result]:
    """Grade submitted/*/LAB (or only `students`) and record the points; one Result a student, by name.

    Submissions are examined by `parallel` workers here (a core each by default), by those of the dask
    `scheduler` at that address, or by SLURM jobs. One that was examined before under the same conditions is
    not examined again unless `again`. Cells that are tagged as long are run if `execute_all`.

    Whatever is wrong with a submission is in its own Result. Raises ValueError for an unknown lab or student,
    where nobody has submitted or another run is at work, and `sandbox.SandboxMissing` where submissions
    cannot be isolated, unless `unsandboxed`.
    """
    course = courses.open_course(root, lab)
    known = course.students(lab)
    if missing := sorted(set(students or ()) - set(known)):
        raise ValueError(
            f"students: {', '.join(missing)} did not submit {lab}; known: {', '.join(known) or 'nobody'}"
        )
    if not unsandboxed:
        require_bubblewrap()
    secret = course_secret(course.root)
    with _alone(course.root), Checker(course.checks_path(lab)) as checker:
        summary, released = checker.summary(), course.released(lab)
        courses.register(course, lab, summary)
        if not known:
            raise ValueError(
                f"lab: nobody has submitted {lab}; submissions lie in submitted/STUDENT/{lab}/{lab}.ipynb"
            )
        checker.close()  # the examiners have their own
        setup = Setup(
            str(course.checks_path(lab)), str(course.released_path(lab)), limits, unsandboxed, execute_all
        )
        conditions = outcomes.conditions(course.checks_path(lab).parent, secret, setup)
        handed_in = [_read(course, student, lab, conditions) for student in sorted(students or known)]
        task = workers.Task(str(course.root), lab, setup, outcomes.environment())
        given, possible = manual_points(course, lab), sum(maxima(released).values())
        found: dict[str, Result] = {}
        with (
            warnings.catch_warnings(),
            Recorder(course, lab) as recorder,
            tqdm(total=len(handed_in), desc=f"grading {lab}", unit="student", disable=not progress) as bar,
        ):
            warnings.simplefilter("ignore", SAWarning)  # nbgrader builds objects before it adds them
            asked = _examined(handed_in, task, parallel, scheduler, slurm, again)
            for submission, outcome in asked:
                if isinstance(outcome, str):  # why there is none, in words for the instructor
                    outcome = refuse(released, summary, outcome)
                by_hand = given.get(submission.student, 0.0), possible
                result = _record(recorder, submission, outcome, by_hand, sandboxed=not unsandboxed)
                results.save(course.root, result)
                found[submission.student] = result
                bar.set_postfix_str(submission.student)
                bar.update()
    return [found[student] for student in sorted(found)]


def _read(course: Course, student: str, lab: str, conditions: str) -> Submission:
    path = course.submission(student, lab)
    try:
        data = rebuild.read(path)
    except rebuild.Unreadable as error:
        return Submission(student, path, unreadable=str(error))
    return Submission(student, path, hashlib.sha256(data).hexdigest(), outcomes.key(conditions, data))


def _examined(
    handed_in: list[Submission],
    task: workers.Task,
    parallel: int | None,
    scheduler: str | None,
    slurm: bool,
    again: bool,
) -> Iterator[tuple[Submission, Outcome | str]]:
    """Each submission with its outcome, or with why it has none: first those that need no worker."""
    waiting: dict[str, list[Submission]] = {}  # by key: equal submissions are examined once
    for submission in handed_in:
        record = None if again else outcomes.load(Path(task.root), task.lab, submission.key)
        if submission.unreadable:
            yield submission, submission.unreadable
        elif record:
            yield submission, outcomes.as_outcome(record)
        else:
            waiting.setdefault(submission.key, []).append(submission)
    if not waiting:
        return
    jobs = [workers.Job(key, str(same[0].path), same[0].digest) for key, same in waiting.items()]
    parallel = parallel and min(parallel, len(jobs))
    with workers.start(parallel, scheduler, slurm) as client:
        for job, record in workers.examine(client, task, jobs):
            for submission in waiting[job.key]:
                if isinstance(record, str):
                    yield submission, f"not graded, grade it again: {record}"
                else:
                    yield submission, outcomes.as_outcome(record)


def _record(
    recorder: Recorder,
    submission: Submission,
    outcome: Outcome,
    by_hand: tuple[float, float],
    *,
    sandboxed: bool,
) -> Result:
    """Write an outcome; `by_hand` has the points that a human gave, and could give."""
    student, lab, root = submission.student, recorder.lab, recorder.course.root
    before = results.find(root, lab, student)
    unchanged = before is not None and bool(submission.key) and before.outcome == submission.key
    try:
        remark = recorder.record(student, outcome, unchanged=unchanged)
    except OSError:
        raise  # a full disk concerns everybody
    except Exception as error:
        remark = f"not recorded in the gradebook: {cause(error)}"
    problems = [
        *outcome.problems,
        *(v.error for v in outcome.verdicts if v.error),
        *([remark] if remark else []),
    ]
    return Result(
        student=student,
        lab=lab,
        score=float(sum(verdict.points for verdict in outcome.verdicts)),
        max_score=float(sum(verdict.max_points for verdict in outcome.verdicts)),
        manual_score=by_hand[0],
        manual_max=by_hand[1],
        seconds=round(outcome.seconds, 2),
        sandboxed=sandboxed,
        error=printable("; ".join(filter(None, problems))) or None,
        submission=submission.digest,
        outcome=submission.key,
        checks=[results.as_check(verdict) for verdict in outcome.verdicts],
    )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One grader a course: the lock goes with the process that holds it."""
    with (root / FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"root: {root} is being graded already; wait for that run, or end it") from None
        yield
