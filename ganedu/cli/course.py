"""The instructor's commands: from a solution notebook to a gradebook."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ganedu.cli.shell import AsJson, one_line_errors

LabName = Annotated[str, typer.Argument(metavar="LAB", help="A folder of solutions/, e.g. lab10_rep_gan.")]


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")] = Path("build/demo"),
) -> None:
    """An instructor's whole day: lab 10 released, graded and reported; the samplers' pictures."""
    with one_line_errors():
        course_root()
        from ganedu.demo import run

        run(out)


def release(lab: LabName) -> None:
    """Make labs/LAB, which students get, from solutions/LAB."""
    with one_line_errors():
        root = course_root()
        from ganedu.grading import release

        for path in release(lab, root):
            print(path)


def report(
    lab: LabName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the two files go.")] = Path("build/report"),
    as_json: AsJson = False,
) -> None:
    """Write gradebook.csv, and gradebook.html with histograms, known mistakes and who needs a look.

    \b
    Examples:
      ganedu report lab10_rep_gan
      ganedu report lab10_rep_gan --json         the figures of the page as well
    """
    with one_line_errors():
        root = course_root()
        from ganedu.grading import report
        from ganedu.grading.gradebook import gather, summary

        paths = report(lab, root, out)
        if as_json:
            found = summary(lab, *gather(lab, root)) | {"files": [str(path) for path in paths]}
            print(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            print(*paths, sep="\n")


def course_root() -> Path:
    """The working directory, where it is a course. Raises ValueError otherwise."""
    root = Path.cwd()
    if not (root / "nbgrader_config.py").is_file():
        raise ValueError(
            f"{root} is no course: run this in the root of the repository, where nbgrader_config.py is"
        )
    return root
