"""The Wasserstein GAN (Arjovsky et al. 2017; seed slides 002 and 003): a critic in place of a classifier.

    W1(P, Q) = sup over 1-Lipschitz f of E_P f - E_Q f          (eq. 2)

What keeps the critic Lipschitz is not in here: ``clip`` after each of its steps, a penalty
(``penalties.gradient_penalty``), or spectral norms (``layers.spectrally_normalised``).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ganedu.gans.scores import scores
from ganedu.targets.base import check_positive


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E_Q f - E_P f, a scalar; -K W1(P, Q) for the best critic of Lipschitz constant K."""
    return scores(critic, fake).mean() - scores(critic, real).mean()


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """-E_Q f, a scalar, whose gradient at the best critic is that of W1 (theorem 3)."""
    return -scores(critic, fake).mean()


@torch.no_grad()
def clip(parameters: Iterable[Tensor], bound: float = 0.01) -> None:
    """Move every number of ``parameters`` into [-bound, bound], in place: after a step of the critic.

    Algorithm 1, line 7. The seed's TensorFlow code asks for the step and the clip in one session call,
    which does them in no certain order; and its Algorithm 1 counts t from 0 to n_critic, once too often.

    Raises ValueError for a bound that is not positive.
    """
    check_positive("bound", bound)
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
