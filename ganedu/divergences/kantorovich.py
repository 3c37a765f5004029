"""The dual of W_1 by a critic: the best 1-Lipschitz function that a network finds.

    W_1(P, Q) = sup of E_P f - E_Q f over the f with |f(x) - f(y)| <= |x - y|

(Kantorovich and Rubinstein; Villani 2009, remark 6.5; seed slide 002, "Optimal transport dual", where P is
the data as it is here). A network obeys no such bound by itself. ``KantorovichDual`` is a loss that makes
it do so nearly; ``w1_lower_bound`` says what a critic, however it was trained, proves about two samples.

>>> import torch
>>> from pathlib import Path
>>> from ganedu.data import grid, ring
>>> from ganedu.divergences import KantorovichDual, w1_lower_bound
>>> from ganedu.nets import MLP
>>> from ganedu.training import MLERecipe, fit_mle
>>> def pairs(n, rng):
...     return torch.stack([ring().sample(n, rng), grid().sample(n, rng)], 1)
>>> critic = fit_mle(MLP(2, 64, 64, 1), KantorovichDual(), pairs, MLERecipe(steps=2000), Path("build/w1"))
>>> w1_lower_bound(critic, *pairs(1000, torch.Generator().manual_seed(1)).unbind(1))
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganedu.divergences.samples import check_pair, column
from ganedu.divergences.transport import distance_cost
from ganedu.samplers.base import uniform_like
from ganedu.targets.base import check_positive


def w1_dual_value(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """mean f(x) - mean f(y), a scalar: at most W_1 of the samples if f is 1-Lipschitz, else anything.

    Raises ValueError for samples of two spaces, or a critic whose values are not (n,) or (n, 1).
    """
    check_pair(x, y)
    return column("critic", critic(x)).mean() - column("critic", critic(y)).mean()


@torch.no_grad()
def w1_lower_bound(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A lower bound of W_1 between samples x (n, ...), y (m, ...), whatever the critic: a scalar, float64.

    A plan pays |x_i - y_j| for what it moves from x_i to y_j, so any numbers f_i, g_j with f_i + g_j <=
    |x_i - y_j| earn less than it costs: mean f + mean g <= W_1 (weak duality). Here f is the critic over
    its steepest slope from a y_j to an x_i, and g_j = min_i |x_i - y_j| - f_i the most that is allowed (the
    c-transform). So neither the critic's scale nor what its slope is elsewhere matters, and the bound is
    tight where the critic is optimal. A critic that points the wrong way may prove less than nothing. It
    needs (n, m) numbers of memory.

    Raises ValueError for samples of two spaces, or a critic whose values are not finite or not (n,), (n, 1).
    """
    check_pair(x, y)
    distance = distance_cost(x.double(), y.double())
    f, f_y = (_values(critic, points) for points in (x, y))
    # Where two points coincide, so do the critic's values.
    slope = ((f[:, None] - f_y) / distance).masked_fill(distance == 0, 0.0).max()
    f = f / slope if slope > 0 else torch.zeros_like(f)
    return f.mean() + (distance - f[:, None]).min(0).values.mean()


@dataclass(frozen=True)
class KantorovichDual:
    """What a critic minimises: f(y) - f(x) + λ (|∇f(t)| - 1)², at a point t between x and y (Gulrajani et al.
    2017, eq. 3), so that ``fit_mle`` fits one to pairs (n, 2, d) of x from P and y from Q.

    The slope where all of it is spent on one distance W is 1 + W / 2λ: ``w1_dual_value`` of such a critic is
    too high by that factor, and ``w1_lower_bound`` divides it out. Raises ValueError for λ <= 0.
    """

    weight: float = 10.0

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)

    def draw(self, pairs: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """pairs (n, 2, d) -> (pairs, t (n,) uniform): one number for each pair, not for each coordinate."""
        if pairs.ndim != 3 or pairs.shape[1] != 2:
            raise ValueError(f"pairs: expected shape (n, 2, d), got {tuple(pairs.shape)}")
        return pairs, uniform_like(pairs[:, 0, 0], rng)

    def loss(self, model: nn.Module, pairs: Tensor, t: Tensor) -> Tensor:
        """(n,), in the units of f."""
        x, y = pairs.unbind(1)
        between = torch.lerp(y, x, t[:, None]).detach().requires_grad_()
        with torch.enable_grad():  # a held-out loss asks for no gradient, and has a slope all the same
            (slope,) = torch.autograd.grad(model(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1.0).square()
        return column("critic", model(y)) - column("critic", model(x)) + self.weight * penalty


def _values(critic: nn.Module, points: Tensor) -> Tensor:
    values = column("critic", critic(points)).double()
    if not values.isfinite().all():
        raise ValueError("critic: expected finite values, got NaN or infinity")
    return values
