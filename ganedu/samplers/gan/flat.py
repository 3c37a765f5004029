"""The discriminator alone, without the prior: what DOT and the gradient flow climb."""

from collections.abc import Callable

from torch import Tensor

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.gan.draws import CountedTarget


class Flat(CountedTarget):
    """log density = potential(d(G(z))), d the calibrated logit: the prior counts for nothing.

    Nothing says that such a density can be normalised. Arguments and errors as in ``LatentTarget``.
    """

    def __init__(
        self,
        gan: GAN,
        calibration: Calibration | None,
        batch_size: int | None,
        potential: Callable[[Tensor], Tensor] = lambda logit: logit,
    ):
        super().__init__(gan, calibration, batch_size)
        self.potential = potential

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,)."""
        return self.potential(self.log_weight(z))
