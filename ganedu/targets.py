"""What is sampled: log densities, batched over chains, that know nothing of kernels."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganedu.gans.calibration import Calibration, Identity
from ganedu.gans.pair import GAN


class Target(Protocol):
    """An unnormalised log density."""

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,)."""


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I) in ``dim`` dimensions: the prior of every GAN here."""

    dim: int
    dtype: torch.dtype = torch.float32

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, dim) -> (B,), normalised."""
        return -0.5 * (z.square().sum(-1) + self.dim * math.log(2.0 * math.pi))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, dim) on the device of ``rng``."""
        return torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=self.dtype)


class Tilted:
    """p_t(z) ∝ prior(z) exp log_weight(z), for kernels that need the two apart.

    ``prior`` has ``log_prob`` and ``sample``; ``log_weight`` maps z (B, d) to (B,).
    """

    def __init__(self, prior: StandardNormal, log_weight: Callable[[Tensor], Tensor]):
        self.prior = prior
        self.log_weight = log_weight

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,), unnormalised."""
        return self.prior.log_prob(z) + self.log_weight(z)


class LatentTarget(Tilted):
    """p_t(z) ∝ p0(z) exp d(G(z)), d the calibrated logit of D (Che et al. 2020; seed slide 004).

    If D is optimal, z ~ p_t makes G(z) a draw from the data. ``batch_size`` bounds how many
    images exist at once and changes nothing else.

    Raises ValueError for a GAN in train mode (BatchNorm would couple the chains and make every
    cached density stale) or with a parameter that requires a gradient.
    """

    def __init__(self, gan: GAN, calibration: Calibration | None = None, batch_size: int | None = None):
        gan.check_frozen()
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        super().__init__(StandardNormal(gan.latent_dim, gan.dtype), self._log_weight)
        self.gan = gan
        self.calibration = calibration or Identity()
        self.batch_size = batch_size

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As ``log_prob_and_grad`` below, in chunks of ``batch_size``.

        Raises ValueError for a calibration without a useful gradient (isotonic).
        """
        if not self.calibration.differentiable:
            raise ValueError(
                f"calibration: expected a differentiable one (Identity, Logistic) for a kernel "
                f"that uses gradients, got {type(self.calibration).__name__}"
            )
        pairs = [_by_autograd(self.log_prob, chunk) for chunk in self._chunks(z)]
        return torch.cat([value for value, _ in pairs]), torch.cat([grad for _, grad in pairs])

    def images(self, z: Tensor) -> Tensor:
        """x = G(z) without a graph, in chunks of ``batch_size``."""
        with torch.no_grad():
            return torch.cat([self.gan.generator(chunk) for chunk in self._chunks(z)])

    def _log_weight(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.gan.latent_dim:
            raise ValueError(f"z: expected shape (chains, {self.gan.latent_dim}), got {tuple(z.shape)}")
        return torch.cat(
            [self.calibration(self.gan.logit(self.gan.generator(chunk))) for chunk in self._chunks(z)]
        )

    def _chunks(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.split(self.batch_size or max(len(z), 1))


def log_prob_and_grad(target: Target, z: Tensor) -> tuple[Tensor, Tensor]:
    """(log density (B,), its gradient (B, d)) at z (B, d), both without a graph.

    One backward pass for all rows: row i of the density must depend on row i of z alone.
    """
    own = getattr(target, "log_prob_and_grad", None)
    return own(z) if own else _by_autograd(target.log_prob, z)


def _by_autograd(log_prob: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = log_prob(z)
        (grad,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), grad
