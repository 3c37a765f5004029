"""All that nbgrader's gradebook says of a lab, as plain lines: what two runs are compared by."""

from pathlib import Path

from nbgrader.api import Gradebook


def ledger(root: Path, lab: str) -> list[tuple]:
    """Every score and comment, sorted; what the database itself numbers and times is left out."""
    lines = []
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        for submission in gradebook.assignment_submissions(lab):
            student = submission.student.id
            lines.append((student, "time", str(submission.timestamp)))
            for notebook in submission.notebooks:
                lines.append((student, "penalty", notebook.late_submission_penalty))
                for grade in notebook.grades:
                    marks = grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade
                    lines.append((student, grade.name, *marks))
                for comment in notebook.comments:
                    lines.append((student, comment.name, comment.auto_comment, comment.manual_comment))
    return sorted(lines, key=repr)
