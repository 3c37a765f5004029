"""GANs in the plane at one budget: 25 Gaussians and the Swiss roll, twelve games, five samplers.

    python -m benchmarks.gans_2d                   # everything; some three hours of one core
    python -m benchmarks.gans_2d --resume          # the rows that are missing
    python -m benchmarks.gans_2d --only samplers --resume
    python -m benchmarks.gans_2d --quick           # a minute, figures that mean nothing
    python -m benchmarks.gans_2d --report          # page and plots again, from what is there

Writes benchmarks/results/gans_2d.{json,md,png} and gans_2d_samplers.png; ``--quick`` writes to the cache.
Every finished row is kept at once, and a training that was stopped goes on from its last checkpoint, in
the cache. What is missing in the end is named with the command that makes it.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import gans_2d_report, gans_2d_samplers, gans_2d_train, rows
from benchmarks.files import RESULTS
from benchmarks.gans_2d_games import FULL, QUICK, Size
from ganedu.data import cache_dir

SHOWN = 4  # of the missing rows


class Part(StrEnum):
    games = "games"
    samplers = "samplers"


def jobs(part: Part, size: Size, folder: Path) -> Iterator[rows.Job]:
    """(key, what makes its row) of a part, in order. ``folder`` has the checkpoints."""
    match part:
        case Part.games:
            return gans_2d_train.jobs(size, folder)
        case Part.samplers:
            return gans_2d_samplers.jobs(size, folder)


def main(
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that all of it runs.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="A part; may be given again.")] = None,
    resume: Annotated[bool, typer.Option(help="Keep the rows that are there.")] = False,
    report: Annotated[bool, typer.Option(help="Make no row; page and plots only.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of torch; the rows' times are of so many.")] = 1,
) -> None:
    """Make the rows, then the page and the plots."""
    torch.set_num_threads(threads)
    folder = cache_dir() / ("gans_2d_quick" if quick else "gans_2d")
    path = (folder if quick else RESULTS) / "gans_2d.json"
    failed, size = {}, QUICK if quick else FULL
    for part in [] if report else (only or list(Part)):
        plan = list(jobs(part, size, folder))
        if not resume:
            rows.drop(path, [key for key, _ in plan])
            for key, _ in plan:
                gans_2d_train.forget(folder, key)
        failed |= rows.fill(path, plan, part)
    command = "python -m benchmarks.gans_2d" + (" --quick" if quick else "")
    found = rows.load(path)["rows"]
    missing = {part: [key for key, _ in jobs(part, size, folder) if key not in found] for part in Part}
    for written in gans_2d_report.write(path, missing, command):
        print(written)
    for part, keys in missing.items():
        # Hundreds of keys would hide the command and the reasons.
        shown = keys if len(keys) <= SHOWN else [*keys[:SHOWN], f"{len(keys) - SHOWN} more"]
        rows.say_missing(shown, f"{command} --only {part} --resume", failed)


if __name__ == "__main__":
    typer.run(main)
