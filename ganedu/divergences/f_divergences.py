"""The f-divergences D_f(P || Q) = ∫ q f(p/q), P the data and Q the model, and what an f-GAN needs of each.

By Fenchel's inequality f(u) >= t u - f*(t), so that for every function T

    D_f(P || Q) >= E_P T - E_Q f*(T),    with equality at T = f'(p/q)

(Nguyen et al. 2010; Nowozin et al. 2016, eq. 4; seed slides 002, "f-Divergence dual form"). A network puts
out v in R, and T = g(v) with an activation g whose values lie in dom f* (Nowozin et al., sec. 2.4 and
table 6). f and f' are those of Nowozin et al., table 5, which seed slide 003 reprints. Its integrals are not
all those of its f: that of Jensen-Shannon has a factor 1/2 that f has not, those of Pearson and Neyman are
exchanged, p and q are exchanged in that of α, and the f of GAN has f(1) = -log 4 where a divergence has 0.

Everything is elementwise, for tensors of any shape and any floating dtype, and differentiable. Where t is
outside dom f*, f*(t) is inf.

>>> import torch
>>> from ganedu.divergences import F_DIVERGENCES
>>> F_DIVERGENCES["KL"].f(torch.tensor([1.0, 2.0]))
tensor([0.0000, 1.3863])
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ganedu.divergences.f_divergence import FDivergence
from ganedu.divergences.jensen_shannon import GAN, JensenShannon, WeightedJensenShannon
from ganedu.divergences.special import box_cox, expm1, inside_or_inf, log_lambert_w, log_softplus


@dataclass(frozen=True)
class TotalVariation(FDivergence):
    """½ ∫ |p - q|, at most 1. f' jumps at 1, and g reaches its ends ±½ in the limit only."""

    end: ClassVar[float] = 0.5

    def f(self, u: Tensor) -> Tensor:
        return 0.5 * (u - 1).abs()

    def df(self, u: Tensor) -> Tensor:
        return 0.5 * (u - 1).sign()

    def conjugate(self, t: Tensor) -> Tensor:
        return inside_or_inf(t <= self.end, t.clamp(min=-0.5))

    def activation(self, v: Tensor) -> Tensor:
        return 0.5 * v.tanh()

    def dual(self, v: Tensor) -> Tensor:
        return 0.5 * v.tanh()

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return self.df(u)


@dataclass(frozen=True)
class KL(FDivergence):
    """∫ p log(p/q)."""

    end: ClassVar[float] = math.inf

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u)

    def df(self, u: Tensor) -> Tensor:
        return 1 + u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        return (t - 1).exp()

    def activation(self, v: Tensor) -> Tensor:
        return v

    def dual(self, v: Tensor) -> Tensor:
        return (v - 1).exp()


@dataclass(frozen=True)
class ReverseKL(FDivergence):
    """∫ q log(q/p)."""

    end: ClassVar[float] = 0.0

    def f(self, u: Tensor) -> Tensor:
        return -u.log()

    def df(self, u: Tensor) -> Tensor:
        return -1 / u

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t < 0
        return inside_or_inf(inside, -1 - t.where(inside, -1).neg().log())

    def activation(self, v: Tensor) -> Tensor:
        return -(-v).exp()

    def dual(self, v: Tensor) -> Tensor:
        return v - 1

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return u.log() - 1


@dataclass(frozen=True)
class Pearson(FDivergence):
    """∫ (p - q)² / q. The slide has this integral in the line of Neyman."""

    end: ClassVar[float] = math.inf

    def f(self, u: Tensor) -> Tensor:
        return (u - 1).square()

    def df(self, u: Tensor) -> Tensor:
        return 2 * (u - 1)

    def conjugate(self, t: Tensor) -> Tensor:
        """-1 below t = -2, where the supremum is at u = 0. t²/4 + t alone, as in the paper's table, is
        the conjugate of f on the whole line and too large there: the bound would not be tight."""
        t = t.clamp(min=-2)
        return t * (t / 4 + 1)

    def activation(self, v: Tensor) -> Tensor:
        return v

    def dual(self, v: Tensor) -> Tensor:
        return self.conjugate(v)


@dataclass(frozen=True)
class Neyman(FDivergence):
    """∫ (p - q)² / p. The slide has this integral in the line of Pearson."""

    end: ClassVar[float] = 1.0

    def f(self, u: Tensor) -> Tensor:
        return (1 - u) * ((1 - u) / u)  # a square would overflow before its value does

    def df(self, u: Tensor) -> Tensor:
        return 1 - u.square().reciprocal()

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t <= self.end
        return inside_or_inf(inside, 2 - 2 * (1 - t.where(inside, 0)).sqrt())

    def activation(self, v: Tensor) -> Tensor:
        return 1 - (-v).exp()  # the slope of expm1, its value and 1, is 0 for v above 17 in float32

    def dual(self, v: Tensor) -> Tensor:
        return 2 - 2 * (-v / 2).exp()

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return 2 - 2 / u


