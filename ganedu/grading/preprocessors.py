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
from ganedu.grading.examine import Setup, refuse
from ganedu.grading.examiner import Examiner
from ganedu.grading.outcomes import as_outcome
from ganedu.grading.sandbox import require_bubblewrap
from ganedu.grading.secret import course_secret

Converted = tuple[NotebookNode, dict[str, Any]]


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
        data = submitted(opened, student, lab)
        setup = Setup(
            str(opened.checks_path(lab)), str(opened.released_path(lab)), unsandboxed=self.unsandboxed
        )
        if isinstance(data, rebuild.Unreadable):
            return refuse(opened.released(lab), opened.summary(lab), str(data)).notebook, resources
        try:
            with Examiner(setup, opened.summary(lab), course_secret(opened.root)) as examiner:
                return as_outcome(examiner.examine(data, more=False)).notebook, resources
        except RuntimeError as error:  # nbgrader would keep the grade of an earlier submission
            reason = f"not graded, grade it again: {error}"
            return refuse(opened.released(lab), opened.summary(lab), reason).notebook, resources


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
