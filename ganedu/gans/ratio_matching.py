"""Ratio matching as a game (Mohamed and Lakshminarayanan 2016; seed slide 002): the critic says p/q itself.

    critic  E_Q r² / 2 - E_P r,    generator  -E_Q r² / 2

At the best critic, r = p/q, the critic's loss is -(χ² + 1) / 2, χ² being Pearson's ∫ (p - q)² / q, which the
generator lowers: it is the f-GAN of Pearson's divergence with 2 (r - 1) for T. A ratio has no bound: where
data lie that Q does not reach, r and its gradients grow, so a penalty on the slope is in place.
"""

from torch import Tensor, nn

from ganedu.divergences import density_ratio
from ganedu.gans.scores import scores


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E_Q r² / 2 - E_P r, a scalar: ½ E_Q (r - p/q)² but for a constant, and -1/2 where r = 1 everywhere."""
    return density_ratio.ratio_matching(scores(critic, real), scores(critic, fake))


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """-E_Q r² / 2, a scalar: what of minus the critic's loss depends on the generator."""
    return -0.5 * scores(critic, fake).square().mean()
