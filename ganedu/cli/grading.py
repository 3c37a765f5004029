"""``ganedu grade``."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from ganedu.cli.course import LabName, course_root
from ganedu.cli.shell import AsJson, one_line_errors, print_table


class Execute(StrEnum):
    needed = "needed"
    all = "all"


def grade(
    lab: LabName,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STUDENT", help="Grade this one alone; repeatable.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many at a time; a core each by default.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers see this folder too."),
    ] = None,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="N SLURM jobs, as dask's jobqueue.yaml describes them.")
    ] = False,
    execute: Annotated[
        Execute, typer.Option(help="Run what verdicts need, or the cells that take long as well.")
    ] = Execute.needed,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up a run that was cut short, with its choices.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Examine submissions that have not changed as well.")
    ] = False,
    unsandboxed: Annotated[
        bool,
        typer.Option("--unsandboxed", help="Run submissions with your own rights. Every report says so."),
    ] = False,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Grade nothing: say how well this machine isolates.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Grade submitted/*/LAB and record the points in gradebook.db.

    Answers run in a sandbox (bubblewrap); where there is none, grading refuses. A submission that was
    examined before, and has not changed since, is not examined again.

    \b
    Examples:
      ganedu grade lab10_rep_gan
      ganedu grade lab10_rep_gan --only ada --only ben --again
      ganedu grade lab10_rep_gan --workers 8 --execute all
      ganedu grade lab10_rep_gan --scheduler tcp://node7:8786
      ganedu grade lab10_rep_gan --resume
      ganedu grade lab10_rep_gan --doctor
    """
    with one_line_errors("Add --resume to go on where it stopped."):
        root = course_root()
        if doctor:
            from ganedu.grading.doctor import report

            raise typer.Exit(report(root, as_json=as_json))
        if scheduler and (workers or slurm):
            raise ValueError("scheduler: its workers are its own; leave out --workers and --slurm")
        from ganedu.grading import grade

        results = grade(
            lab,
            root,
            students=only or None,
            unsandboxed=unsandboxed,
            parallel=workers,
            scheduler=scheduler,
            slurm=slurm,
            execute_all=execute is Execute.all,
            again=again,
            resume=resume,
        )
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
