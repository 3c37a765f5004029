"""Make the notebook that students get from the one with solutions."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from nbgrader.converters import GenerateAssignment

from ganedu.grading import course as courses


def release(lab: str, root: Path = Path(".")) -> list[Path]:
    """Write labs/LAB from solutions/LAB with nbgrader, and return its files.

    The same source gives the same bytes. labs/LAB is replaced once the new one is complete. Raises ValueError
    for an unknown lab, a lab whose checks and notebook disagree, or a notebook that nbgrader refuses.
    """
    course = courses.open_course(root, lab)
    target = course.root / course.directory.release_directory / lab
    with tempfile.TemporaryDirectory(dir=course.root, prefix=".release-") as folder:
        course.directory.release_directory = Path(folder).name
        converter = GenerateAssignment(coursedir=course.directory, config=course.config, log=courses.log())
        converter.force = True
        try:
            converter.start()
        except Exception as error:  # nbgrader's kinds are many; the cause is in the message
            raise ValueError(f"lab: nbgrader cannot release {lab}: {cause(error)}") from error
        fresh = Path(folder) / lab
        courses.register(course, lab, course.summary(lab))
        names = sorted(path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file())
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(exist_ok=True)
        os.replace(fresh, target)
    return [target / name for name in names]


def cause(error: BaseException) -> str:
    """The first line of the error that started a chain of them."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
