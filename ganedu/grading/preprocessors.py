"""Our part of nbgrader's autograde: a submission is never opened by nbgrader, only what we make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool

from ganedu.grading import course, rebuild
from ganedu.grading.checker import Checker
from ganedu.grading.examine import Outcome, course_secret, examine
from ganedu.grading.sandbox import require_bubblewrap

Converted = tuple[NotebookNode, dict[str, Any]]
JUDGE = f"{__name__}.Judge"


class SubmissionExporter(NotebookExporter):
    """Starts from an empty notebook: a corrupt or hostile file never reaches nbformat."""

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Converted:
        return self.from_notebook_node(new_notebook(), resources, **options)


class Rebuild(NbGraderPreprocessor):
    """nbgrader's sanitizing step: the released notebook with the submission's answers."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Converted:
        opened, student, lab = _where(self, resources)
        released = opened.released(lab)
        try:
            return rebuild.rebuild(released, rebuild.parse(rebuild.read(opened.submission(student, lab))))[
                0
            ], resources
        except rebuild.Unreadable:
            return released, resources


class Judge(NbGraderPreprocessor):
    """nbgrader's executing step, for its own command line: run in the sandbox, verdicts as outputs."""

    unsandboxed = Bool(False, help="Run submissions with your own rights.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Converted:
        opened, student, lab = _where(self, resources)
        if not self.unsandboxed:
            require_bubblewrap()
        with Checker(opened.checks_path(lab)) as checker:
            outcome = examine(
                submitted(opened, student, lab), opened.released(lab), opened.checks(lab), checker,
                course_secret(opened.root), unsandboxed=self.unsandboxed,
            )  # fmt: skip
        return outcome.notebook, resources


class Recorded(NbGraderPreprocessor):
    """In Judge's place where the submission has been examined already."""

    def __init__(self, outcome: Outcome):
        super().__init__()
        self._outcome = outcome

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> Converted:
        return self._outcome.notebook, resources


def submitted(opened: course.Course, student: str, lab: str) -> bytes | rebuild.Unreadable:
    """A submission's bytes, or why there are none."""
    try:
        return rebuild.read(opened.submission(student, lab))
    except rebuild.Unreadable as error:
        return error


def _where(step: NbGraderPreprocessor, resources: dict[str, Any]) -> tuple[course.Course, str, str]:
    """The course, the student and the lab that nbgrader is working on."""
    names, directory = resources["nbgrader"], step.parent.parent.coursedir
    return course.Course(Path(directory.root), step.config, directory), names["student"], names["assignment"]
