"""Demo of lecture 10: a generator that bends a plane into space, and the two volumes that cancel."""

import math
from typing import NamedTuple

import torch
from ipywidgets import FloatSlider
from torch import Tensor

from ganedu.demos.panel import Panel
from ganedu.viz import surface as plots
from ganedu.viz.figure import Figure

STEP_SIZE = 0.5
HERE = (-0.8, 0.6)
DATA_MEAN, DATA_STD = (0.6, -0.4), 0.7


def surface(z: Tensor, bend: float) -> Tensor:
    """G: (z1, z2) -> (sinh(b z1) / b, z2, b z1 z2), (..., 2) -> (..., 3): one to one; flat as b goes to 0."""
    a, b = z.unbind(-1)
    return torch.stack([torch.sinh(bend * a) / bend, b, bend * a * b], dim=-1)


def log_volume(z: Tensor, bend: float) -> Tensor:
    """½ log det JᵀJ at one point z (2,): the log of by what factor G enlarges areas there."""
    jacobian = torch.func.jacfwd(lambda point: surface(point, bend))(z)
    return 0.5 * torch.logdet(jacobian.T @ jacobian)


class Term(NamedTuple):
    """One log density on the surface, as it enters log α: what the latents say, and the volume's part."""

    latent: float
    volume: float


def terms(z: Tensor, z_new: Tensor, bend: float) -> dict[str, Term]:
    """The four log densities of (L10.3) with their signs, for G above and a Langevin proposal.

    The data are G of N(DATA_MEAN, DATA_STD² I), the latent target; z and z_new are (2,), float64.
    """

    def normal(x: Tensor, mean: Tensor, std: float) -> float:
        residual = (x - mean) / std
        return float(-0.5 * residual.square().sum()) - 2 * math.log(std) - math.log(2 * math.pi)

    def drifted(point: Tensor) -> Tensor:
        return point - 0.5 * STEP_SIZE * (point - centre) / DATA_STD**2

    centre, noise = torch.tensor(DATA_MEAN, dtype=z.dtype), math.sqrt(STEP_SIZE)
    here, there = float(log_volume(z, bend)), float(log_volume(z_new, bend))
    return {
        "+ log p_d(x′)": Term(normal(z_new, centre, DATA_STD), -there),
        "+ log q(x | x′)": Term(normal(z, drifted(z_new), noise), -here),
        "− log p_d(x)": Term(-normal(z, centre, DATA_STD), here),
        "− log q(x′ | x)": Term(-normal(z_new, drifted(z), noise), there),
    }


def jacobians() -> Panel:
    """Bend of G and the proposed point -> the four densities of the ratio, latents and volumes apart."""

    def draw(bend: float, z1: float, z2: float) -> Figure:
        z, z_new = torch.tensor([HERE, (z1, z2)], dtype=torch.float64)
        parts = terms(z, z_new, bend)
        log_ratio = sum(term.latent + term.volume for term in parts.values())
        forgotten = log_ratio - parts["+ log q(x | x′)"].volume - parts["− log q(x′ | x)"].volume
        title = (
            f"log ratio {log_ratio:.2f}, with or without the volumes; "
            f"{forgotten:.2f} if the proposal's are forgotten"
        )
        return plots.bent(lambda points: surface(points, bend), {"x": z, "x′": z_new}, parts, title)

    wide = {"style": {"description_width": "initial"}, "layout": {"width": "300px"}}
    controls = {
        "bend": FloatSlider(0.8, min=0.1, max=1.5, step=0.1, description="bend of G", **wide),
        "z1": FloatSlider(1.6, min=-2.0, max=2.0, step=0.1, description="proposed z′₁", **wide),
        "z2": FloatSlider(-1.2, min=-2.0, max=2.0, step=0.1, description="proposed z′₂", **wide),
    }
    return Panel(
        draw, controls, "A surface in space with a move on it, and the terms of the acceptance ratio"
    )
