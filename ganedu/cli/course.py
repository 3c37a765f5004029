"""The instructor's commands: from a solution notebook to a gradebook."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganedu.cli.shell import AsJson, one_line_errors, print_table

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


def grade(
    lab: LabName,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STUDENT", help="Grade this one alone; repeatable.")
    ] = None,
    unsandboxed: Annotated[
        bool,
        typer.Option("--unsandboxed", help="Run submissions with your own rights. Every report says so."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Grade submitted/*/LAB and record the points in gradebook.db.

    Answers run in a sandbox (bubblewrap); where there is none, grading refuses.
    """
    with one_line_errors("Run the same command again: it ends with the same gradebook."):
        root = course_root()
        from ganedu.grading import grade

        results = grade(lab, root, students=only or None, unsandboxed=unsandboxed)
        if as_json:
            print(json.dumps([asdict(result) for result in results], indent=2))
            return
        print_table(
            ("student", "score", "of", "by hand", "of", "seconds", ""),
            [
                (
                    r.student,
                    f"{r.score:g}",
                    f"{r.max_score:g}",
                    f"{r.manual_score:g}",
                    f"{r.manual_max:g}",
                    f"{r.seconds:.1f}",
                    r.error or ("" if r.sandboxed else "UNSANDBOXED"),
                )
                for r in results
            ],
        )


def report(
    lab: LabName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the two files go.")] = Path("build/report"),
) -> None:
    """Write gradebook.csv, and gradebook.html with histograms and the known mistakes found."""
    with one_line_errors():
        root = course_root()
        from ganedu.grading import report

        for path in report(lab, root, out):
            print(path)


def course_root() -> Path:
    """The working directory, where it is a course. Raises ValueError otherwise."""
    root = Path.cwd()
    if not (root / "nbgrader_config.py").is_file():
        raise ValueError(
            f"{root} is no course: run this in the root of the repository, where nbgrader_config.py is"
        )
    return root
