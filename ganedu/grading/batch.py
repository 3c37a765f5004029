"""Grade all submissions of a lab: examine each in its own sandbox, record it in nbgrader's gradebook."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import parse_utc
from sqlalchemy.exc import SAWarning
from tqdm import tqdm

from ganedu.grading import course as courses
from ganedu.grading import rebuild, results
from ganedu.grading.border import printable
from ganedu.grading.checker import Checker
from ganedu.grading.checks import LabChecks
from ganedu.grading.course import Course
from ganedu.grading.examine import Outcome, course_secret, examine, refuse
from ganedu.grading.preprocessors import JUDGE, Recorded, submitted
from ganedu.grading.publish import cause
from ganedu.grading.results import Result
from ganedu.grading.sandbox import DEFAULTS, Limits, require_bubblewrap


def grade(
    lab: str,
    root: Path = Path("."),
    students: list[str] | None = None,
    unsandboxed: bool = False,
    progress: bool = True,
    limits: Limits = DEFAULTS,
) -> list[Result]:
    """Grade submitted/*/LAB (or only `students`) and record the points; one Result a student, by name.

    Whatever is wrong with a submission is in its own Result. Raises ValueError for an unknown lab or student
    or where nobody has submitted, and `sandbox.SandboxMissing` where submissions cannot be isolated, unless
    `unsandboxed`.
    """
    course = courses.open_course(root, lab)
    known = course.students(lab)
    if missing := sorted(set(students or ()) - set(known)):
        raise ValueError(
            f"students: {', '.join(missing)} did not submit {lab}; known: {', '.join(known) or 'nobody'}"
        )
    if not unsandboxed:
        require_bubblewrap()
    courses.register(course, lab)
    if not known:
        raise ValueError(
            f"lab: nobody has submitted {lab}; submissions lie in submitted/STUDENT/{lab}/{lab}.ipynb"
        )
    checks, released, secret = course.checks(lab), course.released(lab), course_secret(course.root)
    found = []
    with Checker(course.checks_path(lab)) as checker:
        bar = tqdm(sorted(students or known), desc=f"grading {lab}", unit="student", disable=not progress)
        for student in bar:
            bar.set_postfix_str(student)
            data = submitted(course, student, lab)
            try:
                outcome = examine(data, released, checks, checker, secret, limits, unsandboxed=unsandboxed)
            except Exception as error:  # ours, not the student's: no verdict, no points, and said
                outcome = _unexamined(released, checks, error)
            try:
                error = _record(course, student, lab, outcome)
            except Exception as failure:
                error = f"not recorded in the gradebook: {cause(failure)}"
            digest = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""
            found.append(_result(course, student, lab, outcome, digest, error, sandboxed=not unsandboxed))
            results.save(course.root, found[-1])
    return found


def _unexamined(released, checks: LabChecks, error: Exception) -> Outcome:
    reason = f"not graded, grade it again: {cause(error)}"
    return Outcome(*refuse(released, checks, reason), [reason], 0.0)


def _record(course: Course, student: str, lab: str, outcome: Outcome) -> str | None:
    """Give an examined submission to nbgrader's autograde; returns what went wrong, in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # nbgrader builds objects before it adds them
        with course.gradebook() as gradebook:
            _reset(gradebook, student, lab)
        return _autograde(course, student, lab, outcome)


def _autograde(course: Course, student: str, lab: str, outcome: Outcome) -> str | None:
    if not course.submission(student, lab).is_file():
        return None
    with _incoming(course, student, lab) as (directory, remark):
        converter = Autograde(coursedir=directory, config=course.config, log=courses.log())
        converter.force = True
        steps = converter.autograde_preprocessors
        converter.autograde_preprocessors = [Recorded(outcome) if step == JUDGE else step for step in steps]
        try:
            converter.start()
        except Exception as error:
            return f"not recorded in the gradebook: {cause(error)}"
    return remark


@contextlib.contextmanager
def _incoming(course: Course, student: str, lab: str) -> Iterator[tuple[CourseDirectory, str | None]]:
    """What nbgrader is given in place of the student's folder, and a remark.

    nbgrader copies whatever lies beside a notebook, through links too: another's work, the secret. So it gets
    a folder of ours, with an empty notebook (what we recorded takes its place) and the time of submission.
    """
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=course.root / ".ganedu") as private:
        folder = Path(private) / student / lab
        folder.mkdir(parents=True)
        (folder / f"{lab}.ipynb").touch()
        remark = _copy_timestamp(course.submission(student, lab).with_name("timestamp.txt"), folder)
        directory = courses.open_course(course.root, lab).directory
        directory.submitted_directory = str(Path(private).relative_to(course.root))
        directory.student_id = glob.escape(student)
        yield directory, remark


def _copy_timestamp(path: Path, folder: Path) -> str | None:
    """Copy nbgrader's time of submission if it is one; a remark if it is not."""
    if not path.is_symlink() and not path.exists():
        return None
    try:
        text = rebuild.read(path)[:100].decode()
        parse_utc(text.strip())
    except (ValueError, OverflowError):
        return "timestamp.txt holds no time: the time of submission is not recorded"
    (folder / path.name).write_text(text)
    return None


def _reset(gradebook: Gradebook, student: str, lab: str) -> None:
    """No automatic points outlive the submission they were for; a human's stay, marked for review."""
    gradebook.update_or_create_student(student)
    submission = gradebook.update_or_create_submission(lab, student)
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            grade.auto_score = 0.0
            grade.needs_manual_grade = grade.manual_score is not None
    gradebook.db.commit()


def _result(
    course: Course,
    student: str,
    lab: str,
    outcome: Outcome,
    digest: str,
    error: str | None,
    *,
    sandboxed: bool,
) -> Result:
    problems = [
        *outcome.problems,
        *(v.error for v in outcome.verdicts if v.error),
        *([error] if error else []),
    ]
    manual, manual_max = manual_points(course, student, lab)
    return Result(
        student=student,
        lab=lab,
        score=float(sum(verdict.points for verdict in outcome.verdicts)),
        max_score=float(sum(verdict.max_points for verdict in outcome.verdicts)),
        manual_score=manual,
        manual_max=manual_max,
        seconds=round(outcome.seconds, 2),
        sandboxed=sandboxed,
        error=printable("; ".join(problems)) or None,
        submission=digest,
        checks=[results.as_check(verdict) for verdict in outcome.verdicts],
    )


def manual_points(course: Course, student: str, lab: str) -> tuple[float, float]:
    """(given, possible) points of the cells that a human grades."""
    cells = [cell.metadata.nbgrader for cell in course.released(lab).cells if rebuild.is_manual(cell)]
    names = {cell.grade_id for cell in cells}
    given = 0.0
    with course.gradebook() as gradebook:
        try:
            notebooks = gradebook.find_submission(lab, student).notebooks
        except MissingEntry:
            notebooks = []
        for notebook in notebooks:
            given += sum(grade.manual_score or 0.0 for grade in notebook.grades if grade.name in names)
    return given, float(sum(cell.points for cell in cells))
