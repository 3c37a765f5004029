"""What every f-divergence can say of itself; which there are: ``f_divergences.py``."""

from typing import Protocol

from torch import Tensor


class FDivergence(Protocol):
    """``end`` is the end of dom f* on the right, which is also f'(∞) = lim f(u)/u: what Q pays, a unit of
    mass, where it has none and P has."""

    @property
    def end(self) -> float: ...

    def f(self, u: Tensor) -> Tensor:
        """f at u >= 0, convex, f(1) = 0; at u = 0 the limit, which may be inf."""

    def df(self, u: Tensor) -> Tensor:
        """f' at u > 0: the optimal T of a ratio u = p/q."""

    def conjugate(self, t: Tensor) -> Tensor:
        """f*(t) = sup_u t u - f(u)."""

    def activation(self, v: Tensor) -> Tensor:
        """g(v) in dom f*, increasing in v."""

    def dual(self, v: Tensor) -> Tensor:
        """f*(g(v)) in one formula: neither it nor its gradient overflows before its value does."""

    def dual_of_ratio(self, u: Tensor) -> Tensor:
        """f*(f'(u)) = u f'(u) - f(u), u > 0 (Fenchel). Where these two cancel it has a formula of its own."""
        return u * self.df(u) - self.f(u)
