"""Discriminator optimal transport: each draw is moved to where D likes it better, but not far."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import Info, check_count, check_positive, evaluate_with_grad, moved
from ganedu.samplers.gan.draws import Draws, run_chains
from ganedu.samplers.gan.flat import Flat
from ganedu.targets import Target


class Anchored(NamedTuple):
    """A point with the gradient of d(G(z)), and the ``anchor`` (chains, d) where it set out."""

    z: Tensor
    log_prob: Tensor
    grad: Tensor
    anchor: Tensor


@dataclass(frozen=True)
class Transport:
    """One step of gradient descent on |z - z0| - d(z) / k, along the sphere through z.

    Deterministic: ``rng`` is not used. A gradient of |z - z0| at z0 itself is taken to be 0, where
    the paper adds a small vector to z - z0.

    The anchor is a field of its own of a state in which nothing is changed in place. Codes that
    update z in place and have z0 share its memory pull both along, and the cost of transport is
    always 0: what remains is plain ascent of D.
    """

    step_size: float
    lipschitz: float
    adjusted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)
        check_positive("lipschitz", self.lipschitz)

    def init(self, target: Target, z: Tensor) -> Anchored:
        point = evaluate_with_grad(target, z)
        return Anchored(*point, anchor=point.z)

    def step(self, target: Target, state: Anchored, rng: torch.Generator) -> tuple[Anchored, Info]:
        """Always moves, unless the move leaves the numbers that floats can hold."""
        slope = normalize(state.z - state.anchor, dim=-1) - state.grad / self.lipschitz
        z = state.z - self.step_size * tangent(slope, state.z)
        new = Anchored(*evaluate_with_grad(target, z), anchor=state.anchor)
        return moved(new, state)


def tangent(vector: Tensor, z: Tensor) -> Tensor:
    """``vector`` (chains, d) without its component along z.

    A draw of N(0, I) lies near the sphere of radius √d, and so must what is moved: along the tangent
    the radius grows in second order only. The paper's algorithm 2 subtracts (g·z) z / √d, which is
    the projection only where |z|² = √d.
    """
    radial = normalize(z, dim=-1)
    return vector - (vector * radial).sum(-1, keepdim=True) * radial


def steepest(logit: Tensor, z: Tensor) -> float:
    """max |d(z) - d(z')| / |z - z'| over all pairs of z (m, d): a lower bound of d's Lipschitz constant.

    From ``logit`` (m,), in float64. Needs m² / 2 numbers.
    """
    apart = torch.pdist(z.double())
    return float((torch.pdist(logit.double()[:, None]) / apart)[apart > 0].max())


def dot(
    gan: GAN,
    n: int,
    *,
    lipschitz: float | None = None,
    pilot: int = 1000,
    calibration: Calibration | None = None,
    steps: int = 100,
    step_size: float = 0.01,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws of the prior, transported (Tanaka 2019, algorithm 2): descent on |z - z0| - d(G(z)) / k.

    It optimises and does not sample: its law is neither p_t nor any other that is known, more steps
    bring it no nearer to one, and what D overrates it seeks out. k = ``lipschitz``; by default the
    steepest slope of d∘G over all pairs of ``pilot`` draws (the paper's code takes 100 pairs; all
    pairs of as many draws cost no more passes). The true constant, which is larger, would leave every
    z0 where it is: |z - z0| then outweighs all that D can gain.

    Other arguments as in ``rep_gan``; ``trace`` has d(G(z)) as its ``log_prob``. Raises ValueError as
    ``rep_gan`` does, and where D is the same at every pilot draw.
    """
    check_count("pilot", pilot, at_least=2)
    target = Flat(gan, calibration, batch_size)
    start = target.start(n, rng)
    if lipschitz is None:
        z = target.prior.sample(pilot, rng)
        with torch.no_grad():
            lipschitz = steepest(target.log_weight(z), z)
        if not 0.0 < lipschitz < math.inf:
            raise ValueError(
                f"discriminator: expected finite logits that differ, got a steepest slope of {lipschitz} "
                f"between {pilot} draws of the prior"
            )
    kernel = Transport(step_size, lipschitz)
    why = ("a descent that ends in optima",)
    return run_chains(kernel, target, start, steps, burn_in, thin, trace, progress, rng, why=why)
