"""The five samplers of seed slide 000 on pairs that ``benchmarks.gans_2d`` has trained, by step size.

The critics are those whose logit is log p/q at best, of GAN and of f-GAN with the reverse KL (g(v) = -e^-v
is f'(p/q) for v = log p/q). A critic "as trained" has followed a moving generator and is not at its best;
one "trained on" has gone on alone, the generator at rest, as DRS's algorithm 1 has it (Azadi et al. 2019,
"KeepTraining"). Platt's scaling of held-out logits follows, with the ceiling of ``fit_logistic``: where fakes
are rare a critic may say anything, and a chain, or a maximum, finds where it says too much. What that does
is asked of one "without ceiling".
"""

import copy
import math
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.gans_2d_games import BATCH, Size
from benchmarks.gans_2d_judge import DATA, judge, pack
from benchmarks.gans_2d_train import trained_pair
from benchmarks.rows import Job
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic, fit_logistic
from ganedu.rng import generator
from ganedu.samplers import gan as samplers
from ganedu.samplers.gan import Draws

PAIRS = ("GAN", "f-GAN reverse KL")
STEPPED = ("DDLS", "REP-GAN")  # those that have a step size
SAMPLERS = ("GAN", "DRS", "MH-GAN", *STEPPED)
AS_TRAINED, TRAINED_ON, UNBOUNDED = "as trained", "trained on", "trained on, without ceiling"
USUAL = 0.01  # the step size of the samplers' defaults, and of the paper
FURTHER_RATE = 1e-3  # of Adam, falling to 0: a critic alone is an ordinary classifier
HELD_OUT, VALIDATION = 10**6 + 2, 10**6 + 3  # seeds of draws that calibrate, and that choose a critic
DRAWN, FURTHER = 102, 103  # what chains and batches are drawn by, beside the seed


class Run(NamedTuple):
    """A sampler, its step size or None, and the critic that it follows."""

    sampler: str
    tau: float | None = None
    critic: str = TRAINED_ON

    def key(self, data: str, game: str, seed: int) -> str:
        end = self.sampler if self.tau is None else f"{self.sampler}/{self.tau:g}"
        return f"sample/{data}/{game}/{seed}/{self.critic}/{end}"


def runs(taus: tuple[float, ...]) -> list[Run]:
    """All of them; what other critics are worth is asked at one step size."""
    plain = [Run(name) for name in SAMPLERS if name not in STEPPED]
    stepped = [Run(name, tau) for name in STEPPED for tau in taus]
    others = [
        Run(name, USUAL if name in STEPPED else None, critic)
        for critic in (AS_TRAINED, UNBOUNDED)
        for name in SAMPLERS[1:]
    ]
    return [*others, *plain, *stepped]


def jobs(size: Size, folder: Path) -> Iterator[Job]:
    """(key, what makes its row) of every sampler on every pair."""
    for seed in range(size.seeds):
        for game in PAIRS:
            for data in DATA:
                for run in runs(size.taus):
                    yield run.key(data, game, seed), partial(row, data, game, seed, run, size, folder)


def row(data: str, game: str, seed: int, run: Run, size: Size, folder: Path) -> dict:
    """Draw and judge. What a sampler or a calibration could not do is told as ``failed``."""
    told = {"data": data, "game": game, "seed": seed, **run._asdict(), "steps": size.chain}
    try:
        gan, calibration, loss = pair(data, game, seed, run.critic, size, folder)
        started = time.process_time()
        x, draws = draw(run, gan, calibration, size, generator(seed, DRAWN))
        spent = time.process_time() - started
    except (ValueError, RuntimeError, FloatingPointError) as error:
        return told | {"failed": str(error)}
    found = {
        **told,
        **judge(x, data),
        "accept_rate": 1.0 if draws is None else draws.accept_rate,
        "evaluations": [size.n, 0] if draws is None else list(draws.evaluations),
        "law": "the model's" if draws is None else draws.law,
        "scale": calibration.scale,
        "offset": calibration.offset,
        "ceiling": calibration.ceiling if math.isfinite(calibration.ceiling) else None,
        "held_out_loss": loss,
        "cpu_seconds": spent,
    }
    return found | ({"points": pack(x)} if seed == 0 else {})


