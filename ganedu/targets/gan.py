"""The latent target of a GAN: where z has to lie for G(z) to be a draw from the data."""

import torch
from torch import Tensor

from ganedu.gans.calibration import Calibration, Identity
from ganedu.gans.pair import GAN
from ganedu.targets.base import StandardNormal, Tilted, by_autograd, check_points


class LatentTarget(Tilted):
    """p_t(z) ∝ p0(z) exp d(G(z)), d the calibrated logit of D (Che et al. 2020; seed slide 004).

    If D is optimal, z ~ p_t makes G(z) a draw from the data. ``batch_size`` bounds how many
    images exist at once and changes nothing else.

    Raises ValueError for a GAN in train mode (BatchNorm would couple the chains and make every
    cached density stale) or with a parameter that requires a gradient, and for what is no calibration.
    """

    def __init__(self, gan: GAN, calibration: Calibration | None = None, batch_size: int | None = None):
        gan.check_frozen()
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        if calibration is not None and not hasattr(calibration, "differentiable"):
            raise ValueError(f"calibration: expected one of gans.calibration, got {calibration!r}")
        super().__init__(StandardNormal(gan.latent_dim, gan.dtype), self._log_weight)
        self.gan = gan
        self.calibration = calibration or Identity()
        self.batch_size = batch_size

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As ``base.log_prob_and_grad``, in chunks of ``batch_size``.

        Raises ValueError for a calibration without a useful gradient (isotonic).
        """
        if not self.calibration.differentiable:
            raise ValueError(
                f"calibration: expected a differentiable one (Identity, Logistic) for a kernel "
                f"that uses gradients, got {type(self.calibration).__name__}"
            )
        pairs = [by_autograd(self.log_prob, chunk) for chunk in self._chunks(z)]
        return torch.cat([value for value, _ in pairs]), torch.cat([grad for _, grad in pairs])

    def images(self, z: Tensor) -> Tensor:
        """x = G(z) without a graph, in chunks of ``batch_size``."""
        with torch.no_grad():
            return torch.cat([self.gan.generator(chunk) for chunk in self._chunks(z)])

    def _log_weight(self, z: Tensor) -> Tensor:
        check_points(z, self.gan.latent_dim)
        return torch.cat(
            [self.calibration(self.gan.logit(self.gan.generator(chunk))) for chunk in self._chunks(z)]
        )

    def _chunks(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.split(self.batch_size or max(len(z), 1))