@dataclass(frozen=True)
class SquaredHellinger(FDivergence):
    """∫ (√p - √q)², at most 2."""

    end: ClassVar[float] = 1.0

    def f(self, u: Tensor) -> Tensor:
        return (u.sqrt() - 1).square()

    def df(self, u: Tensor) -> Tensor:
        return 1 - u.rsqrt()

    def conjugate(self, t: Tensor) -> Tensor:
        inside = t < self.end
        t = t.where(inside, 0)
        return inside_or_inf(inside, t / (1 - t))

    def activation(self, v: Tensor) -> Tensor:
        return 1 - (-v).exp()  # the slope of expm1, its value and 1, is 0 for v above 17 in float32

    def dual(self, v: Tensor) -> Tensor:
        return v.exp() - 1

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return u.sqrt() - 1


@dataclass(frozen=True)
class Jeffrey(FDivergence):
    """∫ (p - q) log(p/q) = KL(P || Q) + KL(Q || P)."""

    end: ClassVar[float] = math.inf

    def f(self, u: Tensor) -> Tensor:
        return torch.xlogy(u, u) - u.log()

    def df(self, u: Tensor) -> Tensor:
        return u.log() + 1 - 1 / u

    def conjugate(self, t: Tensor) -> Tensor:
        """w + 1/w + t - 2 with w + log w = 1 - t, that is w = W(e^(1-t)), Lambert's W; the paper gives
        the same (its table 5). In y = log w it is e^-y - 1 - y, in which nothing large cancels."""
        y = log_lambert_w(1 - t)
        return torch.expm1(-y) - y

    def activation(self, v: Tensor) -> Tensor:
        return v

    def dual(self, v: Tensor) -> Tensor:
        return self.conjugate(v)


@dataclass(frozen=True)
class Alpha(FDivergence):
    """(∫ p^α q^(1-α) - 1) / (α(α-1)). α = 2 is half of Pearson, -1 half of Neyman, ½ twice squared
    Hellinger; α -> 1 is KL, α -> 0 reverse KL. The slide's integral is that of 1-α. Close below 1, g(v) is of
    ordinary size where v is near 1/(α-1), of which float32 has few digits: learn by KL there.

    Raises ValueError for α = 0, α = 1, and what is not finite.
    """

    alpha: float

    def __post_init__(self) -> None:
        if self.alpha in (0, 1) or not math.isfinite(self.alpha):
            raise ValueError(f"alpha: expected a finite number other than 0 and 1, got {self.alpha}")

    @property
    def end(self) -> float:
        return 1 / (1 - self.alpha) if self.alpha < 1 else math.inf

    @property
    def power(self) -> float:
        """Of 1 + (α-1) t in the conjugate: Hölder's conjugate of α."""
        return self.alpha / (self.alpha - 1)

    def f(self, u: Tensor) -> Tensor:
        """(u^α - 1 - α(u-1)) / (α(α-1)), so that nothing is divided by the small one of α and α-1."""
        if self.alpha > 0.5:
            return (box_cox(u, self.alpha - 1, base=1) - (u - 1)) / self.alpha
        return (self.dual_of_ratio(u) - (u - 1)) / (self.alpha - 1)

    def df(self, u: Tensor) -> Tensor:
        return box_cox(u, self.alpha - 1)

    def conjugate(self, t: Tensor) -> Tensor:
        """For α > 1 the supremum is at u = 0 where 1 + (α-1) t < 0, and for α < 1 it is inf there."""
        step = (self.alpha - 1) * t
        inside = (step > -1) | ((step == -1) & (0 < self.power < 1))
        value = expm1(self.power * torch.log1p(step.where(inside, 0))) / self.alpha
        return value.where(inside, -1 / self.alpha) if self.alpha > 1 else inside_or_inf(inside, value)

    def activation(self, v: Tensor) -> Tensor:
        return v if self.alpha > 1 else self.end + logsigmoid(v)

    def dual(self, v: Tensor) -> Tensor:
        if self.alpha > 1:
            return self.conjugate(v)
        log_base = log_softplus(-v) + math.log(1 - self.alpha)
        return expm1(self.power * log_base) / self.alpha

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        return box_cox(u, self.alpha)


# Those with a parameter: the weight of P in the mixture is 0.3, α is ½ and 1½.
F_DIVERGENCES: dict[str, FDivergence] = {
    "total variation": TotalVariation(),
    "KL": KL(),
    "reverse KL": ReverseKL(),
    "Pearson": Pearson(),
    "Neyman": Neyman(),
    "squared Hellinger": SquaredHellinger(),
    "Jeffrey": Jeffrey(),
    "Jensen-Shannon": JensenShannon(),
    "JS-weighted": WeightedJensenShannon(0.3),
    "GAN": GAN(),
    "alpha < 1": Alpha(0.5),
    "alpha > 1": Alpha(1.5),
}