@lru_cache(1)
def pair(
    data: str, game: str, seed: int, critic: str, size: Size, folder: Path
) -> tuple[GAN, Logistic, float]:
    """The networks, the calibration, and the calibrated critic's loss on what it was calibrated by."""
    if critic == AS_TRAINED:
        gan = trained_pair(folder, data, game, seed, size.steps)
    else:
        gan = further(data, game, seed, size, folder)
    real, fake = held_out(gan, data, HELD_OUT, seed, size.n)
    calibration = fit_logistic(real, fake)
    if critic == UNBOUNDED:
        calibration = calibration.without_ceiling()
    return gan, calibration, float(loss_of(calibration(real), calibration(fake)))


@lru_cache(1)
def further(data: str, game: str, seed: int, size: Size, folder: Path) -> GAN:
    return keep_training(trained_pair(folder, data, game, seed, size.steps), data, seed, size)


def keep_training(gan: GAN, data: str, seed: int, size: Size) -> GAN:
    """The same generator, and its critic after ``size.further`` steps alone, by the classifier's loss; of the
    critics on the way the one that is best on held-out points, the first included."""
    critic = copy.deepcopy(gan.discriminator).requires_grad_(True)
    optimiser = torch.optim.Adam(critic.parameters(), lr=FURTHER_RATE)
    best, kept = math.inf, gan.discriminator
    for step in range(size.further + 1):
        if step % max(size.further // 20, 1) == 0:
            now = GAN(gan.generator, critic, gan.latent_dim).frozen()
            loss = float(loss_of(*held_out(now, data, VALIDATION, seed, size.n)))
            if loss < best:
                best, kept = loss, now.discriminator
        rng = generator(seed, FURTHER, step)
        x = DATA[data].sample(BATCH, rng)
        with torch.no_grad():
            fake = gan.generator(gan.prior(BATCH, rng))
        for group in optimiser.param_groups:
            group["lr"] = FURTHER_RATE * (1 - step / (size.further + 1))
        optimiser.zero_grad()
        loss_of(critic(x), critic(fake)).backward()
        optimiser.step()
    return GAN(gan.generator, kept, gan.latent_dim).frozen()


def loss_of(real: Tensor, fake: Tensor) -> Tensor:
    """Of logits: 2 log 2 = 1.386 for one who knows nothing, 2 log 2 - 2 JSD at best."""
    return softplus(-real).mean() + softplus(fake).mean()


@torch.no_grad()
def held_out(gan: GAN, data: str, purpose: int, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """Logits (n,) of real draws that nothing is trained or judged on, and of as many fakes."""
    real = gan.logit(DATA[data].sample(n, generator(purpose)))
    return real, gan.logit(gan.generator(gan.prior(n, generator(purpose, seed))))


def draw(
    run: Run, gan: GAN, calibration: Logistic, size: Size, rng: torch.Generator
) -> tuple[Tensor, Draws | None]:
    """x (n, 2), and how it came about. All chains start from the draws that "GAN" shows."""
    n, told = size.n, {"calibration": calibration, "rng": rng}
    match run.sampler:
        case "GAN":
            with torch.no_grad():
                return gan.generator(gan.prior(n, rng)), None
        case "DRS":
            draws = samplers.drs(gan, n, max_proposals=size.proposals, **told)
        case "MH-GAN":
            draws = samplers.mh_gan(gan, n, steps=size.chain, **told)
        case "DDLS":
            draws = samplers.ddls(gan, n, steps=size.chain, step_size=run.tau, **told)
        case "REP-GAN":
            draws = samplers.rep_gan(gan, n, steps=size.chain, step_size=run.tau, **told)
    return draws.x, draws
