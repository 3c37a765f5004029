"""What the samplers are worth: on the zoo's GAN, beside Pyro and blackjax, and over the bare passes.

    python -m benchmarks.samplers                       # everything; about an hour on two cores
    python -m benchmarks.samplers --only gan --resume   # what is missing of a part
    python -m benchmarks.samplers --quick               # two minutes, figures that mean nothing
    python -m benchmarks.samplers --report              # page and plot again, from what is there

Writes benchmarks/results/samplers.{json,md,png} and a page of images beside them; ``--quick`` writes to
the cache. Every finished row is kept at once; ``--resume`` goes on from there, and what is missing in
the end is named with the command that makes it. The comparison needs ``--oracles PYTHON``, an interpreter
with Pyro and blackjax; without one it says how to make it.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import (
    rows,
    samplers_cost,
    samplers_gan,
    samplers_images,
    samplers_posteriors,
    samplers_report,
)
from benchmarks.files import RESULTS, write_json
from ganedu import zoo
from ganedu.data import cache_dir


class Part(StrEnum):
    gan = "gan"
    images = "images"
    posteriors = "posteriors"
    cost = "cost"
    scaling = "scaling"


def jobs(
    part: Part, made: dict[str, dict], quick: bool, oracles: Path | None, folder: Path
) -> Iterator[rows.Job]:
    """(key, what makes its row) of a part, in order."""
    match part:
        case Part.gan:
            return samplers_gan.jobs(samplers_gan.QUICK if quick else samplers_gan.Size())
        case Part.images:
            size = samplers_images.QUICK if quick else samplers_images.Size()
            return samplers_images.jobs(size, made, folder)
        case Part.posteriors:
            return samplers_posteriors.jobs(8 if quick else 64, quick, oracles)
        case Part.cost:
            return samplers_cost.cost_jobs(quick)
        case Part.scaling:
            return samplers_cost.scaling_jobs(quick)


def load(path: Path) -> dict:
    """What ``path`` holds, or the beginning of it. ValueError for figures of other networks."""
    sha256 = zoo.sha256(samplers_gan.GAN)
    found = rows.load(path)
    if found.setdefault("network", sha256) != sha256:
        raise typer.BadParameter(
            f"{path} is about network {found['network'][:8]}, not {sha256[:8]}; remove it"
        )
    return found


def save(path: Path, found: dict) -> None:
    """Write ``found`` with the figures that others quote in front."""
    figures = samplers_report.figures(found["rows"])
    rest = {key: value for key, value in found.items() if key not in figures}
    write_json(path, figures | rest)


def make(path: Path, part: Part, plan: list[rows.Job], resume: bool) -> dict[str, str]:
    """Make the rows of a part; {key: why not} of those that could not be made."""
    found = load(path)["rows"]
    dropped = [] if resume else [key for key in found if key.startswith(f"{part}/")]
    dropped += samplers_images.stale(found) if part == Part.images else []
    rows.drop(path, dropped, load, save)
    return rows.fill(path, plan, part, load, save)


def main(
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that all of it runs.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="A part; may be given again.")] = None,
    resume: Annotated[bool, typer.Option(help="Keep the rows that are there.")] = False,
    report: Annotated[bool, typer.Option(help="Make no row; page and plot only.")] = False,
    oracles: Annotated[Path | None, typer.Option(help="A Python with Pyro and blackjax.")] = None,
) -> None:
    """Make the rows, then the page and the plot."""
    folder = cache_dir() / ("samplers_quick" if quick else "samplers")
    path = (folder if quick else RESULTS) / "samplers.json"
    failed = {}
    for part in [] if report else (only or list(Part)):
        made = load(path)["rows"]
        failed |= make(path, part, list(jobs(part, made, quick, oracles, folder)), resume)
    found = load(path)
    save(path, found)
    for written in samplers_report.write(path, folder):
        print(written)
    command = "python -m benchmarks.samplers" + (" --quick" if quick else "")
    for part in Part:
        keys = [key for key, _ in jobs(part, {}, quick, oracles, folder) if key not in found["rows"]]
        need = " --oracles PYTHON" if part == Part.posteriors else ""
        rows.say_missing(keys, f"{command} --only {part} --resume{need}", failed)


if __name__ == "__main__":
    typer.run(main)
