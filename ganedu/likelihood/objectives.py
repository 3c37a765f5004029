"""What a trainer minimises. ``draw`` takes everything random, ``loss`` is deterministic.

``draw(x, rng)`` gives tensors with one row an example; ``loss(model, *rows)`` gives (n,), the loss
of each example in nats, for the trainer to average. So several processes that share the rows of
one draw see exactly the numbers of one process. An objective knows no optimiser and no loop.

``loss`` raises ValueError where ``latent_dim`` is not the model's, and as the decoder does.

``prepare(x, rng)`` makes of a batch what the model is a model of: ``pixels.floats`` (as it is),
``pixels.binarise`` or ``pixels.dequantise``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.likelihood.bounds import elbo, iwae, log_weight
from ganedu.likelihood.models import VAE, Autoencoder
from ganedu.likelihood.pixels import floats
from ganedu.samplers.base import check_count, normal_like
from ganedu.targets.base import check_positive

Prepare = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class NegativeELBO:
    """-log p(x|z) + beta KL(q(z|x) || N(0, I)) at one draw z of q: a VAE, or with beta != 1 a beta-VAE
    (Kingma and Welling 2014, eq. 7; Higgins et al. 2017, eq. 4).

    The KL is in closed form. With beta = 1 the mean of the loss is above -log p(x) by KL(q || p(z|x)).
    ``latent_dim`` is the model's.

    With ``prepare=dequantise`` it bounds -log of the density of spread pixels, and the D log gap that makes
    it one of grey levels is left to the reader (``pixels.dequantise``). ``flows.DequantisedLogLikelihood``
    has its D log levels in it: losses and bits of the two compare only once both are of grey levels.
    """

    latent_dim: int
    beta: float = 1.0
    prepare: Prepare = floats

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)
        check_positive("beta", self.beta)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x as the model sees it, noise (n, latent_dim))."""
        return _with_noise(self.prepare(x, rng), rng, self.latent_dim)

    def loss(self, model: VAE, x: Tensor, noise: Tensor) -> Tensor:
        _check_latent_dim(model, self.latent_dim)
        return -elbo(model.log_likelihood, x, model.posterior(x), noise, self.beta)


@dataclass(frozen=True)
class MonteCarloNegativeELBO:
    """-log p(x, z) + log q(z|x) at one draw z of q (Kingma and Welling 2014, eq. 6; seed slide 001, eq. 2).

    The same mean as ``NegativeELBO``, for any q whose KL has no closed form; mostly noisier.
    """

    latent_dim: int
    prepare: Prepare = floats

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x as the model sees it, noise (n, latent_dim))."""
        return _with_noise(self.prepare(x, rng), rng, self.latent_dim)

    def loss(self, model: VAE, x: Tensor, noise: Tensor) -> Tensor:
        _check_latent_dim(model, self.latent_dim)
        return -log_weight(model.log_joint, x, model.posterior(x), noise)


@dataclass(frozen=True)
class NegativeIWAE:
    """-log (1/k) Σ p(x, zᵢ) / q(zᵢ|x) at k draws of q (Burda et al. 2016, eq. 8): closer to -log p(x)
    the larger k. The gradient for the encoder fades as 1/√k against its noise (Rainforth et al. 2018)."""

    latent_dim: int
    k: int
    prepare: Prepare = floats

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)
        check_count("k", self.k)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x as the model sees it, noise (n, k, latent_dim))."""
        return _with_noise(self.prepare(x, rng), rng, self.k, self.latent_dim)

    def loss(self, model: VAE, x: Tensor, noise: Tensor) -> Tensor:
        _check_latent_dim(model, self.latent_dim)
        return -iwae(model.log_joint, x, model.posterior(x), noise.transpose(0, 1))


@dataclass(frozen=True)
class Reconstruction:
    """-log p(x | z) at the code z of x. With the head ``FixedStd(1.0)`` it is ½ ‖x - x̂‖², summed over the
    pixels, plus a constant."""

    prepare: Prepare = floats

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        """(x as the model sees it,)."""
        return (self.prepare(x, rng),)

    def loss(self, model: Autoencoder, x: Tensor) -> Tensor:
        return -model.decode(model.encode(x)).log_prob(x)


@dataclass(frozen=True)
class DenoisingReconstruction:
    """-log p(x | z) at the code z of x + N(0, std² I) (Vincent et al. 2008).

    With squared error the best x̂ is E[x | noisy x], and (x̂ - noisy x) / std² the score of the noisy
    data's density (Vincent 2011; Alain and Bengio 2014).
    """

    std: float
    prepare: Prepare = floats

    def __post_init__(self) -> None:
        check_positive("std", self.std)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x as the model sees it, x with noise)."""
        x = self.prepare(x, rng)
        return x, x + self.std * normal_like(x, rng)

    def loss(self, model: Autoencoder, x: Tensor, noisy: Tensor) -> Tensor:
        return -model.decode(model.encode(noisy)).log_prob(x)


def _check_latent_dim(model: VAE, latent_dim: int) -> None:
    if model.latent_dim != latent_dim:
        raise ValueError(f"latent_dim: expected {model.latent_dim}, as the model has, got {latent_dim}")


def _with_noise(x: Tensor, rng: torch.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    return x, torch.randn(len(x), *shape, generator=rng, device=x.device, dtype=x.dtype)
