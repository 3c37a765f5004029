"""``ganedu compare``: any list of GAN objectives on one law in the plane, one table, one figure."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganedu.cli.shell import AsJson, Device, known, one_line_errors, print_table, usable_device, watched
from ganedu.cli.training import alone_in

if TYPE_CHECKING:
    from ganedu.training.comparison import Comparison, Run


def compare(
    games: Annotated[
        list[str],
        typer.Argument(
            metavar="GAME...",
            help="gan, ns-gan, lsgan, hinge, r1, consensus, f-gan-kl, f-gan-reverse-kl, f-gan-js, "
            "f-gan-pearson, f-gan-jeffrey, f-gan-hellinger, f-gan-neyman, f-gan-tv, wgan, wgan-gp, "
            "mmd-gan, moment-matching, ratio-matching, ebgan, began, unrolled, minibatch-discrimination, "
            "alpha-gan.",
        ),
    ],
    data: Annotated[str, typer.Option(help="ring, grid, swiss-roll, moons, rings, checkerboard.")] = "ring",
    steps: Annotated[int, typer.Option(min=1, help="Of the generator.")] = 5000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each game, from the seeds 0, 1, ...")] = 1,
    width: Annotated[int, typer.Option(min=1, help="Of the networks' three hidden layers.")] = 128,
    latent_dim: Annotated[int, typer.Option(min=1, help="Of the generator's input.")] = 2,
    n: Annotated[int, typer.Option(min=2, help="Draws that a run is judged by.")] = 2000,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="By default in the cache.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train games on one law at one number of steps, and judge their draws alike.

    Every game has the networks, rates and turns of its paper, as far as the plane allows: a critic's steps
    for each of the generator's differ, and are in the table. 5,000 steps of the cheapest take half a
    minute on one core, of the dearest (minibatch-discrimination, mmd-gan) four to five. DIR gets
    comparison.json, samples.png and a folder for each run; run the same command again to go on after a stop,
    or with more --steps, --seeds or games. Both files are of the games that are named: name all that you
    want to see together.

    \b
    Examples:
      ganedu compare gan ns-gan --steps 500 --out build/compare
      ganedu compare gan wgan-gp mmd-gan --data grid --steps 5000 --seeds 3 --out build/grid
    """
    with one_line_errors("Run the same command again: it goes on from the last checkpoint."):
        from ganedu import viz
        from ganedu.data import cache_dir
        from ganedu.training.comparison import DATA
        from ganedu.training.comparison import compare as train
        from ganedu.training.files import write_json
        from ganedu.training.games import GAMES

        for name in games:
            known("game", name, GAMES)
        known("data", data, DATA)
        where = usable_device(device)
        folder = out or cache_dir() / "runs" / f"compare-{data}"
        sizes = {"width": width, "latent_dim": latent_dim, "n": n}
        with alone_in(folder):
            found = train(games, data, steps, seeds, folder, device=where, progress=watched(), **sizes)
            told = as_dict(found) | sizes
            written = write_json(folder / "comparison.json", told)
            shown = {GAMES[run.game].title: run.x for run in found.runs if run.seed == 0}
            title = f"{data}: {n} draws after {steps} steps, seed 0"
            picture = viz.save(viz.density.over(shown, found.real, title=title), folder / "samples.png")
        if as_json:
            print(json.dumps(told, indent=2))
            return
        print(f"{data}: {steps} steps of the generator, width {width}, latents in {latent_dim} dimensions")
        names = list(dict.fromkeys(games))
        rows = [row(GAMES[name].title, [r for r in found.runs if r.game == name]) for name in names]
        print_table(header(found), rows)
        print(*notes(found, seeds, n), sep="\n")
        print(written, picture, sep="\n")


def as_dict(found: "Comparison") -> dict:
    """What is known of the runs, but for their draws."""
    told = {"data": found.data, "modes": found.modes, "w2_floor": found.floor}
    return told | {"runs": [run.figures() for run in found.runs]}


def header(found: "Comparison") -> tuple[str, ...]:
    modes = "modes" if found.modes is None else f"modes of {found.modes}"
    return "game", modes, "high quality", "W2", "critic steps", "ms per step"


def row(title: str, runs: Sequence["Run"]) -> tuple[str, ...]:
    """Means over the seeds that came to an end, and where there are several the range."""
    ended = [run for run in runs if run.stopped is None]
    if len(ended) < len(runs):
        title += f" ({len(runs) - len(ended)} of {len(runs)} stopped)"
    return (
        title,
        over([run.captured for run in ended], ".3g"),
        over([run.high_quality for run in ended], ".3f"),
        over([run.w2 for run in ended], ".3f"),
        str(runs[0].critic_steps),
        over([1000 * run.seconds_per_step for run in ended], ".1f"),
    )


def over(values: Sequence[float | None], form: str) -> str:
    """ "0.91 (0.88 to 0.94)"; a dash where nothing was measured."""
    if not values or None in values:
        return "-"
    mean = format(sum(values) / len(values), form)
    if min(values) == max(values):
        return mean
    return f"{mean} ({format(min(values), form)} to {format(max(values), form)})"


def notes(found: "Comparison", seeds: int, n: int) -> list[str]:
    """What the table does not say by itself."""
    lines = [f"{run.game}, seed {run.seed}: {run.stopped}" for run in found.runs if run.stopped]
    if seeds > 1:
        lines.append(f"Means over seeds 0 to {seeds - 1}, and their range.")
    if found.modes is not None:
        lines.append(
            f"Of {n} draws: a mode counts with 5% of its due within 3 standard deviations; draws of the data "
            "themselves are 0.989 of high quality."
        )
    if found.floor is None:
        lines.append("W2 needs POT: pip install 'ganedu[metrics]'")
    else:
        lines.append(f"W2 of {n} draws to {n} of the data; {n} other draws of the data: {found.floor:.3f}.")
    return lines
