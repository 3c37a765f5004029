"""The linear-Gaussian model, in which everything has a closed form: what the estimates are checked on.

>>> import torch
>>> from ganedu.likelihood import LinearGaussian, log_weight
>>> model = LinearGaussian(torch.eye(3, 2), torch.zeros(3), torch.zeros(()))
>>> x = model.sample(4, torch.Generator().manual_seed(0))
>>> exact, noise = model.posterior(x), torch.randn(1000, 4, 2)
>>> gap = model.log_prob(x) - log_weight(model.log_joint, x, exact, noise)
>>> bool(gap.abs().max() < 1e-4)  # q is exact: every weight is p(x)
True
"""

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from ganedu.likelihood.decoders import Gaussian
from ganedu.likelihood.posteriors import CholeskyGaussian, check_floats, check_shape
from ganedu.samplers.base import check_count
from ganedu.targets import StandardNormal


class LinearGaussian(nn.Module):
    """z ~ N(0, I_d), x | z ~ N(W z + b, σ² I_D): probabilistic PCA (Tipping and Bishop 1999).

    weight (D, d), bias (D,) and log_std = log σ, a scalar, are parameters. x is (n, D); every method
    raises ValueError for another shape.
    """

    def __init__(self, weight: Tensor, bias: Tensor, log_std: Tensor):
        super().__init__()
        check_shape("bias", bias, weight.shape[:1])
        check_shape("log_std", log_std, ())
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())
        self.log_std = nn.Parameter(log_std.clone())

    @property
    def latent_dim(self) -> int:
        return self.weight.shape[1]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) of x (n, D) and z (n, d) or (k, n, d): (n,) or (k, n)."""
        self._check(x)
        mean = z @ self.weight.T + self.bias
        rows = Gaussian(mean.flatten(0, -2), self.log_std)
        return rows.log_prob(x.expand(mean.shape).flatten(0, -2)).reshape(z.shape[:-1])

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), shapes as in ``log_likelihood``."""
        return self.log_likelihood(x, z) + StandardNormal(self.latent_dim).log_prob(z)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) (n,): x ~ N(b, W Wᵀ + σ² I)."""
        self._check(x)
        noise = torch.eye(len(self.bias), dtype=x.dtype, device=x.device) * (2 * self.log_std).exp()
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + noise).log_prob(x)

    def posterior(self, x: Tensor) -> CholeskyGaussian:
        """p(z|x) = N(M⁻¹ Wᵀ(x - b), σ² M⁻¹), M = WᵀW + σ² I (Tipping and Bishop 1999, sec. 3.1)."""
        self._check(x)
        variance = (2 * self.log_std).exp()
        m = self.weight.T @ self.weight + variance * torch.eye(
            self.latent_dim, dtype=x.dtype, device=x.device
        )
        mean = torch.linalg.solve(m, self.weight.T @ (x - self.bias).T).T
        scale_tril = torch.linalg.cholesky(variance * torch.linalg.inv(m))
        return CholeskyGaussian(mean, scale_tril.expand(len(x), -1, -1))

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws x (n, D)."""
        z = torch.randn(n, self.latent_dim, generator=rng, device=rng.device, dtype=self.weight.dtype)
        return Gaussian(z @ self.weight.T + self.bias, self.log_std).sample(rng)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != len(self.bias):
            raise ValueError(f"x: expected shape (n, {len(self.bias)}), got {tuple(x.shape)}")


def fit_linear_gaussian(x: Tensor, dim: int) -> LinearGaussian:
    """The maximum-likelihood model of x (n, D) with ``dim`` latent dimensions, in closed form.

    b is the mean; with the eigenvalues λ of the covariance (divided by n), σ² is the mean of the D - dim
    smallest and W = U (Λ - σ² I)^{1/2} from the dim largest (Tipping and Bishop 1999, eq. 7 and 8). W is
    known up to a rotation of z.

    Raises ValueError unless 1 <= dim < D, for an x of bytes, and where the D - dim smallest eigenvalues are
    all zero, to rounding.
    """
    check_count("dim", dim)
    if x.ndim != 2 or dim >= x.shape[1]:
        raise ValueError(f"dim: expected less than the columns of x (n, D), got {dim} of {tuple(x.shape)}")
    check_floats("x", x)
    bias = x.mean(0)
    values, vectors = torch.linalg.eigh((x - bias).T @ (x - bias) / len(x))
    variance = values[:-dim].mean()
    # An eigenvalue is known to the largest one's rounding: zero may come out on either side of zero.
    if variance <= torch.finfo(x.dtype).eps * x.shape[1] * values[-1]:
        raise ValueError(f"x: expected noise beyond {dim} dimensions, got none")
    weight = vectors[:, -dim:] * (values[-dim:] - variance).clamp(min=0).sqrt()
    return LinearGaussian(weight, bias, 0.5 * variance.log())
