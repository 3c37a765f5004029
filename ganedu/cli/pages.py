"""The instructor's commands for what leaves the course: pages, points, the bundle; and the audit of it."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ganedu.cli.course import LabName, course_root
from ganedu.cli.shell import AsJson, one_line_errors, print_table

LabNames = Annotated[
    list[str] | None, typer.Argument(metavar="[LAB]...", help="Folders of labs/; all of them unless given.")
]


def feedback(
    lab: LabName,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STUDENT", help="This one's page alone; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For STUDENT/LAB/LAB.html; feedback/ unless given."),
    ] = None,
) -> None:
    """Write a page for each graded student: answers, verdicts, points and your comments.

    \b
    Nothing in a page runs, and it shows nothing hidden and nobody else.
    Points and comments that you give in formgrader later are in it after the next run.

    \b
    Examples:
      ganedu feedback lab10_rep_gan
      ganedu feedback lab10_rep_gan --only ann --only bob --out build/feedback
    """
    with one_line_errors():
        root = course_root()
        from ganedu.grading.feedback import feedback

        for path in feedback(lab, root, out, only or None):
            print(path)


def export(
    lab: LabName,
    target: Annotated[Literal["canvas", "moodle"], typer.Option("--for", help="Who imports the file.")],
    roster: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The students as exported from there, as CSV.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="build/report/LAB-canvas.csv unless given.")
    ] = None,
) -> None:
    """Write the points, automatic and by hand, as a CSV file that Canvas or Moodle imports.

    \b
    Our student ids are looked up in the roster's column `student`; where it has none, in
    SIS Login ID, SIS User ID or ID (Canvas), in Username, ID number or Email address (Moodle).
    Students who did not submit get an empty cell. Canvas makes a new assignment of the lab's
    name unless you rename the column to yours; Moodle asks which column is what.

    \b
    Examples:
      ganedu export lab10_rep_gan --for canvas --roster canvas.csv
      ganedu export lab10_rep_gan --for moodle --roster moodle.csv --out points.csv
    """
    with one_line_errors():
        root = course_root()
        from ganedu.grading.export import export

        print(export(lab, root, target, roster, out))


def bundle(
    labs: LabNames = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A name that ends in .zip, or an empty folder.")
    ] = None,
) -> None:
    """Write what students get: labs, lectures, the library and how to install it, as one zip.

    \b
    No solutions, checks, grading or submissions: only files that git knows, of the kinds listed.
    The same course gives the same bytes.

    \b
    Examples:
      ganedu bundle                              all labs, as build/ganedu-course.zip
      ganedu bundle lab10_rep_gan --out build/week10.zip
    """
    with one_line_errors():
        root = course_root()
        from ganedu.grading.bundle import bundle

        print(bundle(labs or (), root, out))


def audit(lab: LabName, as_json: AsJson = False) -> None:
    """Search all that students can read for anything hidden; exit code 1 where something is found.

    \b
    Hidden are a lab's solutions, checks, references and known answers, the course's secret, and
    other students' names. Searched are labs/, the bundle, everything that a submission could read
    in the lab's sandbox, and the feedback pages with the autograded notebooks.

    \b
    Examples:
      ganedu audit lab10_rep_gan
      ganedu audit lab10_rep_gan --json
    """
    with one_line_errors():
        root = course_root()
        from ganedu.grading.audit import audit

        found = audit(lab, root)
        if as_json:
            places = [p._asdict() | {"findings": [f._asdict() for f in p.findings]} for p in found]
            print(json.dumps(places, indent=2))
        else:
            print_table(
                ("place", "files", "MB", "seconds", "not read", "findings"),
                [
                    (
                        place.place, str(place.files), f"{place.bytes / 1e6:.1f}", f"{place.seconds:.1f}",
                        place.note, str(len(place.findings)),
                    )
                    for place in found
                ],
            )  # fmt: skip
            for place in found:
                for finding in place.findings:
                    print(f"{place.place}: {finding.file}:{finding.line}: {finding.what}")
    if any(place.findings for place in found):
        raise typer.Exit(1)
