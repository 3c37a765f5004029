"""Variational autoencoders, and the autoencoders that they are named after.

>>> import torch
>>> from ganedu.likelihood import NegativeELBO, mlp_vae
>>> vae = mlp_vae((1, 28, 28))
>>> x, rng = torch.rand(5, 1, 28, 28).round(), torch.Generator().manual_seed(0)
>>> objective = NegativeELBO(latent_dim=20)
>>> objective.loss(vae, *objective.draw(x, rng)).shape
torch.Size([5])
>>> vae.sample(3, rng).shape
torch.Size([3, 1, 28, 28])
"""

import math

import torch
from torch import Tensor, nn

from ganedu.likelihood.decoders import BernoulliHead, Pixels
from ganedu.likelihood.posteriors import Family, LogVariance, Posterior, check_floats
from ganedu.nets import MLP
from ganedu.targets import StandardNormal


class VAE(nn.Module):
    """z ~ N(0, I), x | z by the decoder, and q(z|x) by the encoder (Kingma and Welling 2014; seed slide 001).

    ``encoder``: any module from x (n, ...) to the parameters (n, p) of q; ``family`` says which q.
    ``decoder``: any module from z (n, latent_dim) to (n, ...), from which ``head`` makes p(x|z).
    One encoder for all x is what sets a VAE apart from BBVI, in which every x has a λ of its own.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        head: nn.Module | None = None,
        family: Family = LogVariance,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = BernoulliHead() if head is None else head
        self.latent_dim = latent_dim
        self.family = family

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x). ValueError where the encoder's width is not that of the family and latent_dim, and for
        an x of bytes: ``pixels`` makes of them what the model was trained on."""
        check_floats("x", x)
        parameters = self.encoder(x).to(x.dtype)  # from bfloat16, in which sums lose their digits
        expected = (len(x), self.family.size(self.latent_dim))
        if parameters.shape != expected:
            raise ValueError(f"encoder: expected to get shape {expected}, got {tuple(parameters.shape)}")
        return self.family.of(parameters)

    def decode(self, z: Tensor) -> Pixels:
        """p(x|z) of z (n, latent_dim)."""
        return self.head(self.decoder(z).to(z.dtype))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats of x (n, ...) and z (n, d) or (k, n, d): (n,) or (k, n).

        One x (1, ...) is held against all z. Raises ValueError for other shapes.
        """
        if z.ndim < 2 or z.shape[-1] != self.latent_dim or len(x) not in (1, z.shape[-2]):
            n, d = len(x), self.latent_dim
            raise ValueError(f"z: expected shape ({n}, {d}) or (k, {n}, {d}), got {tuple(z.shape)}")
        rows = x.expand(*z.shape[:-1], *x.shape[1:]).flatten(0, z.ndim - 2)
        return self.decode(z.flatten(0, -2)).log_prob(rows).reshape(z.shape[:-1])

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), shapes as in ``log_likelihood``."""
        return self.log_likelihood(x, z) + StandardNormal(self.latent_dim).log_prob(z)

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws x from the model, on the device of ``rng``, pixels' noise and all.

        Pictures in papers mostly are ``decode(z).mean`` instead.
        """
        dtype = next(self.parameters()).dtype
        return self.decode(StandardNormal(self.latent_dim, dtype).sample(n, rng)).sample(rng)

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x|z] (n, ...) at the mean of q(z|x)."""
        return self.decode(self.posterior(x).mean).mean


class Autoencoder(nn.Module):
    """A code z = encoder(x) and p(x|z) by the decoder: a VAE without a prior and without noise on z.

    It has no law of x to draw from; ``head`` gives its reconstruction error a unit.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, head: nn.Module | None = None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = BernoulliHead() if head is None else head

    def encode(self, x: Tensor) -> Tensor:
        """The code (n, d) of x (n, ...). ValueError for an x of bytes: see ``pixels``."""
        check_floats("x", x)
        return self.encoder(x).to(x.dtype)

    def decode(self, z: Tensor) -> Pixels:
        """p(x|z) of z (n, d)."""
        return self.head(self.decoder(z).to(z.dtype))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x|z] (n, ...) at the code of x."""
        return self.decode(self.encode(x)).mean


def mlp_vae(
    shape: tuple[int, ...],
    hidden: int = 400,
    latent_dim: int = 20,
    head: nn.Module | None = None,
    family: Family = LogVariance,
) -> VAE:
    """A VAE of x (n, *shape) with one hidden layer on each side: 784-400-20 for MNIST."""
    head = BernoulliHead() if head is None else head
    encoder, decoder = _mlps(shape, hidden, latent_dim, family.size(latent_dim), head)
    return VAE(encoder, decoder, latent_dim, head, family)


def mlp_autoencoder(
    shape: tuple[int, ...], hidden: int = 400, latent_dim: int = 20, head: nn.Module | None = None
) -> Autoencoder:
    """An autoencoder of x (n, *shape) with one hidden layer on each side."""
    head = BernoulliHead() if head is None else head
    return Autoencoder(*_mlps(shape, hidden, latent_dim, latent_dim, head), head)


def _mlps(
    shape: tuple[int, ...], hidden: int, latent_dim: int, code: int, head: nn.Module
) -> tuple[nn.Module, nn.Module]:
    """x -> (n, code), and z (n, latent_dim) -> as many numbers a pixel as ``head`` needs."""
    channels, *rest = shape
    out = (channels * head.per_pixel, *rest)
    encoder = nn.Sequential(nn.Flatten(), MLP(math.prod(shape), hidden, code))
    decoder = nn.Sequential(MLP(latent_dim, hidden, math.prod(out)), nn.Unflatten(1, out))
    return encoder, decoder
