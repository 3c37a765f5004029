"""Lecture 8, what a step size does: to what a chain is worth, and to the law of chains that never reject."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from torch import Tensor
from torch.special import ndtr, ndtri

from ganedu.demos.markov_chains import ROOM, WIDE
from ganedu.demos.panel import Panel
from ganedu.rng import generator
from ganedu.samplers import Hamiltonian, Langevin, MetropolisHastings, RandomWalk, run
from ganedu.samplers.base import Kernel
from ganedu.samplers.diagnostics import ess
from ganedu.viz import mixing


@dataclass(frozen=True, eq=False)
class Scaled:
    """N(0, I) in coordinates u = z / scale, ``scale`` (chains, 1): each chain has its own.

    A kernel of step 1 on u is one of step ``scale`` on z, so that chains of many step sizes are one batch.
    """

    scale: Tensor

    def log_prob(self, u: Tensor) -> Tensor:
        """u (chains, d) -> (chains,), but for a constant."""
        return -0.5 * (self.scale * u).square().sum(-1)

    def log_prob_and_grad(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """As ``targets.log_prob_and_grad``."""
        z = self.scale * u
        return -0.5 * z.square().sum(-1), -self.scale * z


def scaled_run(
    kernel: Kernel, steps: Tensor, z: Tensor, n: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``kernel`` of step 1 run on N(0, I) for n steps, once for each of ``steps`` (k,), √τ or ε, from
    z (chains, d): the draws (n, k, chains, d), and the acceptance (k,)."""
    scale = steps.repeat_interleave(len(z))[:, None]
    trace = run(kernel, Scaled(scale), z.repeat(len(steps), 1) / scale, n, rng=rng)
    draws = (scale * trace.z).unflatten(1, (len(steps), len(z)))
    return draws, trace.accept_rate.reshape(len(steps), -1).mean(1)


# --- the optimum of acceptance

POWERS = torch.arange(-2.5, 1.01, 0.25)  # log2 of the step over the one that the theory calls best
CHAINS, COORDINATES = 16, 10  # a step size; coordinates over which the ESS is averaged
BEST = {"random walk": 0.234, "MALA": 0.574, "HMC": 0.651}
DIMENSIONS = (2, 10, 50)  # of N(0, I)
TURN = 1.5 * math.pi  # the length of HMC's trajectories: three quarters of an orbit


def limit_acceptance(kernel: str, step: Tensor, dim: int) -> Tensor:
    """(L8.27), the acceptance on N(0, I) in high dimension; ``step`` is √τ, for HMC ε."""
    argument = {
        "random walk": lambda s: s * math.sqrt(dim) / 2,
        "MALA": lambda s: s**3 * math.sqrt(dim) / 8,
        "HMC": lambda s: s**2 * math.sqrt(dim) / 8,  # times |sin(TURN)|, which is 1
    }[kernel]
    return 2 * ndtr(-argument(step))


def best_step(kernel: str, dim: int) -> float:
    """The step at which (L8.27) has the acceptance ``BEST``."""
    argument = -float(ndtri(torch.tensor(BEST[kernel] / 2, dtype=torch.float64)))
    power, share = {"random walk": (1, 2), "MALA": (3, 8), "HMC": (2, 8)}[kernel]
    return (share * argument / math.sqrt(dim)) ** (1 / power)


class Efficiency(NamedTuple):
    """Of a kernel at each of its steps, all (k,): the ``step`` √τ or ε, the ``acceptance`` measured and
    that of the ``limit``, and the effective draws in 1000 evaluations of the density or gradient."""

    step: Tensor
    acceptance: Tensor
    limit: Tensor
    ess: Tensor


@lru_cache(maxsize=16)
def efficiency(kernel: str, dim: int) -> Efficiency:
    """What ``kernel`` is worth on N(0, I) in R^dim, from exact draws: the mean over coordinates."""
    z = torch.randn(CHAINS, dim, generator=generator(8, 5, dim))
    step = best_step(kernel, dim) * 2.0**POWERS
    if kernel == "HMC":
        return _hamiltonian(z, step)
    move, n = {"random walk": (RandomWalk(1.0), 4000), "MALA": (Langevin(1.0), 600)}[kernel]
    draws, accepted = scaled_run(MetropolisHastings(move), step, z, n, generator(8, 6, dim))
    per_step = torch.stack([_per_draw(draws[:, i]) for i in range(len(step))])
    return Efficiency(step, accepted, limit_acceptance(kernel, step, dim), 1000 * per_step)


def _hamiltonian(z: Tensor, wanted: Tensor) -> Efficiency:
    """At the steps nearest to those ``wanted`` of which n, from 2 to 24, make three quarters of a turn."""
    counts = sorted({min(24, max(2, round(TURN / float(step)))) for step in wanted}, reverse=True)
    step = torch.tensor([2 * math.sin(TURN / (2 * n)) for n in counts])
    parts = []
    for n, size in zip(counts, step, strict=True):
        kernel = MetropolisHastings(Hamiltonian(1.0, n_leapfrog=n))
        draws, accepted = scaled_run(kernel, size[None], z, 150, generator(8, 7, n))
        parts.append((float(accepted), float(_per_draw(draws[:, 0])) / n))
    acceptance, per_gradient = torch.tensor(parts).T
    return Efficiency(step, acceptance, limit_acceptance("HMC", step, z.shape[1]), 1000 * per_gradient)


