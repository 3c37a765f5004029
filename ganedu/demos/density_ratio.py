"""Demos of lecture 9, first half: how far a discriminator may be trusted, and what it costs to be wrong."""

from functools import cache
from typing import NamedTuple

import torch
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider, SelectionSlider
from torch import Tensor

from ganedu.demos.panel import Panel
from ganedu.demos.toy_gans import uneven_gan
from ganedu.gans.calibration import (
    Calibration,
    Identity,
    Logistic,
    Reliability,
    fit_isotonic,
    fit_logistic,
    reliability_curve,
)
from ganedu.rng import generator
from ganedu.samplers.gan import Draws, drs, mh_gan
from ganedu.samplers.gan.drs import log_odds
from ganedu.viz import calibration as plots
from ganedu.viz import tradeoff
from ganedu.viz.figure import Figure

TEMPERATURES = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
N_DRAWS, STEPS = 2000, 100
WIDE = {"style": {"description_width": "initial"}, "layout": {"width": "380px"}}


class Quality(NamedTuple):
    """What the draws (n, 2) look like beside the 25 modes.

    ``share`` (25,) of draws whose nearest mode this is; ``recovered`` modes, which hold at least half
    of their fair share; ``high`` quality, the share of draws within 4 standard deviations of a mode.
    """

    share: Tensor
    recovered: int
    high: float


def quality(x: Tensor) -> Quality:
    """Of draws x (n, 2) beside the data of ``uneven_gan``."""
    data = uneven_gan().data
    distance, mode = torch.cdist(x, data.means).min(1)
    share = torch.bincount(mode, minlength=25) / len(x)
    recovered = int((share >= 0.5 * data.weights).sum())
    return Quality(share, recovered, float((distance <= 4.0 * data.std[mode]).float().mean()))


@cache
def at_temperature(temperature: float) -> dict[str, Draws]:
    """DRS (γ = 0) and MH-GAN on ``uneven_gan``, given T·d in place of the true logit d, T = ``temperature``.

    T > 1 is a discriminator that is too sure of itself; dividing its logit by T would mend it.
    """
    gan, logit = uneven_gan().gan, Logistic(temperature)
    return {
        "DRS": drs(gan, N_DRAWS, calibration=logit, rng=generator(9, 1)),
        "MH-GAN": mh_gan(gan, N_DRAWS, calibration=logit, steps=STEPS, rng=generator(9, 2)),
    }


def calibration_temperature() -> Panel:
    """Over-confidence T of the logit -> what DRS and MH-GAN draw on the 25 Gaussians, and accept."""
    modes = quality(pool().x).share
    order = modes.argsort()
    accept = {name: [at_temperature(t)[name].accept_rate for t in TEMPERATURES] for name in ("DRS", "MH-GAN")}

    def draw(temperature: float) -> Figure:
        found = {name: draws.x for name, draws in at_temperature(temperature).items()}
        facts = {name: quality(x) for name, x in found.items()}
        titles = {
            f"{name}: {q.recovered} of 25 modes\n{q.high:.1%} near a mode": found[name]
            for name, q in facts.items()
        }
        shares = {"GAN": modes[order]} | {name: q.share[order] for name, q in facts.items()}
        return plots.modes(titles, shares, 1 / 25, TEMPERATURES, accept, temperature)

    options = [(f"{t:g}", t) for t in TEMPERATURES]
    slider = SelectionSlider(options=options, value=1.0, description="D's logit is T·d, T =", **WIDE)
    tooltip = "Draws of DRS and MH-GAN on a grid of 25 Gaussians, share of each mode, acceptance"
    return Panel(draw, {"temperature": slider}, tooltip)


class HeldOut(NamedTuple):
    """Raw logits (n,) of D on ``real`` and ``fake`` points that it was not trained on."""

    real: Tensor
    fake: Tensor


@cache
def held_out(n: int, seed: int) -> HeldOut:
    """The true logits d of ``uneven_gan`` on n draws of the data and n of the generator."""
    toy = uneven_gan()
    real = toy.data.sample(n, generator(9, 3, seed))
    fake = toy.gan.generator(toy.gan.prior(n, generator(9, 4, seed)))
    return HeldOut(toy.gan.logit(real), toy.gan.logit(fake))


