"""The five samplers of seed slide 000 on pairs that ``benchmarks.gans_2d`` has trained, by step size.

The critics are those whose logit is log p/q at best, of GAN and of f-GAN with the reverse KL (g(v) = -e^-v
is f'(p/q) for v = log p/q). Platt's scaling of held-out logits makes up for what they are short of that.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gans_2d_games import Size
from benchmarks.gans_2d_judge import DATA, judge, pack
from benchmarks.gans_2d_train import load_pair
from benchmarks.rows import Job
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic, fit_logistic
from ganedu.rng import generator
from ganedu.samplers import gan as samplers
from ganedu.samplers.gan import Draws

PAIRS = ("GAN", "f-GAN reverse KL")
STEPPED = ("DDLS", "REP-GAN")  # those that have a step size
SAMPLERS = ("GAN", "DRS", "MH-GAN", *STEPPED)
HELD_OUT = 10**6 + 2  # the seed of the real draws of a calibration
CALIBRATED, DRAWN = 102, 103  # what fakes and chains are drawn by, beside the seed


def runs(taus: tuple[float, ...]) -> list[tuple[str, float | None]]:
    """(sampler, step size or None)."""
    plain = [(name, None) for name in SAMPLERS if name not in STEPPED]
    return plain + [(name, tau) for name in STEPPED for tau in taus]


def key_of(data: str, game: str, seed: int, sampler: str, tau: float | None) -> str:
    end = sampler if tau is None else f"{sampler}/{tau:g}"
    return f"sample/{data}/{game}/{seed}/{end}"


def jobs(size: Size, folder: Path) -> Iterator[Job]:
    """(key, what makes its row) of every sampler on every pair."""
    for seed in range(size.seeds):
        for game in PAIRS:
            for data in DATA:
                for sampler, tau in runs(size.taus):
                    work = partial(row, data, game, seed, sampler, tau, size, folder)
                    yield key_of(data, game, seed, sampler, tau), work


def row(data: str, game: str, seed: int, sampler: str, tau: float | None, size: Size, folder: Path) -> dict:
    """Draw and judge. What a sampler or a calibration could not do is told as ``failed``."""
    gan = load_pair(folder, data, game, seed, size.steps)
    told = {"data": data, "game": game, "seed": seed, "sampler": sampler, "tau": tau, "steps": size.chain}
    try:
        calibration = calibrate(gan, data, seed, size.n)
        started = time.process_time()
        x, draws = draw(sampler, tau, gan, calibration, size, generator(seed, DRAWN))
        spent = time.process_time() - started
    except (ValueError, RuntimeError) as error:
        return told | {"failed": str(error)}
    found = {
        **told,
        **judge(x, data),
        "accept_rate": 1.0 if draws is None else draws.accept_rate,
        "evaluations": [size.n, 0] if draws is None else list(draws.evaluations),
        "law": "the model's" if draws is None else draws.law,
        "scale": calibration.scale,
        "offset": calibration.offset,
        "cpu_seconds": spent,
    }
    return found | ({"points": pack(x)} if seed == 0 else {})


@torch.no_grad()
def calibrate(gan: GAN, data: str, seed: int, n: int) -> Logistic:
    """By n real draws that nothing is trained or judged on, and n fakes. A ceiling would change the law."""
    real = gan.logit(DATA[data].sample(n, generator(HELD_OUT)))
    fake = gan.logit(gan.generator(gan.prior(n, generator(seed, CALIBRATED))))
    return fit_logistic(real, fake, ceiling_quantile=None)


def draw(
    sampler: str,
    tau: float | None,
    gan: GAN,
    calibration: Logistic,
    size: Size,
    rng: torch.Generator,
) -> tuple[Tensor, Draws | None]:
    """x (n, 2), and how it came about. All chains start from the draws that "GAN" shows."""
    n, told = size.n, {"calibration": calibration, "rng": rng}
    match sampler:
        case "GAN":
            with torch.no_grad():
                return gan.generator(gan.prior(n, rng)), None
        case "DRS":
            draws = samplers.drs(gan, n, max_proposals=size.proposals, **told)
        case "MH-GAN":
            draws = samplers.mh_gan(gan, n, steps=size.chain, **told)
        case "DDLS":
            draws = samplers.ddls(gan, n, steps=size.chain, step_size=tau, **told)
        case "REP-GAN":
            draws = samplers.rep_gan(gan, n, steps=size.chain, step_size=tau, **told)
    return draws.x, draws
