"""Posteriors that the literature compares samplers on: log joint densities of data and parameters.

The data are fixed, so each is a posterior up to its evidence, with all constants kept: the
normaliser is the evidence. Chains are rows of one matrix product; there is no loop over them.
Like the toys, each has ``dim``, ``dtype`` and ``log_prob(z)`` on any device and in any precision.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ganedu.targets.base import check_points, check_positive
from ganedu.targets.toys import LOG_2PI, Gaussian

EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
STANDARD_ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


class EightSchools:
    """Eight effects of coaching, measured with known errors (Rubin 1981; Gelman et al. 2013, sec. 5.5).

    mu ~ N(0, 5²), tau ~ half-Cauchy(5), theta_j ~ N(mu, tau²), y_j ~ N(theta_j, s_j²).
    Not centred: z = (mu, log tau, eta_1, ..., eta_8) with theta = mu + tau eta, eta ~ N(0, I).
    """

    dim = 10

    def __init__(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"):
        self.dtype = dtype
        self.effects = torch.tensor(EFFECTS, dtype=dtype, device=device)
        self.errors = torch.tensor(STANDARD_ERRORS, dtype=dtype, device=device)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, 10) -> (B,): log p(y, mu, log tau, eta)."""
        check_points(z, self.dim)
        mu, log_tau, eta = z[:, :1], z[:, 1:2], z[:, 2:]
        return _log_standard(eta) + self._log_rest(mu, log_tau, mu + log_tau.exp() * eta)

    def _log_rest(self, mu: Tensor, log_tau: Tensor, theta: Tensor) -> Tensor:
        """log p(mu) p(log tau) p(y | theta) from (B, 1), (B, 1) and (B, 8): (B,)."""
        # tau = e^{log tau} has density 2 / (5 pi (1 + (tau/5)²)), and d tau = tau d log tau.
        above = log_tau[:, 0] - math.log(5.0)
        log_prior_tau = math.log(2.0 / math.pi) + above + logsigmoid(-2.0 * above)
        log_prior_mu = _log_standard(mu / 5.0) - math.log(5.0)
        effects, errors = self.effects.to(theta), self.errors.to(theta)
        log_likelihood = _log_standard((effects - theta) / errors) - errors.log().sum()
        return log_prior_mu + log_prior_tau + log_likelihood


class EightSchoolsCentred(EightSchools):
    """The same posterior in z = (mu, log tau, theta_1, ..., theta_8): a funnel at small tau, which
    ``EightSchools`` straightens (Papaspiliopoulos et al. 2007; Betancourt and Girolami 2015)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, 10) -> (B,): log p(y, mu, log tau, theta)."""
        check_points(z, self.dim)
        mu, log_tau, theta = z[:, :1], z[:, 1:2], z[:, 2:]
        log_schools = _log_standard((theta - mu) * (-log_tau).exp()) - 8 * log_tau[:, 0]
        return log_schools + self._log_rest(mu, log_tau, theta)


class _Regression:
    """Weights z ~ N(0, prior_std² I) and rows (x_n, y_n) that are independent given z."""

    def __init__(self, x: Tensor, y: Tensor, prior_std: float):
        if x.ndim != 2 or not len(x) or not x.isfinite().all():
            raise ValueError(f"x: expected finite numbers of shape (rows, dim), got shape {tuple(x.shape)}")
        if y.shape != x.shape[:1] or not y.isfinite().all():
            raise ValueError(f"y: expected finite numbers of shape ({len(x)},), got shape {tuple(y.shape)}")
        check_positive("prior_std", prior_std)
        self.x, self.y, self.prior_std = x, y.to(x), prior_std
        self.size, self.dim = x.shape
        self.dtype = x.dtype

    def log_prob(self, z: Tensor, batch: Tensor | None = None) -> Tensor:
        """z (B, dim) -> (B,): log p(y, z).

        With ``batch`` (B, m), row indices for each chain, the likelihood of those rows times size / m:
        for rows drawn uniformly, with or without replacement, an unbiased estimate (Welling and Teh 2011).
        """
        check_points(z, self.dim)
        x, y = self.x.to(z), self.y.to(z)
        if batch is None:
            terms = self._log_likelihood(z @ x.T, y)
        else:
            self._check_batch(batch, len(z))
            terms = self._log_likelihood((x[batch] @ z[:, :, None])[..., 0], y[batch])
        log_prior = _log_standard(z / self.prior_std) - self.dim * math.log(self.prior_std)
        return log_prior + terms.sum(-1) * (self.size / terms.shape[1])

    def _check_batch(self, batch: Tensor, chains: int) -> None:
        if batch.dtype != torch.int64 or batch.ndim != 2 or len(batch) != chains or not batch.shape[1]:
            raise ValueError(
                f"batch: expected row indices (int64) of shape ({chains}, m), "
                f"got {batch.dtype} of shape {tuple(batch.shape)}"
            )
        if batch.min() < 0 or batch.max() >= self.size:
            raise ValueError(
                f"batch: expected indices from 0 to {self.size - 1}, "
                f"got {int(batch.min())} to {int(batch.max())}"
            )


