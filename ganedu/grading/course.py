"""A course on disk, as nbgrader sees it: settings, gradebook, a lab's released notebook and checks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveCells
from traitlets.config import Config, PyFileConfigLoader

from ganedu.grading import rebuild, results
from ganedu.grading.checker import Checker
from ganedu.grading.fingerprint import environment, of_folder
from ganedu.grading.secret import FOLDER
from ganedu.grading.verdicts import LabSummary

if TYPE_CHECKING:
    from ganedu.grading.checks import LabChecks

CONFIG = "nbgrader_config.py"


class Course(NamedTuple):
    """The folder of a course and nbgrader's view of it."""

    root: Path
    config: Config
    directory: CourseDirectory

    def labs(self) -> list[str]:
        source = self.root / self.directory.source_directory
        return sorted(path.stem for path in source.glob("*/*.ipynb") if path.stem == path.parent.name)

    def students(self, lab: str) -> list[str]:
        """Who has submitted anything for `lab`: a folder submitted/STUDENT/LAB."""
        submitted = self.root / self.directory.submitted_directory
        return sorted(path.parent.name for path in submitted.glob(f"*/{lab}") if path.is_dir())

    def submission(self, student: str, lab: str) -> Path:
        return self.root / self.directory.submitted_directory / student / lab / f"{lab}.ipynb"

    def released(self, lab: str) -> NotebookNode:
        """The released notebook. Raises ValueError where the lab was not released."""
        path = self.released_path(lab)
        if not path.is_file():
            raise ValueError(f"lab: {lab} is not released; run: ganedu release {lab}")
        return nbformat.read(path, as_version=4)

    def released_path(self, lab: str) -> Path:
        return self.root / self.directory.release_directory / lab / f"{lab}.ipynb"

    def summary(self, lab: str) -> LabSummary:
        """What the lab's checks are, without loading torch here; kept, for loading them takes seconds.

        Raises ValueError where they cannot be loaded.
        """
        path = self.checks_path(lab)
        if not path.is_file():
            raise ValueError(f"checks: there is no {path}")
        seen = hashlib.sha256("\n".join((*environment(), of_folder(path.parent))).encode()).hexdigest()
        kept = self.root / FOLDER / "summaries" / f"{lab}.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            data = json.loads(kept.read_text(encoding="utf-8"))
            if data.pop("of") == seen:
                return LabSummary.from_data(data)
        with Checker(path) as checker:
            summary = checker.summary()
        kept.parent.mkdir(parents=True, exist_ok=True)
        results.write(kept, json.dumps(summary.as_data() | {"of": seen}))
        return summary

    def checks(self, lab: str) -> LabChecks:
        """The lab's checks, loaded into this process, and torch with them."""
        from ganedu.grading.checks import load

        return load(self.checks_path(lab))

    def checks_path(self, lab: str) -> Path:
        return self.root / self.directory.source_directory / lab / "checks.py"

    def gradebook(self) -> Gradebook:
        return Gradebook(self.directory.db_url)


def open_course(root: Path, lab: str) -> Course:
    """The course in `root`. Raises ValueError if `root` is no course or `lab` is not one of its labs."""
    root = Path(root).resolve()
    if not (root / CONFIG).is_file():
        raise ValueError(f"root: there is no {CONFIG} in {root}")
    config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    directory = CourseDirectory(config=config, log=log())
    directory.root = str(root)
    directory.assignment_id = lab
    course = Course(root, config, directory)
    if lab not in course.labs():
        raise ValueError(
            f"lab: got {lab!r}, expected one of {', '.join(course.labs()) or 'no lab: solutions/ is empty'}"
        )
    with _programs_beside_python():
        course.gradebook().close()  # a new gradebook asks alembic, a program beside Python, for its version
    return course


@contextlib.contextmanager
def _programs_beside_python() -> Iterator[None]:
    """They come first on PATH. (nbgrader's own `setenv` deletes a variable where it means to restore it.)"""
    before = os.environ.get("PATH")
    os.environ["PATH"] = os.pathsep.join([f"{sys.prefix}/bin", before or os.defpath])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before


def register(course: Course, lab: str, summary: LabSummary) -> None:
    """Tell nbgrader's gradebook about the lab's released cells. ValueError where checks do not fit them."""
    notebook, checks = course.released(lab), summary.checks
    points = {
        c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points for c in notebook.cells if rebuild.is_test(c)
    }
    for grade_id in sorted(points.keys() | checks.keys()):
        here, there = points.get(grade_id), checks[grade_id].points if grade_id in checks else None
        if here is None or there is None or float(here) != float(there):
            raise ValueError(f"checks: {grade_id} has {here} points in the notebook and {there} in checks.py")
    with course.gradebook() as gradebook:
        gradebook.update_or_create_assignment(lab)
    resources = {"nbgrader": {"notebook": lab, "assignment": lab, "db_url": course.directory.db_url}}
    try:
        SaveCells(log=log()).preprocess(notebook, resources)
    except RuntimeError as error:  # submissions are graded already, and cells came or went since
        raise ValueError(f"lab: {lab}: {error}") from None


def log() -> logging.Logger:
    """nbgrader talks a lot; what matters of it comes back as exceptions."""
    logger = logging.getLogger("ganedu.grading.nbgrader")
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
