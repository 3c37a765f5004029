"""Linear maps: permutations, and matrices kept as a product of triangles so that log |det| costs nothing."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganedu.flows.base import Transform, exactly
from ganedu.targets.base import check_dim


class Permutation(Transform):
    """x_i = z_{order[i]} along axis 1, fixed: couplings and autoregressive maps between which it
    stands meet the coordinates in another order. It changes no volume.

    Raises ValueError for an ``order`` (dim,) that is no permutation of 0, ..., dim - 1.
    """

    def __init__(self, order: Tensor):
        super().__init__()
        if not torch.equal(order.sort().values, torch.arange(len(order), device=order.device)):
            raise ValueError(f"order: expected a permutation of 0, ..., dim - 1, got {order.tolist()}")
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    @classmethod
    def reverse(cls, dim: int) -> "Permutation":
        """Last coordinate first."""
        return cls(torch.arange(dim).flip(0))

    @classmethod
    def random(cls, dim: int, rng: torch.Generator) -> "Permutation":
        """Every order equally likely."""
        return cls(torch.randperm(dim, generator=rng, device=rng.device))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.index_select(1, self.order), z.new_zeros(len(z))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.back), x.new_zeros(len(x))


class LULinear(Transform):
    """x = L U z + t, for z (n, dim): L lower triangular with a positive diagonal, U upper
    triangular with ones on it, so that log |det| = Σ log L_ii. Starts as the identity.

    One matrix ``lu`` (dim, dim) holds both: L below its diagonal, U above, and log L_ii on it.
    A product L U cannot exchange coordinates; ``Permutation`` does.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_dim(dim, 1)
        self.lu = nn.Parameter(torch.zeros(dim, dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(z):
            lower, upper = triangles(self.lu)
            return F.linear(z, lower @ upper, self.shift), self._log_det(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(x):
            return F.linear(x - self.shift, inverse_of_product(*triangles(self.lu))), -self._log_det(x)

    def _log_det(self, z: Tensor) -> Tensor:
        return self.lu.diagonal().sum().expand(len(z))


class Invertible1x1(Transform):
    """x[:, :, i, j] = W z[:, :, i, j]: one matrix W = P L S U for all pixels of images (n, C, H, W)
    (Kingma and Dhariwal 2018, sec. 3.2, eq. 10).

    P permutes and S holds signs; both are fixed by the LU decomposition of the random rotation
    that W starts as. L and U are those of ``LULinear`` (the paper has the diagonal in U), so that
    log |det| = H W Σ log L_ii.
    """

    def __init__(self, channels: int):
        super().__init__()
        check_dim(channels, 1)
        rotation = nn.init.orthogonal_(torch.empty(channels, channels))
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        # P L D V with D diagonal and V unit upper is P (L |D|) S V.
        self.lu = nn.Parameter(lower.tril(-1) * diagonal.abs() + (upper / diagonal[:, None]).triu(1))
        with torch.no_grad():
            self.lu.diagonal().copy_(diagonal.abs().log())
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(z):
            lower, upper = self._triangles()
            return F.conv2d(z, (self.permutation @ lower @ upper)[:, :, None, None]), self._log_det(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(x):
            matrix = inverse_of_product(*self._triangles()) @ self.permutation.T
            return F.conv2d(x, matrix[:, :, None, None]), -self._log_det(x)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        lower, upper = triangles(self.lu)
        return lower, self.sign[:, None] * upper

    def _log_det(self, z: Tensor) -> Tensor:
        return z.shape[2:].numel() * self.lu.diagonal().sum().expand(len(z))


def triangles(lu: Tensor) -> tuple[Tensor, Tensor]:
    """(L, U) of the matrix that holds both: see ``LULinear``."""
    lower = lu.tril(-1) + lu.diagonal().exp().diag()
    upper = lu.triu(1) + torch.eye(len(lu), dtype=lu.dtype, device=lu.device)
    return lower, upper


def inverse_of_product(lower: Tensor, upper: Tensor) -> Tensor:
    """(L U)^-1 (dim, dim), by two triangular systems."""
    identity = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
    half = torch.linalg.solve_triangular(lower, identity, upper=False)
    return torch.linalg.solve_triangular(upper, half, upper=True)
