"""Table 3 of the f-GAN paper: one Gaussian fitted to a mixture on the line, by five f-divergences.

    python -m benchmarks.f_gan_table3              # ten seeds, ten minutes of one core
    python -m benchmarks.f_gan_table3 --resume     # the seeds that are missing
    python -m benchmarks.f_gan_table3 --quick      # a minute, figures that mean nothing
    python -m benchmarks.f_gan_table3 --report     # page and plot again, from what is there

A generator x = μ + σ z and a critic play for each divergence (Nowozin et al. 2016, sec. 4.1 and algorithm 1;
seed slide 003). What they learn is judged by quadrature: the distance of μ from that of the nearest Gaussian,
and every divergence of every fit. Writes benchmarks/results/f_gan_table3.{json,md,png}; ``--quick`` writes to
the cache. A row is a seed, all five divergences at once, and is kept as soon as it is made.
"""

import math
import time
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks import f_gan_table3_report, rows
from benchmarks.f_gan_table3_report import HIGH, LOW, TARGET, log_p
from benchmarks.files import RESULTS, write_json
from ganedu.data import cache_dir
from ganedu.divergences import (
    KL,
    FDivergence,
    Jeffrey,
    JensenShannon,
    Pearson,
    ReverseKL,
    f_divergence,
    variational_bound,
)
from ganedu.divergences.exact import log_normal
from ganedu.rng import generator

SEEDS = 10


@dataclass(frozen=True)
class JeffreyOfLogRatio(Jeffrey):
    """Jeffrey with g(v) = f'(e^v), so that the best v is log(p/q) and not log(p/q) + 1 - q/p, which falls
    to -1000 where P has little mass and no network follows. f* needs no W then."""

    def activation(self, v: Tensor) -> Tensor:
        return v + 1 - (-v).exp()

    def dual(self, v: Tensor) -> Tensor:
        return v.exp() - 1 + v


@dataclass(frozen=True)
class PearsonOfLogRatio(Pearson):
    """Pearson with g(v) = f'(e^v): T never is where f* is flat, and the generator has no gradient."""

    def activation(self, v: Tensor) -> Tensor:
        return 2 * torch.expm1(v)

    def dual(self, v: Tensor) -> Tensor:
        return torch.expm1(2 * v)


# g(v) = f'(e^v) for all five (seed slide 002, "Divergence minimization II"): the table's own activations of
# the first three are that, but for a constant added to v.
PLAYED: dict[str, FDivergence] = {
    "KL": KL(),
    "rKL": ReverseKL(),
    "JS": JensenShannon(),
    "Jeffrey": JeffreyOfLogRatio(),
    "Pearson": PearsonOfLogRatio(),
}


@dataclass(frozen=True)
class Setting:
    """Adam with β = (.5, .999) at constant rates. What counts as learned is the mean of (μ, σ) over the
    last ``averaged`` of the steps: with rates that fall instead, μ stands still wherever the noise of the
    last fast steps has left it (8,000 steps and three seeds of that: KL missed by .018, .001 and .016).
    """

    steps: int = 25_000
    batch: int = 256
    width: int = 32
    critic_rate: float = 2e-3
    generator_rate: float = 5e-3
    averaged: float = 0.6


QUICK = Setting(steps=60)


class Critics:
    """k networks 1 - width - width - 1 with tanh, as three stacks of matrices: x (k, n, 1) -> v (k, n)."""

    def __init__(self, k: int, width: int, rng: torch.Generator):
        self.parameters = []
        for inputs, outputs in ((1, width), (width, width), (width, 1)):
            weight = torch.randn(k, inputs, outputs, generator=rng) / math.sqrt(inputs)
            bias = torch.randn(k, 1, outputs, generator=rng) * (inputs == 1)  # bends at -1 to 1, not all at 0
            self.parameters += [weight.requires_grad_(), bias.requires_grad_()]

    def __call__(self, x: Tensor) -> Tensor:
        w1, b1, w2, b2, w3, b3 = self.parameters
        hidden = torch.baddbmm(b2, torch.baddbmm(b1, x, w1).tanh(), w2).tanh()
        return torch.baddbmm(b3, hidden, w3)[..., 0]


