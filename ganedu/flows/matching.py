"""Flow matching: a continuous flow learns its velocity by regression, without solving an equation.

>>> import torch
>>> from ganedu.data import two_moons
>>> from ganedu.flows import FlowMatching, cnf
>>> flow, objective, rng = cnf(2), FlowMatching(sigma=0.1), torch.Generator().manual_seed(0)
>>> loss = objective.loss(flow, *objective.draw(two_moons(256, rng), rng))
>>> loss.mean().backward(), loss.shape
(None, torch.Size([256]))

Draw a pair of noise x0 and data x1, a time t and a point x_t on a path between them; ask the field
for the velocity u of that path at x_t. Its mean given x_t, which least squares finds, carries the law of
x_t at t = 0, N(0, I), into that at t = 1, the law of the data smeared by ``sigma`` (Lipman et al. 2022,
theorems 1, 2); for optimal pairs, where the paths start a little wider, see ``OTFlowMatching``.
After the training the flow is a CNF like any other: it samples and has a density by its equation.
Names are torchcfm's, whose x0 is the noise and x1 the data.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.flows.base import Flow
from ganedu.flows.continuous import only_cnf
from ganedu.samplers.base import normal_like


@dataclass(frozen=True)
class FlowMatching:
    """Conditional flow matching along Lipman's straight paths, which end in N(x1, sigma² I).

    At t = 1 the flow has the law of x1 + sigma x0: no detail finer than ``sigma`` is learnt.
    torchcfm calls it TargetConditionalFlowMatcher. Raises ValueError for a sigma outside [0, 1).
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        check_sigma(self.sigma)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """x (n, d) -> (x, x0 (n, d) from N(0, I), t (n,) from U[0, 1))."""
        return x, normal_like(x, rng), uniform(x, rng)

    def path(self, x1: Tensor, x0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x_t, u): x_t = (1 - (1 - sigma) t) x0 + t x1 (Lipman et al. 2022, eq. 22), and its velocity
        u = x1 - (1 - sigma) x0 (in eq. 23), both (n, d)."""
        t = t[:, None]
        return (1.0 - (1.0 - self.sigma) * t) * x0 + t * x1, x1 - (1.0 - self.sigma) * x0

    def loss(self, model: Flow, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """|v(t, x_t) - u|² (n,) (Lipman et al. 2022, eq. 23): no likelihood, and never zero."""
        return squared_error(only_cnf(model).velocity, t, *self.path(x1, x0, t))


@dataclass(frozen=True)
class OTFlowMatching:
    """Flow matching between data and noise that are paired, in every batch, at the least sum of squared
    distances (Tong et al. 2023, algorithm 3; torchcfm's ExactOptimalTransportConditionalFlowMatcher).

    The field learns from straighter paths, that cross less: fewer steps of the solver, and less noise in
    u. The pairs of a finite batch are not those of the two laws, so nothing is exactly straight.

    With sigma = 0 the law learnt is that of the data, as in ``FlowMatching``. Otherwise it is narrower than
    the data smeared by ``sigma``, because the paths start from N(0, (1 + sigma²) I) and the flow from
    N(0, I). Where the data are Gaussian, 1 + sigma² divides every variance: a KL of
    (sigma² - log(1 + sigma²)) / 2 nats a dimension, 2.5e-5 for 0.1, and 0.013 for 0.5. Keep sigma small.
    Raises ValueError for one outside [0, 1).
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        check_sigma(self.sigma)

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (n, d) -> (x, its partners x0 (n, d), t (n,) from U[0, 1), noise (n, d) from N(0, I))."""
        return x, partners(x, normal_like(x, rng)), uniform(x, rng), normal_like(x, rng)

    def path(self, x1: Tensor, x0: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(x_t, u): x_t ~ N(t x1 + (1 - t) x0, sigma² I), u = x1 - x0 (Tong et al. 2023, eqs. 14, 15).

        Not Lipman's path: there sigma multiplies x0, which here is no longer independent of x1.
        """
        t = t[:, None]
        return t * x1 + (1.0 - t) * x0 + self.sigma * noise, x1 - x0

    def loss(self, model: Flow, x1: Tensor, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """|v(t, x_t) - u|² (n,), as in ``FlowMatching``."""
        return squared_error(only_cnf(model).velocity, t, *self.path(x1, x0, t, noise))


def squared_error(velocity, t: Tensor, x_t: Tensor, u: Tensor) -> Tensor:
    """|velocity(t, x_t) - u|² of every row, (n,): summed over coordinates."""
    return (velocity(t, x_t) - u).square().sum(-1)


def partners(x1: Tensor, x0: Tensor) -> Tensor:
    """The rows of x0 (n, d) in the order that makes Σ |x1 - x0|² least.

    Between n points of equal weight on either side some optimal plan is a permutation (Birkhoff), which
    scipy finds exactly in O(n³) on the CPU. torchcfm draws n pairs from the same plan with replacement;
    here every row is used once.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("pairing needs scipy: pip install 'ganedu[flows]'") from error
    cost = torch.cdist(x1.double(), x0.double()).square()
    _, order = linear_sum_assignment(cost.cpu().numpy())
    return x0[torch.from_numpy(order).to(x0.device)]


def uniform(x: Tensor, rng: torch.Generator) -> Tensor:
    """U[0, 1), one number a row of ``x``."""
    return torch.rand(len(x), generator=rng, device=x.device, dtype=x.dtype)


def check_sigma(sigma: float) -> None:
    """Raise ValueError for what is not in [0, 1)."""
    if not 0.0 <= sigma < 1.0:
        raise ValueError(f"sigma: expected a number in [0, 1), got {sigma}")
