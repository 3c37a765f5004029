"""The f-divergences to a mean of P and Q: Jensen-Shannon, weighted, and shifted, which is the value of a GAN.

All three are finite for every P and Q. Of what is here ``f_divergences.py`` says more.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from ganedu.divergences.f_divergence import FDivergence
from ganedu.divergences.special import FAR, LOG_2, inside_or_inf, log1mexp, log_softplus


@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """∫ p log(2p/(p+q)) + q log(2q/(p+q)) = 2 JSD, at most 2 log 2: JSD itself is half of it."""

    end: ClassVar[float] = LOG_2

    def f(self, u: Tensor) -> Tensor:
        """u log(2u / (1+u)) - log((1+u) / 2), from u = ½ on by u - 1: near 1 both have few digits left."""
        high = u.clamp(min=0.5)
        near = torch.special.xlog1py(high, (high - 1) / (high + 1)) - ((high - 1) / 2).log1p()
        return torch.where(u < 0.5, torch.xlogy(u, u) - (u + 1) * ((1 + u) / 2).log(), near)

    def df(self, u: Tensor) -> Tensor:
        return LOG_2 - u.reciprocal().log1p()

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t < self.end
        return inside_or_inf(inside, -LOG_2 - log1mexp(LOG_2 - t.where(inside, 0)))

    def activation(self, v: Tensor) -> Tensor:
        return LOG_2 + logsigmoid(v)

    def dual(self, v: Tensor) -> Tensor:
        return softplus(v) - LOG_2

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return u.log1p() - LOG_2


@dataclass(frozen=True)
class WeightedJensenShannon(FDivergence):
    """π KL(P || M) + (1-π) KL(Q || M), M = π P + (1-π) Q; at π = ½ it is JSD, half of ``JensenShannon``.

    Raises ValueError unless 0 < π < 1.
    """

    pi: float

    def __post_init__(self) -> None:
        if not 0 < self.pi < 1:
            raise ValueError(f"pi: expected a number between 0 and 1, got {self.pi}")

    @property
    def end(self) -> float:
        return -self.pi * math.log(self.pi)

    def f(self, u: Tensor) -> Tensor:
        """π u log(u/m) - (1-π) log m, m = 1 - π + π u; from u = 1 on by m/u, as two large numbers cancel."""
        mean, high = 1 - self.pi + self.pi * u, u.clamp(min=1)
        log_mean_by_u = math.log(self.pi) + ((1 - self.pi) / (self.pi * high)).log1p()
        far = -self.pi * high * log_mean_by_u - (1 - self.pi) * mean.log()
        return torch.where(u < 1, self.pi * torch.xlogy(u, u) - mean * mean.log(), far)

    def df(self, u: Tensor) -> Tensor:
        return self.end - self.pi * ((1 - self.pi) / (self.pi * u)).log1p()

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t < self.end
        below = (self.end - t.where(inside, 0)) / self.pi
        return inside_or_inf(inside, (1 - self.pi) * (math.log1p(-self.pi) - log1mexp(below)))

    def activation(self, v: Tensor) -> Tensor:
        return self.end + logsigmoid(v)

    def dual(self, v: Tensor) -> Tensor:
        """(1-π) log[(1-π) / (1 - e^-a)], a = softplus(-v) / π, which is e^-v / π for large v."""
        log_a = log_softplus(-v) - math.log(self.pi)
        a = log_a.exp()
        near = log1mexp(a.clamp(min=math.exp(-FAR)))
        log_rest = torch.where(log_a < -FAR, log_a - a / 2, near)
        return (1 - self.pi) * (math.log1p(-self.pi) - log_rest)

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return (1 - self.pi) * (1 - self.pi + self.pi * u).log()


@dataclass(frozen=True)
class GAN(FDivergence):
    """∫ p log(p/(p+q)) + q log(q/(p+q)) = 2 JSD - log 4: the value of the game of Goodfellow et al. (2014),
    eq. 4, with D = e^T. No divergence to the letter, as f(1) = -log 4; it takes that where P = Q."""

    end: ClassVar[float] = 0.0

    def f(self, u: Tensor) -> Tensor:
        """u log(u / (1+u)) - log(1+u); from u = 1 on by 1/u, as two large numbers cancel."""
        high = u.clamp(min=1)
        far = -high * high.reciprocal().log1p() - u.log1p()
        return torch.where(u < 1, torch.xlogy(u, u) - (u + 1) * u.log1p(), far)

    def df(self, u: Tensor) -> Tensor:
        return -u.reciprocal().log1p()

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t < 0
        return inside_or_inf(inside, -log1mexp(-t.where(inside, -1)))

    def activation(self, v: Tensor) -> Tensor:
        return logsigmoid(v)

    def dual(self, v: Tensor) -> Tensor:
        return softplus(v)

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return u.log1p()
