"""Demos of lecture 10 on the DCGAN: why a prior proposal is refused, a chain step by step, a ceiling."""

import math
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import torch
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider, SelectionSlider
from torch import Tensor

from ganedu import zoo
from ganedu.demos.dcgan import Walk, calibration, gan, images, logits, target, walk
from ganedu.demos.panel import Panel
from ganedu.rng import generator
from ganedu.samplers import Independence, Langevin
from ganedu.viz import latent as plots
from ganedu.viz import tilt
from ganedu.viz.figure import Figure

WIDE = {"style": {"description_width": "initial"}, "layout": {"width": "360px"}}

N_PRIOR = 4000
SLOPES = tuple(k / 4 for k in range(1, 13))


def gaussian_acceptance(kl: float) -> float:
    """2 Φ(-√KL): how often a proposal from the prior is accepted where the logit is Gaussian (L10.5)."""
    return 2.0 * NormalDist().cdf(-math.sqrt(kl))


@cache
def prior_logits() -> Tensor:
    """s l + b (N_PRIOR,) of draws from the prior, ascending; the fitted scale, no ceiling, float64."""
    z = gan().prior(N_PRIOR, generator(10, 40))
    return torch.cat([logits(images(part)) for part in z.split(250)]).double().sort().values


class Tilt(NamedTuple):
    """What multiplying N(0, I) by e^d does, from d at draws of the prior.

    ``weight`` (n,) of the draws under p_t, by ascending logit, summing to 1; ``acceptance`` of MH-GAN in
    equilibrium; ``kl`` = KL(p_t || p0) in nats; ``effective`` draws that are left of the n, 1 / Σ weight².
    """

    weight: Tensor
    acceptance: float
    kl: float
    effective: float


def tilt_of(logit: Tensor) -> Tilt:
    """Of logits d (n,) at draws of the prior. Expectations are weighted sums over them: no chain runs."""
    logit = logit.sort().values
    n, weight = len(logit), torch.softmax(logit, 0)
    # The mean over j of min(1, e^{d_j - d_i}): those above count 1, those below by their ratio.
    below = torch.cat([torch.zeros(1), (logit[:-1].logcumsumexp(0) - logit[1:]).exp()])
    accept = (torch.arange(n, 0, -1) + below) / n
    kl = float((weight * logit).sum() - torch.logsumexp(logit, 0) + math.log(n))
    return Tilt(weight, float(weight @ accept), kl, float(1 / weight.square().sum()))


def bounded(uncapped: Tensor) -> Tensor:
    """s l + b (n,) with the zoo's ceiling on it (L10.14)."""
    ceiling = zoo.calibration("cifar10-dcgan").ceiling
    return ceiling - torch.nn.functional.softplus(ceiling - uncapped)


@cache
def tilt_at(slope: float, ceiling: bool) -> Tilt:
    """Of the calibrated logit, its slope multiplied by ``slope``, with the zoo's ceiling or without."""
    uncapped = slope * prior_logits()
    return tilt_of(bounded(uncapped) if ceiling else uncapped)


def independence() -> Panel:
    """Slope of the calibration -> which draws of the prior count, and how often MH-GAN accepts."""
    curves = {
        name: [tilt_at(s, ceiling).acceptance for s in SLOPES]
        for name, ceiling in (("without ceiling", False), ("with ceiling", True))
    }

    def draw(slope: float) -> Figure:
        found = tilt_at(slope, False)
        title = (
            f"slope × {slope:.2f}: KL = {found.kl:.2f} nats, accepted {found.acceptance:.3f}, "
            f"2Φ(-√KL) = {gaussian_acceptance(found.kl):.3f}; {N_PRIOR} draws are worth {found.effective:.0f}"
        )
        published = {"the paper's MH-GAN, largest": 0.060, "smallest": 0.021}
        return tilt.acceptance(prior_logits(), found.weight, SLOPES, curves, slope, published, title)

    slider = FloatSlider(1.0, min=0.25, max=3.0, step=0.25, description="slope ×", **WIDE)
    tooltip = "Histogram of logits under the prior and under the target; acceptance against the slope"
    return Panel(draw, {"slope": slider}, tooltip, still={"slope": SLOPES[-1]})


STEP_SIZES = tuple(10 ** (k / 4) for k in range(-10, 3))  # 0.003 to 3.2
SHOWN_STEPS, WALK_STEPS, STARTS = 12, 24, 8
PRIOR_PROPOSAL = 0.0  # in place of a step size: the proposal of MH-GAN


