"""MMD-GAN (Li et al. 2017; Bińkowski et al. 2018): the kernel distance of features that a critic learns.

The generator minimises MMD²(h(data), h(fakes)) under a kernel k; the critic h maximises it, with a penalty
on the slope of the witness, the function that tells data from fakes best in the kernel's space:

    f(x) = E_P k(h(x), h(data)) - E_Q k(h(x), h(fakes)),    weight E (|∇f(x)| - 1)²
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.divergences.mmd import Kernel, mmd2_unbiased, witness
from ganedu.gans.game import Critic, Game, Nets, fakes, latents, mixing_weights
from ganedu.gans.penalties import between, unit_slope
from ganedu.gans.scores import features
from ganedu.samplers.base import check_count


def witness_penalty(kernel: Kernel, critic: Critic, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """E (|∇f(x)| - 1)² at x = mixing real + (1 - mixing) fake, a scalar; mixing (n,), one a sample
    (Bińkowski et al. 2018). Through the features of data and fakes, too, the critic learns.

    The slope is taken from the sum of f over the batch: no BatchNorm in the critic. Raises ValueError where
    the three do not fit.
    """
    x = between(real, fake, mixing).detach().requires_grad_()
    height = witness(features(critic, x), features(critic, real), features(critic, fake), kernel)
    (slope,) = torch.autograd.grad(height.sum(), x, create_graph=True)
    return unit_slope(slope)


@dataclass(frozen=True)
class MMDGAN(Game):
    """A "critic" of features, x -> (n, d), 16 of them in the paper, against a "generator".

    The paper's kernel is ``divergences.mmd.Sum((RationalQuadratic(), Features()))``; its MMD² is taken
    without bias, and so is below 0 now and then. ``weight`` of the witness penalty; 0 leaves it out, for a
    critic that something else keeps smooth. MMD² is no mean over rows: several processes take the mean
    of those of their shares, which is unbiased too and not the same number.

    Raises ValueError for a ``latent_dim`` below 1 and a negative weight.
    """

    kernel: Kernel
    latent_dim: int
    weight: float = 1.0
    moves: ClassVar = {"critic": ("critic",), "generator": ("generator",)}

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)
        if not self.weight >= 0:
            raise ValueError(f"weight: expected a number of at least 0, got {self.weight}")

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(x, latents (n, latent_dim), mixing weights (n,))."""
        return x, latents(x, self.latent_dim, rng), mixing_weights(x, rng)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        critic = nets["critic"]
        if player == "generator":
            return self._distance(critic, x, fakes(nets, z, x))
        with torch.no_grad():
            fake = fakes(nets, z, x)
        loss = -self._distance(critic, x, fake)
        if self.weight > 0:
            loss = loss + self.weight * witness_penalty(self.kernel, critic, x, fake, mixing)
        return loss

    def _distance(self, critic: Critic, x: Tensor, fake: Tensor) -> Tensor:
        return mmd2_unbiased(features(critic, x), features(critic, fake), self.kernel)
