"""Demos of lecture 9, second half: Langevin dynamics in the latent space that never rejects."""

from collections.abc import Callable
from functools import cache, partial

import torch
from ipywidgets import Dropdown, SelectionSlider
from torch import Tensor

from ganedu.demos.panel import Panel
from ganedu.demos.toy_gans import wavy_gan
from ganedu.rng import generator
from ganedu.samplers.gan import Draws, ddls, rep_gan
from ganedu.viz import tradeoff
from ganedu.viz.figure import Figure

STEP_SIZES = (0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4)
N_CHAINS, STEPS = 1000, 150
EXTENT = (-3.0, 3.0, -2.6, 2.6)
VARIANTS: dict[str, Callable[..., Draws]] = {
    "DDLS": ddls,
    "DDLS, step decays": partial(ddls, decay=1 / 3),
    "DDLS, z1 held": partial(ddls, held=(0,)),
    "REP-GAN: rejects": rep_gan,
}


@cache
def at_step_size(variant: str, step_size: float) -> Draws:
    """The last states of ``N_CHAINS`` chains of ``STEPS`` steps on ``wavy_gan``, started at the prior."""
    run = VARIANTS[variant]
    return run(wavy_gan().gan, N_CHAINS, steps=STEPS, step_size=step_size, rng=generator(9, 6))


def distance(x: Tensor) -> float:
    """Of draws x (n, 2) from the data of ``wavy_gan``: the larger of the two coordinates' sup |F_n - F|."""
    data, n = wavy_gan().data, len(x)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    apart = []
    for axis in (0, 1):
        exact = data.cdf(x[:, axis].sort().values, axis).double()
        apart.append(torch.maximum(steps[1:] - exact, exact - steps[:-1]).max())
    return float(max(apart))


def langevin_bias() -> Panel:
    """Step size τ and variant -> draws of DDLS beside the truth, after a fixed number of steps."""
    distances = {
        variant: [distance(at_step_size(variant, tau).x) for tau in STEP_SIZES] for variant in VARIANTS
    }
    # 1.63 / √n is exceeded by exact draws once in a hundred (Kolmogorov), a coordinate.
    noise = 1.63 / N_CHAINS**0.5

    def draw(step_size: float, variant: str) -> Figure:
        draws = at_step_size(variant, step_size)
        title = f"{variant}, τ = {step_size:g}: moved {draws.accept_rate:.0%}"
        shown = {name: distances[name] for name in dict.fromkeys(("DDLS", variant, "REP-GAN: rejects"))}
        return tradeoff.step_sizes(
            draws.x, wavy_gan().data.log_prob, EXTENT, title, STEP_SIZES, shown, step_size, noise
        )

    wide = {"style": {"description_width": "initial"}, "layout": {"width": "320px"}}
    options = [(f"{tau:g}", tau) for tau in STEP_SIZES]
    controls = {
        "step_size": SelectionSlider(options=options, value=0.2, description="step size τ", **wide),
        "variant": Dropdown(options=list(VARIANTS), description="sampler", **wide),
    }
    return Panel(draw, controls, "Draws of DDLS over the data's contours; distance to the data against τ")