def _per_draw(draws: Tensor) -> Tensor:
    """Effective draws a draw of (n, chains, d), mean over the first coordinates."""
    return ess(draws[:, :, :COORDINATES]).mean() / (draws.shape[0] * draws.shape[1])


def step_size() -> Panel:
    """Acceptance falls as the step grows, and effective draws rise and fall: the optimum lies between."""

    def draw(kernel: str, dim: int, power: float):
        step, acceptance, limit, worth = efficiency(kernel, dim)
        # HMC's steps are not on a regular grid: the nearest of those measured.
        at = int((step.log2() - math.log2(best_step(kernel, dim)) - power).abs().argmin())
        symbol = "step size ε" if kernel == "HMC" else "step size τ"
        size = step if kernel == "HMC" else step.square()
        title = (
            f"{kernel} in {dim} dimensions: {symbol[-1]} = {float(size[at]):.3g} accepts "
            f"{float(acceptance[at]):.0%}, {float(worth[at]):.1f} effective draws in 1000 evaluations"
        )
        names = (symbol, "effective draws in 1000 evaluations")
        return mixing.optimum(size, acceptance, worth, limit, BEST[kernel], at, names, title)

    for kernel, dim in product(BEST, DIMENSIONS):
        efficiency(kernel, dim)  # measured once, so that no control waits for it
    controls = {
        "kernel": Dropdown(options=list(BEST), value="MALA", description="kernel"),
        "dim": Dropdown(options=DIMENSIONS, value=50, description="dimensions", style=WIDE),
        "power": FloatSlider(
            0.0,
            min=-2.5,
            max=1.0,
            step=0.25,
            description="log2 of step / theory's best",
            style=WIDE,
            layout=ROOM,
        ),
    }
    return Panel(draw, controls, "Acceptance against step size, and effective draws against acceptance")


# --- unadjusted and adjusted


class Bias(NamedTuple):
    """Chains on N(0, 1) that began as exact draws, after ``LONG`` steps of size τ: the draws (n,) of each."""

    unadjusted: Tensor
    adjusted: Tensor


MANY, LONG = 4000, 120  # chains, and steps after which none of them is far from its limit
GRID = torch.arange(1, 20) * 0.2  # step sizes τ at which the variance is measured


def unadjusted_variance(step_size: Tensor | float, variance: float = 1.0) -> Tensor | float:
    """(L8.13): that of unadjusted Langevin chains on N(0, variance), for τ below 4 times it."""
    return variance / (1 - step_size / (4 * variance))


@lru_cache(maxsize=64)
def bias_numbers(step_size: float, seed: int) -> Bias:
    """One τ, both ways, with the same noise."""
    z = torch.randn(MANY, 1, generator=generator(8, 8, seed))
    tau = torch.tensor([step_size])
    return Bias(*(_last(kernel, tau, z, seed)[0] for kernel in _both()))


@lru_cache(maxsize=1)
def bias_curve() -> Bias:
    """The variance (k,) at each of ``GRID``, both ways."""
    z = torch.randn(MANY // 2, 1, generator=generator(8, 9))
    return Bias(*(_last(kernel, GRID, z, 0).var(1) for kernel in _both()))


def _both() -> tuple[Kernel, Kernel]:
    return Langevin(1.0), MetropolisHastings(Langevin(1.0))


def _last(kernel: Kernel, step_size: Tensor, z: Tensor, seed: int) -> Tensor:
    """(k, chains): where the chains are after ``LONG`` steps, at each τ of ``step_size`` (k,)."""
    scale = step_size.sqrt().repeat_interleave(len(z))[:, None]
    start = z.repeat(len(step_size), 1) / scale
    last = run(kernel, Scaled(scale), start, LONG, thin=LONG, rng=generator(8, 10, seed)).z[0]
    return (scale * last).reshape(len(step_size), -1)


def normal_density(variance: float) -> Callable[[Tensor], Tensor]:
    """Of N(0, variance), (n,) -> (n,)."""
    return lambda x: torch.exp(-0.5 * x.square() / variance) / math.sqrt(2 * math.pi * variance)


def unadjusted() -> Panel:
    """Langevin chains with and without the accept step: from exact draws, one loses the law, one keeps it."""

    def draw(step_size: float, seed: int):
        free, exact = bias_numbers(step_size, seed)
        limit = unadjusted_variance(step_size)
        title = (
            f"τ = {step_size:.2f}: variance of ULA {float(free.var()):.2f}, of MALA {float(exact.var()):.2f}"
        )
        return mixing.bias(
            {"ULA": free, "MALA": exact},
            {"target N(0, 1)": normal_density(1.0), f"N(0, {limit:.2f})": normal_density(limit)},
            dict(zip(("ULA", "MALA"), bias_curve(), strict=True)),
            GRID,
            unadjusted_variance,
            step_size,
            title,
        )

    controls = {
        "step_size": FloatSlider(1.0, min=0.1, max=3.8, step=0.1, description="step size τ", style=WIDE),
        "seed": IntSlider(0, min=0, max=9, description="seed"),
    }
    return Panel(draw, controls, "Histograms of unadjusted and adjusted Langevin chains, and their variances")