class LogisticRegression(_Regression):
    """P(y_n = 1) = sigmoid(x_n·z) with z ~ N(0, prior_std² I), for x (N, d) and y (N,) of 0 and 1."""

    def __init__(self, x: Tensor, y: Tensor, prior_std: float = 1.0):
        super().__init__(x, y, prior_std)
        if not ((self.y == 0) | (self.y == 1)).all():
            raise ValueError(f"y: expected labels 0 and 1, got {self.y.unique()[:5].tolist()}")

    def _log_likelihood(self, linear: Tensor, y: Tensor) -> Tensor:
        return logsigmoid((2.0 * y - 1.0) * linear)


class BayesianLinear(_Regression):
    """y_n ~ N(x_n·z, noise_std²) with z ~ N(0, prior_std² I): conjugate, so the posterior is known
    (Bishop 2006, sec. 3.3) and the bias of an inexact sampler can be read off."""

    def __init__(self, x: Tensor, y: Tensor, noise_std: float = 1.0, prior_std: float = 1.0):
        super().__init__(x, y, prior_std)
        check_positive("noise_std", noise_std)
        self.noise_std = noise_std

    def posterior(self) -> Gaussian:
        """N(m, S) with S⁻¹ = xᵀx / noise_std² + I / prior_std² and m = S xᵀy / noise_std²."""
        x, y = self.x.double(), self.y.double()
        precision = x.T @ x / self.noise_std**2
        precision.diagonal().add_(1.0 / self.prior_std**2)
        cov = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        return Gaussian((cov @ (x.T @ y) / self.noise_std**2).to(self.dtype), cov.to(self.dtype))

    def log_evidence(self) -> float:
        """log p(y): y is N(0, noise_std² I + prior_std² x xᵀ)."""
        x = self.x.double()
        noise = self.noise_std**2 * torch.eye(self.size).to(x)
        marginal = Gaussian(torch.zeros(self.size).to(x), noise + self.prior_std**2 * x @ x.T)
        return float(marginal.log_prob(self.y.double()[None]))

    def _log_likelihood(self, linear: Tensor, y: Tensor) -> Tensor:
        residual = (y - linear) / self.noise_std
        return -0.5 * (residual.square() + LOG_2PI) - math.log(self.noise_std)


def breast_cancer(
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> LogisticRegression:
    """Is a tumour benign: 569 rows of scikit-learn's breast cancer set (Street et al. 1993).

    A constant and 30 standardised features, so dim = 31: many of them say nearly the same, and almost
    all of the classes are separable, which makes the posterior long and skewed.
    """
    from sklearn.datasets import load_breast_cancer

    x, y = (torch.from_numpy(part).double() for part in load_breast_cancer(return_X_y=True))
    x = torch.cat([torch.ones(len(x), 1), _standardised(x)], dim=1)
    return LogisticRegression(x.to(device, dtype), y)


def diabetes(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> BayesianLinear:
    """How a disease goes on from ten measurements: 442 rows of scikit-learn's diabetes set (Efron et
    al. 2004), all standardised, with noise of the size that least squares leaves (0.7)."""
    from sklearn.datasets import load_diabetes

    x, y = (_standardised(torch.from_numpy(part).double()) for part in load_diabetes(return_X_y=True))
    return BayesianLinear(x.to(device, dtype), y, noise_std=0.7)


def _standardised(x: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 along the rows."""
    return (x - x.mean(0)) / x.std(0, correction=0)


def _log_standard(x: Tensor) -> Tensor:
    """The log density (B,) of N(0, I) at x (B, k)."""
    return -0.5 * (x.square() + LOG_2PI).sum(-1)
