"""Velocity fields whose flow is known in closed form."""

import torch
from torch import Tensor, nn
from torch.distributions import Normal


class Linear(nn.Module):
    """v = A z: then x = exp(A) z, and the log determinant is tr A."""

    def __init__(self, matrix: Tensor):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return z @ self.matrix.T


class GaussianPath(nn.Module):
    """The velocity that carries N(0, I) through N(t mean, width_t²) with
    width_t² = (1 - (1 - sigma) t)² + (t std)²: the marginals of Lipman's paths to N(mean, std²).

    In one dimension the continuity equation leaves one velocity for given Gaussian marginals:
    v = mean + (d log width / dt) (x - t mean). ``end`` is the law at t = 1.
    """

    def __init__(self, mean: Tensor, std: Tensor, sigma: float):
        super().__init__()
        self.mean, self.std, self.sigma = mean, std, sigma
        self.end = Normal(mean, (std.square() + sigma**2).sqrt())

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        t = t.to(x).reshape(-1, 1)
        shrink = 1.0 - self.sigma
        width_squared = (1.0 - shrink * t).square() + (t * self.std).square()
        growth = (t * self.std.square() - shrink * (1.0 - shrink * t)) / width_squared
        return self.mean + growth * (x - t * self.mean)


GAUSSIANS = GaussianPath(
    mean=torch.tensor([1.0, -0.5], dtype=torch.float64),
    std=torch.tensor([0.3, 2.0], dtype=torch.float64),
    sigma=0.1,
)
