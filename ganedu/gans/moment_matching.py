"""Generators that match moments of the data (seed slide 002, "Moment matching"): |E_P φ - E_Q φ|².

The features φ are a layer of a critic (``FeatureMatching``), or hidden in a kernel <φ(x), φ(y)>, and then
there is no adversary at all (``MomentMatching``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.divergences.mmd import Kernel, mmd2_biased
from ganedu.gans import scores
from ganedu.gans.game import Critic, Game, Nets, TwoPlayer, latents
from ganedu.samplers.base import check_count

Features = Callable[[Tensor], Tensor]  # x (n, ...) -> (n, ...)
SMALLEST = 1e-12  # of MMD², below which its root has no gradient: there rounding decides, even the sign


def feature_matching(features: Features, real: Tensor, fake: Tensor) -> Tensor:
    """|mean φ(real) - mean φ(fake)|², a scalar (Salimans et al. 2016, sec. 3.1).

    Over batches of n and m it is too large by tr Cov_P φ / n + tr Cov_Q φ / m on average.
    """
    return (scores.features(features, real).mean(0) - scores.features(features, fake).mean(0)).square().sum()


@dataclass(frozen=True)
class FeatureMatching(TwoPlayer):
    """The critic is trained by ``objective``, the generator to match the critic's ``features``.

    The network "critic" has ``features(x)`` (n, ...) beside its scores: a hidden layer of it.
    """

    needs: ClassVar = ("critic_loss",)

    def generator_loss(self, critic: Critic, x: Tensor, fake: Tensor) -> Tensor:
        """Scalar, at least 0. Raises ValueError for a critic without ``features``."""
        if not hasattr(critic, "features"):
            raise ValueError(f"critic: expected one with features(x), got {type(critic).__name__}")
        return feature_matching(critic.features, x, fake)


@dataclass(frozen=True)
class MomentMatching(Game):
    """Generative moment matching (Li et al. 2015): the generator alone, by the MMD under a fixed kernel.

    Its loss is the MMD and not its square, as there: a gradient that does not die on the way. Large
    batches, for the estimate with each point paired with itself too is biased by 1/n.

    Raises ValueError for a ``latent_dim`` below 1.
    """

    kernel: Kernel
    latent_dim: int
    moves: ClassVar = {"generator": ("generator",)}

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x, latents (n, latent_dim))."""
        return x, latents(x, self.latent_dim, rng)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        square = mmd2_biased(x, scores.features(nets["generator"], z), self.kernel)
        return square.clamp(min=SMALLEST).sqrt()
