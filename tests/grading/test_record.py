"""The writer leaves in nbgrader's gradebook what nbgrader's own autograde leaves. It needs no sandbox."""

import shutil

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.preprocessors import NbGraderPreprocessor

from ganedu.grading import course as courses
from ganedu.grading import examples
from ganedu.grading.checks import load, summarise
from ganedu.grading.examine import Outcome, refuse, shown
from ganedu.grading.manual import manual_points
from ganedu.grading.record import Recorder
from ganedu.grading.verdicts import Verdict
from tests.grading.ledger import ledger
from tests.grading.mini_course import LAB, released, submit

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's own

LATE = """
from nbgrader.plugins import BasePlugin
class PointADay(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return total_seconds_late / 86400
"""


class Recorded(NbGraderPreprocessor):
    """In the place of execution: what was found before."""

    def __init__(self, outcome):
        super().__init__()
        self._outcome = outcome

    def preprocess(self, nb, resources):
        return self._outcome.notebook, resources


def outcome(root, points, **answers) -> Outcome:
    """What an examination with these points by check would have found."""
    lab = summarise(load(root / "solutions" / LAB / "checks.py"))
    notebook = examples.answered(released(root), {"double": "def double(x): ..."} | answers)
    verdicts = []
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in points:
            verdicts.append(Verdict(name, points[name], 2.0, ("✓ one", "✗ two"), "squared"))
            cell.outputs = shown(verdicts[-1], lab)
    return Outcome(notebook, verdicts, [], 1.0)


@pytest.fixture
def outcomes(course):
    """By student. `ann` came late, `ben` wrote nothing for the question, `eve`'s notebook was refused."""
    some = {"double_test": 2.0, "slope_test": 0.0}
    found = {
        "ann": outcome(course, some, question="An answer."),
        "ben": outcome(course, some | {"slope_test": 0.5}),
        "eve": refuse(released(course), summarise(load(course / "solutions/mini/checks.py")), "corrupt"),
    }
    for student in found:
        submit(course, student, b"{}")
    (course / "submitted/ann/mini/timestamp.txt").write_text("2026-02-03 12:00:00 UTC")
    (course / "late.py").write_text(LATE)
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text() + "\nc.AssignLatePenalties.plugin_class = 'late.PointADay'\n")
    lab = courses.open_course(course, LAB)
    with lab.gradebook() as gradebook:
        gradebook.update_or_create_assignment(LAB, duedate="2026-02-02 00:00:00 UTC")
    return found


def by_nbgrader(root, found):
    for student, result in found.items():
        course = courses.open_course(root, LAB)
        course.directory.student_id = student
        converter = Autograde(coursedir=course.directory, config=course.config, log=courses.log())
        converter.force = True
        own = ["nbgrader.preprocessors.SaveAutoGrades", "nbgrader.preprocessors.AssignLatePenalties"]
        converter.autograde_preprocessors = [Recorded(result), *own]
        converter.start()
    return ledger(root, LAB)


def by_us(root, found, **how):
    with Recorder(courses.open_course(root, LAB), LAB) as recorder:
        for student, result in found.items():
            assert recorder.record(student, result, **how) is None
    return ledger(root, LAB)


def mark(root, student, points):
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        grade = gradebook.find_grade("question", LAB, LAB, student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_comment("question", LAB, LAB, student).manual_comment = "good"
        gradebook.db.commit()


def test_it_writes_what_nbgrader_writes_and_again_after_a_human_has_marked(
    course, outcomes, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(course))
    theirs = shutil.copytree(course, tmp_path / "theirs")
    first = by_us(course, outcomes)
    assert first == by_nbgrader(theirs, outcomes)
    assert ("ann", "penalty", 1.5) in first and ("ben", "question", "No response.", None) in first
    for root in (course, theirs):
        mark(root, "ann", 2.5)
    again = by_us(course, outcomes)
    assert again == by_nbgrader(theirs, outcomes)
    assert ("ann", "question", None, 2.5, None, True) in again


def test_the_same_outcome_again_asks_no_human_to_look_again(course, outcomes, monkeypatch):
    monkeypatch.syspath_prepend(str(course))
    by_us(course, outcomes)
    mark(course, "ann", 2.5)
    marked = ledger(course, LAB)
    assert by_us(course, outcomes, unchanged=True) == marked
    assert ("ann", "question", None, 2.5, None, False) in marked
    assert manual_points(courses.open_course(course, LAB), LAB)["ann"] == 2.5


def test_the_autograded_notebook_is_the_outcomes_and_a_time_that_is_none_is_said(course, outcomes):
    (course / "submitted/ben/mini/timestamp.txt").write_text("yesterday")
    with Recorder(courses.open_course(course, LAB), LAB) as recorder:
        assert "holds no time" in recorder.record("ben", outcomes["ben"])
    written = nbformat.read(course / "autograded/ben/mini/mini.ipynb", as_version=4)
    assert written == outcomes["ben"].notebook


def test_a_gradebook_that_cannot_be_written_stays_as_it_was(course, outcomes, monkeypatch):
    by_us(course, {"ben": outcomes["ben"]})
    before = ledger(course, LAB)

    def full(*_):
        raise OSError(28, "No space left on device")

    with Recorder(courses.open_course(course, LAB), LAB) as recorder:
        monkeypatch.setattr("ganedu.grading.record._untouched", full)
        with pytest.raises(OSError, match="No space"):
            recorder.record("ben", outcome(course, {"double_test": 0.0, "slope_test": 0.0}))
        monkeypatch.undo()
        assert ledger(course, LAB) == before
        recorder.record("ben", outcomes["ben"])
    assert ledger(course, LAB) == before
