"""The game of Goodfellow et al. (2014), eq. 1, in logits: one value V, which D maximises and G minimises.

    V(G, D) = E_P log D + E_Q log(1 - D),    D = sigmoid(logit)

For G fixed the best D is p / (p + q), logit log(p/q), and V is then -log 4 + 2 JSD(P, Q) (prop. 1 and
theorem 1; seed slide 003). The discriminator's loss is that of ``non_saturating``; the two differ in
what G does about it.
"""

from torch import Tensor, nn
from torch.nn.functional import softplus

from ganedu.gans.scores import scores


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """-V, a scalar: log 4 where D = 1/2 everywhere, log 4 - 2 JSD for the best D.

    Real and fake are separate batches on purpose: BatchNorm statistics of a mixed batch would give the
    answer away.
    """
    return softplus(-scores(critic, real)).mean() + softplus(scores(critic, fake)).mean()


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """E_Q log(1 - D), a scalar: -log 2 where D = 1/2.

    Its gradient at a fake with logit d is -sigmoid(d) of the logit's: none where D is sure of itself.
    Public code under this name often has the other loss, -E_Q log D, whose gradient is
    -sigmoid(-d) of it: the game is at rest at the same point, and gets there by another way
    (``non_saturating``).
    """
    return -softplus(scores(critic, fake)).mean()
