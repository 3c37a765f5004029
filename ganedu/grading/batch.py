"""Grade all submissions of a lab: examine them side by side, record each in nbgrader's gradebook.

Killed at any moment and started again, it ends with the gradebook that an undisturbed run gives: what was
examined is kept (`outcomes`), and recording (`record`) can be repeated.
"""

from __future__ import annotations

import errno
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager as ContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from distributed import Client
from nbformat import NotebookNode
from sqlalchemy.exc import SAWarning
from tqdm import tqdm

from ganedu.grading import course as courses
from ganedu.grading import outcomes, rebuild, results, runs, workers
from ganedu.grading.course import Course
from ganedu.grading.examine import Outcome, Setup, refuse
from ganedu.grading.fingerprint import environment
from ganedu.grading.manual import manual_points, maxima
from ganedu.grading.outcomes import Record
from ganedu.grading.publish import cause
from ganedu.grading.record import Recorder
from ganedu.grading.results import Result
from ganedu.grading.runs import Choice
from ganedu.grading.sandbox import DEFAULTS, Limits, require_apart, require_bubblewrap
from ganedu.grading.secret import FOLDER, course_secret
from ganedu.grading.text import printable
from ganedu.grading.verdicts import LabSummary
from ganedu.grading.workers import Job, Task

# A disk that is full or fails concerns all students; any other error one of them.
EVERYBODYS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


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
    resume: bool = False,
) -> list[Result]:
    """Grade submitted/*/LAB (or only `students`) and record the points; one Result a student, by name.

    Submissions are examined by `parallel` workers here (a core each by default), by those of the dask
    `scheduler` at that address, or by SLURM jobs. One that was examined before under the same conditions is
    not examined again unless `again`. Cells that are tagged as long are run if `execute_all`. With `resume`,
    a run that was cut short is taken up: its choice of students, sandbox and cells holds, not this call's.

    Whatever is wrong with a submission is in its own Result. Raises ValueError for an unknown lab or student,
    where nobody has submitted or another run is at work, and `sandbox.SandboxMissing` where submissions
    cannot be isolated, unless `unsandboxed`.
    """
    course = courses.open_course(root, lab)
    choice = Choice(students, unsandboxed, execute_all)
    if resume:
        choice = runs.interrupted(course.root, lab) or choice
    known = course.students(lab)
    if missing := sorted(set(choice.students or ()) - set(known)):
        raise ValueError(
            f"students: {', '.join(missing)} did not submit {lab}; known: {', '.join(known) or 'nobody'}"
        )
    if not choice.unsandboxed:
        require_bubblewrap()
        require_apart(course.root)
    secret = course_secret(course.root)
    with runs.alone(course.root):
        for folder in (FOLDER, course.directory.autograded_directory):
            results.sweep(course.root / folder)
        summary = course.summary(lab)
        courses.register(course, lab, summary)
        if not known:
            raise ValueError(
                f"lab: nobody has submitted {lab}; submissions lie in submitted/STUDENT/{lab}/{lab}.ipynb"
            )
        checks, released = course.checks_path(lab), course.released_path(lab)
        setup = Setup(str(checks), str(released), limits, choice.unsandboxed, choice.execute_all)
        conditions = outcomes.conditions(checks.parent, secret, setup)
        handed_in = [_read(course, student, lab, conditions) for student in sorted(choice.students or known)]
        task = Task(str(course.root), summary, setup, environment())
        start = partial(workers.start, parallel, scheduler, slurm)
        with runs.kept(course.root, lab, choice):
            if again:
                outcomes.forget(course.root, lab, {submission.key for submission in handed_in})
            outcome_of = partial(_outcome, course.released(lab), summary)
            examined = ((s, outcome_of(found)) for s, found in _examined(handed_in, task, start))
            bar = tqdm(examined, f"grading {lab}", len(handed_in), unit="student", disable=not progress)
            found = _recorded(course, lab, bar, sandboxed=not choice.unsandboxed)
            return sorted(found, key=lambda result: result.student)


def _read(course: Course, student: str, lab: str, conditions: str) -> Submission:
    path = course.submission(student, lab)
    try:
        data = rebuild.read(path)
    except rebuild.Unreadable as error:
        return Submission(student, path, unreadable=str(error))
    return Submission(student, path, hashlib.sha256(data).hexdigest(), outcomes.key(conditions, data))


def _examined(
    handed_in: list[Submission], task: Task, start: Callable[[], ContextManager[Client]]
) -> Iterator[tuple[Submission, Record | str]]:
    """Each submission with its record, or with why it has none: first those that need no worker."""
    waiting: dict[str, list[Submission]] = {}  # by key: equal submissions are examined once
    for submission in handed_in:
        if submission.unreadable:
            yield submission, submission.unreadable
        elif record := outcomes.load(Path(task.root), task.lab.name, submission.key):
            yield submission, record
        else:
            waiting.setdefault(submission.key, []).append(submission)
    if not waiting:
        return
    jobs = [Job(key, str(same[0].path), same[0].digest) for key, same in waiting.items()]
    with start() as client:
        for job, found in workers.examine(client, task, jobs):
            why = f"not graded, grade it again: {found}" if isinstance(found, str) else None
            yield from ((submission, why or found) for submission in waiting[job.key])


def _outcome(released: NotebookNode, summary: LabSummary, found: Record | str) -> Outcome:
    return refuse(released, summary, found) if isinstance(found, str) else outcomes.as_outcome(found)


def _recorded(
    course: Course, lab: str, examined: Iterable[tuple[Submission, Outcome]], *, sandboxed: bool
) -> Iterator[Result]:
    """Write each outcome into nbgrader's gradebook, and its result beside it."""
    given, possible = manual_points(course, lab), sum(maxima(course.released(lab)).values())
    with Recorder(course, lab) as recorder:
        for submission, outcome in examined:
            by_hand = given.get(submission.student, 0.0), possible
            result = _record(recorder, submission, outcome, by_hand, sandboxed=sandboxed)
            results.save(course.root, result)
            yield result


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
    problems = [*outcome.problems, *(v.error for v in outcome.verdicts), None]
    try:
        student.encode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader builds objects before it adds them
            problems[-1] = recorder.record(student, outcome, unchanged=unchanged)
    except UnicodeEncodeError:
        problems[-1] = "not recorded in the gradebook: the name of the student's folder is no text"
    except Exception as error:
        if getattr(error, "errno", None) in EVERYBODYS:
            raise
        problems[-1] = f"not recorded in the gradebook: {cause(error)}"
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
