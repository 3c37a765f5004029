"""GANs in the plane whose optimal discriminator is written down: what a sampler should find is known."""

from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ganedu.data.mixtures import GaussianMixture, grid
from ganedu.gans import GAN
from ganedu.rng import generator
from ganedu.targets import StandardNormal


class Density(Protocol):
    """Normalised, in nats: x (n, 2) -> (n,)."""

    def log_prob(self, x: Tensor) -> Tensor: ...


class ToyGAN(NamedTuple):
    """``gan``, whose pictures have the law ``model``, beside the ``data`` that they should have.

    The discriminator's logit is log data - log model: D is optimal.
    """

    gan: GAN
    data: GaussianMixture
    model: Density


class LogRatio(nn.Module):
    """The logit of D*: log p_d - log p_g, x (n, 2) -> (n,)."""

    def __init__(self, data: Density, model: Density):
        super().__init__()
        self.data, self.model = data, model

    def forward(self, x: Tensor) -> Tensor:
        return self.data.log_prob(x) - self.model.log_prob(x)


class Components(nn.Module):
    """G: z (n, 3) -> x (n, 2): the first latent picks a component of a mixture, the others place x in it.

    With z ~ N(0, I) its law is the mixture, because the normal distribution function makes the first
    latent uniform. It jumps where the component changes, so it has no useful gradient there.
    """

    def __init__(self, mixture: GaussianMixture):
        super().__init__()
        self.register_buffer("means", mixture.means)
        self.register_buffer("std", mixture.std)
        self.register_buffer("edges", mixture.weights.double().cumsum(0)[:-1])

    def forward(self, z: Tensor) -> Tensor:
        k = torch.bucketize(torch.special.ndtr(z[:, 0].double()), self.edges)
        return self.means[k] + self.std[k, None] * z[:, 1:]


class Wave(nn.Module):
    """G: (z1, z2) -> (z1, z2 + height sin 2 z1): smooth, one to one, and areas stay what they are."""

    def __init__(self, height: float):
        super().__init__()
        self.height = height

    def forward(self, z: Tensor) -> Tensor:
        return torch.stack([z[:, 0], z[:, 1] + self.height * torch.sin(2.0 * z[:, 0])], dim=1)


class Waved(NamedTuple):
    """The law of ``Wave(height)`` on N(0, I): what G does is undone, and no volume has changed."""

    height: float

    def log_prob(self, x: Tensor) -> Tensor:
        return StandardNormal(2).log_prob(Wave(-self.height)(x))


@cache
def uneven_gan() -> ToyGAN:
    """The 25 Gaussians, drawn badly: modes that differ 16-fold in weight, twice too wide, with litter.

    p_d is ``data.grid``, 25 equal modes of standard deviation 0.05. p_g has 80% in 25 modes of 0.1 and
    20% in one Gaussian of 1.5 between and around them. p_d / p_g is largest at the centre of the rarest
    mode, about e^3.2. For samplers without gradients (DRS, MH-GAN).
    """
    data = grid()
    rank = torch.randperm(25, generator=generator(9, 0))
    uneven = 16.0 ** (-rank / 24)
    model = GaussianMixture(
        torch.cat([data.means, torch.zeros(1, 2)]),
        torch.tensor([0.1] * 25 + [1.5]),
        torch.cat([0.8 * uneven / uneven.sum(), torch.tensor([0.2])]),
    )
    return ToyGAN(GAN(Components(model), LogRatio(data, model), 3).frozen(), data, model)


@cache
def wavy_gan() -> ToyGAN:
    """A generator that shears the plane into waves, and data in three unequal blobs on them.

    Since G keeps areas, p_t(z) = p_d(G(z)) exactly, normalised. For samplers that use gradients.
    """
    wave = Wave(0.7)
    latents = torch.tensor([[-1.1, 0.2], [0.1, 0.5], [1.2, -0.4]])
    weights = torch.tensor([0.5, 0.2, 0.3])
    data, model = GaussianMixture(wave(latents), torch.full((3,), 0.4), weights), Waved(0.7)
    return ToyGAN(GAN(wave, LogRatio(data, model), 2).frozen(), data, model)
