"""Rows of ``benchmarks.gans_2d``: a game on a law in the plane from a seed, trained and judged."""

import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gans_2d_games import LATENT, SETTINGS, Size, networks
from benchmarks.gans_2d_judge import DATA, floor_row, judge, pack
from benchmarks.rows import Job
from ganedu import checkpoints
from ganedu.gans import GAN
from ganedu.rng import generator
from ganedu.training import fit_adversarial

JUDGED = 101  # what the latents of a judged sample are drawn by, beside the seed


def jobs(size: Size, folder: Path) -> Iterator[Job]:
    """(key, what makes its row): the floors, then every game once on both laws, then again."""
    for data in DATA:
        yield f"floor/{data}", partial(floor_row, data, size.n)
    for seed in range(size.seeds):
        for game in size.games:
            for data in DATA:
                yield (
                    f"train/{data}/{game}/{seed}",
                    partial(row, data, game, seed, size.steps, size.n, folder),
                )


def home(folder: Path, data: str, game: str, seed: int) -> Path:
    """Where the run's checkpoints are."""
    return folder / data.replace(" ", "_") / game.replace(" ", "_") / str(seed)


def forget(folder: Path, key: str) -> None:
    """Remove the run of a row's key, so that it is trained anew."""
    if key.startswith("train/"):
        data, game, seed = key.removeprefix("train/").split("/")
        shutil.rmtree(home(folder, data, game, int(seed)), ignore_errors=True)


def train(data: str, game: str, seed: int, steps: int, folder: Path) -> dict[str, nn.Module]:
    """The networks of a game, trained; goes on where a run was stopped. FloatingPointError where it broke."""
    nets, setting = networks(game, seed, DATA[data].sample), SETTINGS[game]
    place, recipe = home(folder, data, game, seed), setting.recipe(seed, steps)
    return fit_adversarial(nets, setting.game, DATA[data].sample, recipe, place, progress=False)


def row(data: str, game: str, seed: int, steps: int, n: int, folder: Path) -> dict:
    """Train and judge. A game that broke has ``broke`` and no figures.

    ``seconds_per_step`` is of the whole run, ``cpu_ms_per_step`` of this process in the steps that it took.
    """
    entry, state = SETTINGS[game].entry, home(folder, data, game, seed) / "state.safetensors"
    untrained = networks(game, seed, DATA[data].sample)
    begun = progress(state)["step"] if state.exists() else 0
    told = {
        "data": data,
        "game": game,
        "seed": seed,
        "steps": steps,
        "critic_steps": entry.critic_steps(steps),
        "batch": entry.batch_size,
        "parameters": {name: sum(p.numel() for p in net.parameters()) for name, net in untrained.items()},
    }
    started = time.process_time()
    try:
        nets = train(data, game, seed, steps, folder)
    except FloatingPointError as error:
        return told | {"broke": str(error).split(";")[0]}
    spent = time.process_time() - started
    x = draw(nets["generator"], n, seed)
    return told | {
        **judge(x, data),
        "seconds_per_step": progress(state)["seconds"] / steps,
        "cpu_ms_per_step": 1000 * spent / (steps - begun) if begun < steps else None,
        "points": pack(x),
    }


def progress(state: Path) -> dict:
    return checkpoints.load(state)[1]["progress"]


@torch.no_grad()
def draw(maker: nn.Module, n: int, seed: int) -> Tensor:
    """(n, 2) of a trained generator, the same for all that are judged by this seed."""
    return maker(torch.randn(n, LATENT, generator=generator(seed, JUDGED)))


def trained_pair(folder: Path, data: str, game: str, seed: int, steps: int) -> GAN:
    """The pair at the end of its run, frozen; trained where it is not there."""
    nets = train(data, game, seed, steps, folder)
    return GAN(nets["generator"], nets["critic"], LATENT).frozen()
