"""The hinge objective (Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17): that of SN-GAN.

The best critic is the sign of p - q, and its loss 2 ∫ min(p, q) = 2 (1 - TV(P, Q)). The hinge is taken
of every sample: of the mean it would forgive fakes far on the wrong side for others far on the right.
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from ganedu.gans.scores import scores


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E_P [1 - d]+ + E_Q [1 + d]+, a scalar: 2 where d = 0 everywhere."""
    return relu(1.0 - scores(critic, real)).mean() + relu(1.0 + scores(critic, fake)).mean()


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """-E_Q d, a scalar. No hinge here: a fake that passes is pushed on."""
    return -scores(critic, fake).mean()
