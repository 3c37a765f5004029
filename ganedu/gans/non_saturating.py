"""The non-saturating objective of Goodfellow et al. (2014), sec. 3, in logits.

The discriminator minimises -E_P log D - E_Q log(1 - D); the generator minimises -E_Q log D,
not E_Q log(1 - D), whose gradient vanishes where the discriminator wins. In logits
-log sigmoid(d) = softplus(-d), which is finite for every d.
"""

from torch import Tensor, nn
from torch.nn.functional import softplus

from ganedu.gans.minimax import critic_loss
from ganedu.gans.scores import scores

__all__ = ["critic_loss", "generator_loss"]


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """Scalar; log 2 where D = 1/2."""
    return softplus(-scores(critic, fake)).mean()
