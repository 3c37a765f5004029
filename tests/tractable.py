"""Targets in closed form: GANs whose optimal discriminator is known, and a conjugate posterior."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from ganedu.gans import GAN
from ganedu.targets import StandardNormal, Tilted


class Affine(nn.Module):
    """G(z) = A z + b."""

    def __init__(self, matrix: Tensor, shift: Tensor):
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("shift", shift)

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.matrix.T + self.shift


class Optimal(nn.Module):
    """D* = log p_d - log p_g, as logits (B,)."""

    def __init__(self, data: MultivariateNormal, model: MultivariateNormal):
        super().__init__()
        self.data, self.model = data, model

    def forward(self, x: Tensor) -> Tensor:
        return self.data.log_prob(x) - self.model.log_prob(x)


@dataclass(frozen=True)
class AffineGAN:
    """G affine on R^d and p_d = N(mean, cov): p_g and p_t are Gaussian too."""

    gan: GAN
    mean: Tensor
    cov: Tensor


def affine_gan(dim: int, seed: int, dtype: torch.dtype = torch.float64) -> AffineGAN:
    """A random one, with p_d shifted, rotated and of another shape than p_g."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=dtype)

    rotation, _ = torch.linalg.qr(normal(dim, dim))
    scales = 0.7 + 0.8 * torch.rand(dim, generator=rng, dtype=dtype)
    matrix, shift = rotation * scales, normal(dim)
    # In the latent space p_t = N(m, S) with S between 0.6 and 1, so that p_d / p_g is bounded
    # and rejection can be exact; m is a shift of about one standard deviation in all.
    turn, _ = torch.linalg.qr(normal(dim, dim))
    latent_cov = (turn * (0.6 + 0.4 * torch.rand(dim, generator=rng, dtype=dtype))) @ turn.T
    latent_mean = normal(dim)
    latent_mean = latent_mean / latent_mean.norm()
    mean, cov = matrix @ latent_mean + shift, matrix @ latent_cov @ matrix.T
    model = MultivariateNormal(shift, matrix @ matrix.T, validate_args=False)
    data = MultivariateNormal(mean, (cov + cov.T) / 2, validate_args=False)
    gan = GAN(Affine(matrix, shift), Optimal(data, model), dim).frozen()
    return AffineGAN(gan, mean.double(), cov.double())


class Surface(nn.Module):
    """G: R² -> R³, (z1, z2) -> (sinh z1, z2, z1 z2): stretches, bends, and is one to one."""

    def forward(self, z: Tensor) -> Tensor:
        a, b = z.unbind(-1)
        return torch.stack([torch.sinh(a), b, a * b], dim=-1)


class OnSurface(nn.Module):
    """D* of data G#N(mean, std² I) against G#N(0, I).

    On the surface both densities have the same factor (det JᵀJ)^-1/2, so it cancels; ``wrong``
    times log det JᵀJ / 2 puts it back, as a sampler that forgets this would.
    """

    def __init__(self, mean: Tensor, std: float, wrong: float = 0.0):
        super().__init__()
        self.register_buffer("mean", mean)
        self.std, self.wrong = std, wrong

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.asinh(x[:, 0]), x[:, 1]
        z = torch.stack([a, b], dim=-1)
        log_ratio = 0.5 * (z.square() - ((z - self.mean) / self.std).square()).sum(-1)
        # J has rows (cosh a, 0), (0, 1), (b, a).
        det = (a.cosh().square() + b.square()) * (1 + a.square()) - (a * b).square()
        return log_ratio + 0.5 * self.wrong * det.log()


class Observed(Tilted):
    """z ~ N(0, I), and ``observed`` (d,) is z plus noise of standard deviation ``noise``.

    The posterior has mean observed / (1 + noise²) and standard deviation noise / √(1 + noise²) in each
    coordinate; the evidence is the density of N(0, 1 + noise²) at ``observed``. In double precision.
    """

    def __init__(self, observed: list[float], noise: float):
        y = torch.tensor(observed, dtype=torch.float64)
        prior = StandardNormal(len(y), torch.float64)
        super().__init__(prior, lambda z: Normal(z, noise).log_prob(y.to(z)).sum(-1))
        self.mean = y / (1 + noise**2)
        self.std = noise / (1 + noise**2) ** 0.5
        self.second = self.mean.square() + self.std**2
        self.log_z = float(Normal(0.0, (1 + noise**2) ** 0.5).log_prob(y).sum())
