"""What humans gave: points and comments for all students of a lab, from nbgrader's gradebook, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nbformat import NotebookNode
from nbgrader.api import Assignment, BaseCell, Comment, Grade, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import select

from ganedu.grading import rebuild
from ganedu.grading.course import Course
from ganedu.grading.results import Result


class ByHand(NamedTuple):
    """One student's: points and comments by grade_id. `penalty` is nbgrader's, for a late submission.

    Points for a cell that a check grades take the place of its own; `extra` points come on top of either.
    """

    points: dict[str, float]
    extra: dict[str, float]
    comments: dict[str, str]
    penalty: float = 0.0


NOTHING = ByHand({}, {}, {})


def by_hand(course: Course, lab: str) -> dict[str, ByHand]:
    """What humans gave to whom, by student; only those who have a submission in the gradebook are in it."""
    found: dict[str, ByHand] = {}
    with course.gradebook() as gradebook:
        session = gradebook.db
        for student, penalty in session.execute(_of(lab, SubmittedNotebook.late_submission_penalty)):
            found[student] = ByHand({}, {}, {}, penalty or 0.0)
        grades = _of(lab, BaseCell.name, Grade.manual_score, Grade.extra_credit, holder=Grade)
        for student, name, points, extra in session.execute(grades):
            if points is not None:
                found[student].points[name] = points
            if extra:
                found[student].extra[name] = extra
        comments = _of(lab, BaseCell.name, Comment.manual_comment, holder=Comment)
        for student, name, comment in session.execute(comments):
            if comment and comment.strip():
                found[student].comments[name] = comment
    return found


def maxima(released: NotebookNode) -> dict[str, float]:
    """The most points of each cell that a human grades, by grade_id, in the notebook's order."""
    marks = [cell.metadata.nbgrader for cell in released.cells if rebuild.is_manual(cell)]
    return {mark.grade_id: float(mark.points) for mark in marks}


def manual_points(course: Course, lab: str) -> dict[str, float]:
    """Points of the cells that a human grades, by student."""
    names = maxima(course.released(lab))
    return {student: manual_sum(hand, names) for student, hand in by_hand(course, lab).items()}


def manual_sum(hand: ByHand, names: Mapping[str, float]) -> float:
    """Points for the cells `names`, which a human grades."""
    return sum((hand.points.get(name, 0.0) + hand.extra.get(name, 0.0) for name in names), 0.0)


def check_points(check: Mapping[str, object], hand: ByHand) -> float:
    """Points of a check's cell: its own, unless a human gave others."""
    name = check["grade_id"]
    return hand.points.get(name, check["points"]) + hand.extra.get(name, 0.0)


def total(result: Result, hand: ByHand, names: Mapping[str, float]) -> float:
    """All points of a submission as nbgrader adds them up: never below 0 for being late."""
    automatic = sum(check_points(check, hand) for check in result.checks)
    return max(0.0, automatic + manual_sum(hand, names) - hand.penalty)


def _of(lab: str, *columns, holder=None):
    """(student, *columns) of a lab's submissions; `holder` has a row for each cell."""
    query = select(SubmittedAssignment.student_id, *columns).select_from(SubmittedAssignment)
    query = query.join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
    query = query.join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
    if holder is not None:
        query = query.join(holder, holder.notebook_id == SubmittedNotebook.id)
        query = query.join(BaseCell, BaseCell.id == holder.cell_id)
    return query.where(Assignment.name == lab)
