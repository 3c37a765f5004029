"""p(x|z): what the numbers that a decoder puts out say about x.

A head turns them, (n, ...), into n laws on the space of x. A log-likelihood is the sum over all
pixels of an example, never their mean: divided by 784 it would no longer balance the KL to the
prior, and the ELBO would be that of a beta-VAE with beta = 784.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from ganedu.likelihood.posteriors import LOG_2PI, check_shape
from ganedu.targets.base import check_positive


class Pixels(Protocol):
    """n laws of x (n, ...), its pixels independent of one another."""

    @property
    def mean(self) -> Tensor:
        """E[x|z] (n, ...)."""

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over the pixels, (n,)."""

    def sample(self, rng: torch.Generator) -> Tensor:
        """One x (n, ...) of each, without a graph."""


@dataclass(frozen=True)
class Bernoulli:
    """Binary pixels, 1 with probability sigmoid(logits); ``log_prob`` is the log of a probability, at most 0.

    For x between 0 and 1 the same formula is defined, and is what much published code computes
    from grey values; it is not the log of a normalised density, and no likelihood
    (Loaiza-Ganem and Cunningham 2019). So it raises ValueError.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    def log_prob(self, x: Tensor) -> Tensor:
        check_shape("x", x, self.logits.shape)
        if not ((x == 0) | (x == 1)).all():
            raise ValueError("x: expected binary pixels, 0 or 1; got others; see threshold and binarise")
        # log sigmoid of ±logits: finite where the sigmoid itself rounds to 0 or 1.
        return logsigmoid((2 * x - 1) * self.logits).flatten(1).sum(1)

    def sample(self, rng: torch.Generator) -> Tensor:
        return torch.bernoulli(self.mean.detach(), generator=rng)


@dataclass(frozen=True)
class Gaussian:
    """Continuous pixels, N(mean, exp(2 log_std)); ``log_prob`` is the log of a density, without upper bound.

    ``log_std`` is of the shape of ``mean``, or broadcasts to it.
    """

    mean: Tensor
    log_std: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        check_shape("x", x, self.mean.shape)
        noise = (x - self.mean) * (-self.log_std).exp()
        return -(0.5 * (noise.square() + LOG_2PI) + self.log_std).flatten(1).sum(1)

    def sample(self, rng: torch.Generator) -> Tensor:
        mean = self.mean.detach()
        noise = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        return mean + self.log_std.detach().exp() * noise


class BernoulliHead(nn.Module):
    """One logit a pixel."""

    per_pixel = 1

    def forward(self, parameters: Tensor) -> Bernoulli:
        return Bernoulli(parameters)


class FixedStd(nn.Module):
    """One mean a pixel, and the standard deviation ``std`` for all of them, which is not learnt.

    -log p is ½ ‖x - mean‖² / std² plus a constant: std sets how much the reconstruction weighs
    against the KL, as beta does (std² = beta / 2 for squared error and beta KL).
    """

    per_pixel = 1

    def __init__(self, std: float):
        super().__init__()
        check_positive("std", std)
        self.std = std

    def forward(self, parameters: Tensor) -> Gaussian:
        return Gaussian(parameters, parameters.new_tensor(math.log(self.std)))


class SharedStd(nn.Module):
    """One mean a pixel, and one standard deviation, learnt, for all pixels of all examples.

    The best one is the root of the mean squared error, so that likelihood and KL balance
    themselves (Rybkin et al. 2021).
    """

    per_pixel = 1

    def __init__(self):
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(()))

    def forward(self, parameters: Tensor) -> Gaussian:
        return Gaussian(parameters, self.log_std)


class LearnedStd(nn.Module):
    """A mean and a standard deviation a pixel: the decoder's first axis (channels) is cut into two halves.

    std = least + softplus(second half). Without ``least`` a pixel that never changes, such as the
    border of a digit, takes the likelihood to infinity (Mattei and Frellsen 2018); half the gap
    between two grey levels is a reasonable one.
    """

    per_pixel = 2

    def __init__(self, least: float):
        super().__init__()
        check_positive("least", least)
        self.least = least

    def forward(self, parameters: Tensor) -> Gaussian:
        """Raises ValueError for an odd number of channels."""
        if parameters.shape[1] % 2:
            raise ValueError(f"parameters: expected an even number of channels, got {parameters.shape[1]}")
        mean, raw = parameters.chunk(2, 1)
        return Gaussian(mean, (self.least + softplus(raw)).log())