@cache
def walk_at(step_size: float) -> Walk:
    """STARTS chains of REP-GAN from the prior; the same starts, noise and uniforms at every step size."""
    z = gan().prior(STARTS, generator(10, 20))
    proposal = Independence() if step_size == PRIOR_PROPOSAL else Langevin(step_size)
    return walk(target(), proposal, z, WALK_STEPS, seed=7)


def acceptance(chains: Walk) -> float:
    """The mean probability of acceptance, over chains and steps."""
    return float(chains.log_alpha.exp().mean())


def mean_jump(chains: Walk) -> float:
    """The mean of |z_{k+1} - z_k|², 0 where nothing is accepted; 200 for independent draws of N(0, I)."""
    return float((chains.z[1:] - chains.z[:-1]).square().sum(-1).mean())


def chain_strip() -> Panel:
    """Step size and start -> a REP-GAN chain on CIFAR-10, every proposal, and whether it was accepted."""
    every = [walk_at(step_size) for step_size in STEP_SIZES]
    from_prior = walk_at(PRIOR_PROPOSAL)
    names = "mean acceptance", "mean squared jump"
    curves = {name: [f(w) for w in every] for name, f in zip(names, (acceptance, mean_jump), strict=True)}
    levels = dict(zip(names, (acceptance(from_prior), mean_jump(from_prior)), strict=True))

    def draw(step_size: float, start: int) -> Figure:
        nearest = min(STEP_SIZES, key=lambda size: abs(math.log(size / step_size)))
        chosen = walk_at(nearest)
        n = SHOWN_STEPS
        x = images(chosen.z[: n + 1, start])
        proposed = images(chosen.proposed[:n, start])
        alpha, taken = chosen.log_alpha[:n, start].exp(), chosen.accepted[:n, start]
        title = f"τ = {nearest:.3g}, start {start}: {int(taken.sum())} of {n} proposals accepted"
        return plots.proposals(x, proposed, taken, alpha, curves, STEP_SIZES, nearest, levels, title)

    controls = {
        "step_size": FloatLogSlider(
            10**-2, min=-2.5, max=0.5, step=0.25, description="step size τ", readout_format=".2g", **WIDE
        ),
        "start": IntSlider(0, min=0, max=STARTS - 1, description="start (number)", **WIDE),
    }
    tooltip = "Twelve steps of a REP-GAN chain: proposals, states, acceptance and jump"
    return Panel(draw, controls, tooltip, still={"step_size": 10**-0.25})


SHARPNESS = (1.0, 3.0)
CHAINS, STEPS, THIN = 9, 120, 10


class OnTarget(NamedTuple):
    """Every THIN-th state of CHAINS chains, the start first: z (states, chains, 100), and its s l + b."""

    z: Tensor
    logit: Tensor
    acceptance: float


@cache
def on_target(sharpness: float, ceiling: bool) -> OnTarget:
    """REP-GAN with τ = 0.05 for STEPS steps; starts, noise and uniforms are the same on every target."""
    z = gan().prior(CHAINS, generator(10, 23))
    chains = walk(target(sharpness, ceiling), Langevin(0.05), z, STEPS, seed=8)
    kept = chains.z[::THIN]
    return OnTarget(kept, logits(images(kept)), acceptance(chains))


def ceiling() -> Panel:
    """Steps and slope -> pictures of the target with the ceiling, and of the one without."""
    outlier = zoo.outlier_logit("cifar10-dcgan")
    for sharpness in SHARPNESS:
        for bounded in (True, False):
            on_target(sharpness, bounded)

    def draw(step: int, sharpness: float) -> Figure:
        runs = {"with ceiling": on_target(sharpness, True), "no ceiling": on_target(sharpness, False)}
        k = step // THIN
        outliers = {name: int((run.logit[k] > outlier).sum()) for name, run in runs.items()}
        sets = {
            f"slope × {sharpness:g}, {name}: {outliers[name]} of {CHAINS} outliers": images(run.z[k])
            for name, run in runs.items()
        }
        traces = {name: run.logit for name, run in runs.items()}
        return plots.two_targets(sets, traces, step, THIN, outlier, columns=3)

    options = [(f"{s:g} × fitted slope", s) for s in SHARPNESS]
    controls = {
        "step": IntSlider(0, min=0, max=STEPS, step=THIN, description="step", **WIDE),
        "sharpness": SelectionSlider(options=options, value=3.0, description="trust in D:", **WIDE),
    }
    bound = calibration().ceiling
    tooltip = f"Nine chains with the ceiling {bound:.1f} and nine without, and the logits of both"
    return Panel(draw, controls, tooltip, still={"step": STEPS})