def calibrations(temperature: float, offset: float, n: int) -> dict[str, Calibration]:
    """Nothing, Platt's and the isotonic calibration of the raw logit T·d + offset, fitted on n + n draws."""
    real, fake = (temperature * logit + offset for logit in held_out(n, 0))
    logistic = fit_logistic(real, fake, ceiling_quantile=None)
    return {"raw": Identity(), "logistic": logistic, "isotonic": fit_isotonic(real, fake)}


def expected_error(curve: Reliability) -> float:
    """Expected calibration error: the mean of |observed - predicted| over all draws, bin by bin."""
    weight = curve.count / curve.count.sum()
    return float((weight * (curve.observed - curve.predicted).abs()).sum())


def reliability() -> Panel:
    """A raw logit T·d + offset -> its reliability diagram, before and after two calibrations.

    Fitted on n + n draws, drawn from 10,000 others.
    """

    def draw(temperature: float, offset: float, bins: int, n: int) -> Figure:
        real, fake = (temperature * logit + offset for logit in held_out(5000, 1))
        fits = calibrations(temperature, offset, n)
        curves = {name: reliability_curve(fit, real, fake, bins) for name, fit in fits.items()}
        labels = {f"{name}, error {expected_error(curve):.3f}": curve for name, curve in curves.items()}
        slope = f"fitted slope {fits['logistic'].scale:.2f}, offset {fits['logistic'].offset:+.2f}"
        return plots.reliability(labels, bins, title=slope)

    wide = {**WIDE, "layout": {"width": "300px"}}
    controls = {
        "temperature": FloatLogSlider(
            2.0, base=2, min=-2, max=2, step=0.25, description="raw logit T·d + c, T =", **wide
        ),
        "offset": FloatSlider(0.0, min=-3.0, max=3.0, step=0.5, description="offset c (nats)", **wide),
        "bins": IntSlider(10, min=4, max=40, description="bins", **wide),
        "n": SelectionSlider(
            options=[50, 200, 1000, 5000], value=1000, description="held-out points, each class", **wide
        ),
    }
    return Panel(draw, controls, "Reliability diagram of raw and calibrated logits, and their histograms")


class Pool(NamedTuple):
    """Draws x (n, 2) of the generator, and their true logits (n,), float64."""

    x: Tensor
    logit: Tensor


@cache
def pool() -> Pool:
    gan = uneven_gan().gan
    x = gan.generator(gan.prior(50_000, generator(9, 5)))
    return Pool(x, gan.logit(x).double())


class Rejection(NamedTuple):
    """Acceptance probabilities (n,) of the pool, their mean, and how far the accepted law is from p_d."""

    probability: Tensor
    accepted: float
    variation: float


def rejection(gamma: float, slack: float) -> Rejection:
    """DRS on the draws of ``uneven_gan`` with the maximum of their logits raised by ``slack``.

    A draw above the bound (slack < 0) is accepted with probability 1. ``variation``: the total variation
    ½ ∫ |p - p_d| between the law p of what is accepted and the data's, over the pool.
    """
    logit = pool().logit
    bound = float(logit.max()) + slack
    probability = torch.sigmoid(log_odds(logit.clamp(max=bound), bound, gamma))
    weight, truth = probability / probability.sum(), logit.softmax(0)
    return Rejection(probability, float(probability.mean()), 0.5 * float((weight - truth).abs().sum()))


def rejection_gamma() -> Panel:
    """γ of DRS and the bound on the logit -> acceptance against bias."""
    gammas = torch.linspace(-8.0, 8.0, 41).tolist()

    def draw(gamma: float, slack: float) -> Figure:
        along = [rejection(g, slack) for g in gammas]
        now, logit = rejection(gamma, slack), pool().logit
        return tradeoff.rejection(
            logit,
            {"here": now.probability, "exact: e^(d - max d)": (logit - logit.max()).exp()},
            gammas,
            {"share accepted": [r.accepted for r in along], "distance to p_d": [r.variation for r in along]},
            gamma,
            {"share accepted": now.accepted, "distance to p_d": now.variation},
        )

    controls = {
        "gamma": FloatSlider(0.0, min=-8.0, max=8.0, step=0.5, description="γ (nats)", **WIDE),
        "slack": FloatSlider(0.0, min=-3.0, max=3.0, step=0.25, description="bound − max d (nats)", **WIDE),
    }
    return Panel(draw, controls, "Acceptance probability against the logit; acceptance and bias against γ")