def learn(seed: int, setting: Setting) -> tuple[Tensor, Tensor]:
    """(μ, σ) of each of the five, (5, 2), and the mean of its bound, (5,), while they were averaged.

    Single-step: critic and generator move at once, on the gradient of one bound.
    """
    rng, k, n = generator(seed), len(PLAYED), setting.batch
    critics = Critics(k, setting.width, rng)
    mean, log_std = (torch.zeros(k, 1, requires_grad=True) for _ in range(2))
    players = (
        torch.optim.Adam(critics.parameters, lr=setting.critic_rate, betas=(0.5, 0.999), fused=True),
        torch.optim.Adam([mean, log_std], lr=setting.generator_rate, betas=(0.5, 0.999), fused=True),
    )
    first = int(setting.steps * (1 - setting.averaged))
    learned, values = torch.zeros(k, 2), torch.zeros(k)
    for step in range(setting.steps):
        real = TARGET.sample(k * n, rng).float().reshape(k, n, 1)
        fake = mean + log_std.exp() * torch.randn(k, n, generator=rng)
        v_real, v_fake = critics(torch.cat([real, fake[..., None]], 1)).split(n, 1)
        bounds = torch.stack(
            [variational_bound(d, v_real[i], v_fake[i]) for i, d in enumerate(PLAYED.values())],
        )
        for player in players:
            player.zero_grad()
        bounds.sum().backward()
        for parameter in critics.parameters:
            parameter.grad.neg_()  # the critic ascends
        for player in players:
            player.step()
        if step >= first:
            at = torch.cat([mean, log_std.exp()], 1).detach()
            learned += (at - learned) / (step - first + 1)
            values += (bounds.detach() - values) / (step - first + 1)
    return learned, values


def row(seed: int, setting: Setting) -> dict:
    """What one seed learned, and all five divergences of each fit, by quadrature."""
    start = time.process_time()
    learned, values = learn(seed, setting)
    seconds = time.process_time() - start
    fits = {}
    for name, (mean, std), value in zip(PLAYED, learned.double(), values.tolist(), strict=True):
        fits[name] = {
            "mean": float(mean),
            "std": float(std),
            "bound": value,
            "divergences": {test: exact(d, mean, std) for test, d in PLAYED.items()},
        }
    return {"seed": seed, "steps": setting.steps, "cpu_seconds": round(seconds, 1), "fits": fits}


def exact(divergence: FDivergence, mean: Tensor, std: Tensor) -> float:
    """D_f(P || N(mean, std²)) by quadrature."""
    return float(f_divergence(divergence, log_p, lambda x: log_normal(x, mean, std.log()), LOW, HIGH))


def jobs(seeds: int, setting: Setting) -> list[rows.Job]:
    return [(f"seed/{seed}", lambda seed=seed: row(seed, setting)) for seed in range(seeds)]


def main(
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that all of it runs.")] = False,
    resume: Annotated[bool, typer.Option(help="Keep the rows that are there.")] = False,
    report: Annotated[bool, typer.Option(help="Make no row; page and plot only.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = SEEDS,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
) -> None:
    """Make the rows, then the page and the plot."""
    torch.set_num_threads(threads)
    path = (cache_dir() if quick else RESULTS) / "f_gan_table3.json"
    plan = jobs(seeds, QUICK if quick else Setting())
    failed = {}
    if not report:
        if not resume:
            rows.drop(path, list(rows.load(path)["rows"]))
        failed = rows.fill(path, plan, "f-GAN")
    found = rows.load(path)
    if found["rows"]:
        write_json(path, f_gan_table3_report.figures(found["rows"]) | {"rows": found["rows"]})
        for written in f_gan_table3_report.write(path):
            print(written)
    command = "python -m benchmarks.f_gan_table3 --resume" + (" --quick" if quick else "")
    rows.say_missing([key for key, _ in plan if key not in found["rows"]], command, failed)


if __name__ == "__main__":
    typer.run(main)
