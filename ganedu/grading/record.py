"""The one writer: what was found of a submission goes into nbgrader's gradebook and folders.

It leaves there what `nbgrader autograde` would leave (a test holds it to that), in one transaction a student
and without opening the gradebook anew for each step.
"""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties

from ganedu.grading import course as courses
from ganedu.grading import rebuild, results
from ganedu.grading.course import Course
from ganedu.grading.examine import Outcome


class Recorder:
    """Writes outcomes of one lab. A context manager: the gradebook is open while it lasts."""

    def __init__(self, course: Course, lab: str):
        self.course, self.lab = course, lab
        self._gradebook: Gradebook = course.gradebook()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._gradebook.close()

    def record(self, student: str, outcome: Outcome, *, unchanged: bool = False) -> str | None:
        """Write one outcome; returns a remark, or None. A second time it changes nothing.

        Points that a human gave stay; they are to be reviewed unless the outcome is `unchanged` since. Raises
        OSError or an error of the database, and leaves the gradebook as it was.
        """
        timestamp, remark = self._timestamp(student)
        folder = self.course.root / self.course.directory.autograded_directory / student / self.lab
        folder.mkdir(parents=True, exist_ok=True)
        results.write(folder / f"{self.lab}.ipynb", nbformat.writes(outcome.notebook) + "\n")
        if timestamp:
            results.write(folder / "timestamp.txt", timestamp)
        try:
            submission = self._submission(student, timestamp)
            _score(submission, outcome, unchanged)
            self._gradebook.db.commit()
        except BaseException:
            self._gradebook.db.rollback()
            raise
        if submission.total_seconds_late > 0:
            self._penalise(student, outcome)
        return remark

    def _timestamp(self, student: str) -> tuple[str | None, str | None]:
        """nbgrader's time of submission, if there is one, and a remark if what is there is none."""
        path = self.course.submission(student, self.lab).with_name("timestamp.txt")
        if not path.is_symlink() and not path.exists():
            return None, None
        try:
            text = rebuild.read(path)[:100].decode()
            utils.parse_utc(text.strip())
        except (ValueError, OverflowError):
            return None, "timestamp.txt holds no time: the time of submission is not recorded"
        return text, None

    def _submission(self, student: str, timestamp: str | None) -> SubmittedAssignment:
        self._gradebook.update_or_create_student(student)
        time = {"timestamp": timestamp.strip()} if timestamp else {}
        return self._gradebook.update_or_create_submission(self.lab, student, **time)

    def _penalise(self, student: str, outcome: Outcome) -> None:
        """nbgrader's own step, with whatever plugin the course has configured."""
        names = {"notebook": self.lab, "assignment": self.lab, "student": student}
        step = AssignLatePenalties(config=self.course.config, log=courses.log())
        step.preprocess(outcome.notebook, {"nbgrader": names | {"db_url": self.course.directory.db_url}})
        self._gradebook.db.expire_all()


def _score(submission: SubmittedAssignment, outcome: Outcome, unchanged: bool) -> None:
    """Points and automatic comments of every cell, as nbgrader's `SaveAutoGrades` sets them."""
    points = {verdict.grade_id: verdict.points for verdict in outcome.verdicts}
    cells = {c.metadata.nbgrader.grade_id: c for c in outcome.notebook.cells if "nbgrader" in c.metadata}
    for notebook in submission.notebooks:
        notebook.late_submission_penalty = None
        for grade in notebook.grades:
            by_hand = grade.name in cells and grade.name not in points
            automatic = (
                utils.determine_grade(cells[grade.name])[0] if by_hand else points.get(grade.name, 0.0)
            )
            grade.auto_score = automatic
            if grade.manual_score is None:
                grade.needs_manual_grade = automatic is None
            elif not unchanged:
                grade.needs_manual_grade = True
        for comment in notebook.comments:
            comment.auto_comment = "No response." if _untouched(cells.get(comment.name)) else None


def _untouched(cell: NotebookNode | None) -> bool:
    """Whether an answer is as it was released."""
    if cell is None or utils.is_task(cell):
        return False
    return cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
