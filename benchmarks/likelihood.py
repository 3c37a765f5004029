"""What the likelihood models are worth: flows in the plane, images, and flows as proposals, beside peers.

    python -m benchmarks.likelihood --oracles PYTHON      # everything; some three hours on two cores
    python -m benchmarks.likelihood --only plane --resume # what is missing of a part
    python -m benchmarks.likelihood --quick               # minutes, figures that mean nothing
    python -m benchmarks.likelihood --report              # page and plot again, from what is there

Writes benchmarks/results/likelihood.{json,md,png}; ``--quick`` writes to the cache. Every finished row is
kept at once; ``--resume`` goes on from there, and what is missing in the end is named with the command that
makes it. ``--only`` parts may run at the same time. zuko is a test's dependency and here already; pythae and
normflows need ``--oracles PYTHON``, an interpreter of their own; without one it says how to make it. MNIST's
test files are read from $GANEDU_DATA or the cache.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import (
    likelihood_flows2d,
    likelihood_mnist,
    likelihood_proposals,
    likelihood_report,
    rows,
)
from benchmarks.files import RESULTS
from ganedu.data import cache_dir


class Part(StrEnum):
    plane = "plane"
    mnist = "mnist"
    proposals = "proposals"


def jobs(part: Part, quick: bool, oracles: Path | None, folder: Path, path: Path) -> Iterator[rows.Job]:
    """(key, what makes its row) of a part, in order. ``path`` holds the rows."""
    match part:
        case Part.plane:
            return likelihood_flows2d.jobs(quick, path)
        case Part.mnist:
            size = likelihood_mnist.QUICK if quick else likelihood_mnist.Size()
            return likelihood_mnist.jobs(size, oracles, folder)
        case Part.proposals:
            return likelihood_proposals.jobs(quick)


def main(
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that all of it runs.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="A part; may be given again.")] = None,
    resume: Annotated[bool, typer.Option(help="Keep the rows that are there.")] = False,
    report: Annotated[bool, typer.Option(help="Make no row; page and plot only.")] = False,
    oracles: Annotated[Path | None, typer.Option(help="A Python with pythae and normflows.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch; the rows' times are of so many.")] = 1,
) -> None:
    """Make the rows, then the page and the plot."""
    torch.set_num_threads(threads)
    folder = cache_dir() / ("likelihood_quick" if quick else "likelihood")
    path = (folder if quick else RESULTS) / "likelihood.json"
    failed = {}
    for part in [] if report else (only or list(Part)):
        plan = list(jobs(part, quick, oracles, folder, path))
        if not resume:
            rows.drop(path, [key for key, _ in plan])
        failed |= rows.fill(path, plan, part)
    found = rows.load(path)["rows"]
    for written in likelihood_report.write(path):
        print(written)
    command = "python -m benchmarks.likelihood" + (" --quick" if quick else "")
    for part in Part:
        keys = [key for key, _ in jobs(part, quick, oracles, folder, path) if key not in found]
        need = " --oracles PYTHON" if part == Part.mnist else ""
        rows.say_missing(keys, f"{command} --only {part} --resume{need}", failed)


if __name__ == "__main__":
    typer.run(main)
