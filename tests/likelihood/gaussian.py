"""One latent number with a Gaussian posterior: bounds and variances in closed form or by quadrature.

log p(x, z) = log p(x) + log N(z; m, s²) and q = N(μ, σ²), so that at z = μ + σ ε

    f = log p(x, z) - log q(z) = a + b ε + c ε²,
    a = log p(x) + log(σ / s) - δ² / 2s²,  b = -δ σ / s²,  c = (1 - σ² / s²) / 2,  δ = μ - m.

Nothing here uses ganedu.likelihood.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Known:
    """log p(x), the posterior N(m, s²), and q = N(mu, sigma²)."""

    log_prob: float = -3.2
    m: float = 0.7
    s: float = 0.6
    mu: float = 0.2
    sigma: float = 0.9

    @property
    def abc(self) -> tuple[float, float, float]:
        delta, ratio = self.mu - self.m, self.sigma**2 / self.s**2
        a = self.log_prob + math.log(self.sigma / self.s) - delta**2 / (2 * self.s**2)
        return a, -delta * self.sigma / self.s**2, (1 - ratio) / 2

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """Of any x; z (..., 1)."""
        noise = (z[..., 0] - self.m) / self.s
        return self.log_prob - 0.5 * noise.square() - math.log(self.s) - 0.5 * math.log(2 * math.pi)

    def parameters(self, n: int) -> Tensor:
        """λ (n, 2) of q."""
        return torch.tensor([[self.mu, math.log(self.sigma)]], dtype=torch.float64).expand(n, -1)

    @property
    def kl_to_posterior(self) -> float:
        """KL(q || p(z|x)), by the textbook's formula."""
        delta, ratio = self.mu - self.m, self.sigma / self.s
        return -math.log(ratio) + 0.5 * (ratio**2 + (delta / self.s) ** 2 - 1)

    @property
    def gradient(self) -> Tensor:
        """Of the ELBO with respect to (μ, log σ)."""
        return torch.tensor([self.m - self.mu, self.s**2 - self.sigma**2], dtype=torch.float64) / self.s**2

    @property
    def reparameterised_variance(self) -> Tensor:
        """Of -(δ + σ ε) / s² and of 1 - (δ + σ ε) σ ε / s²: Var ε = 1, Var ε² = 2, Cov(ε, ε²) = 0."""
        delta, sigma, s = self.mu - self.m, self.sigma, self.s
        both = [sigma**2, delta**2 * sigma**2 + 2 * sigma**4]
        return torch.tensor(both, dtype=torch.float64) / s**4

    def reinforce_variance(self, baseline: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """Of (f - baseline) times the scores ε / σ and ε² - 1.

        With E ε² = 1, E ε⁴ = 3, E ε⁶ = 15, and E[(ε² - 1)² (1, ε², ε⁴)] = (2, 10, 78).
        """
        a, b, c = self.abc
        a_mu, a_sigma = a - baseline[0], a - baseline[1]
        of_mu = (a_mu**2 + 3 * b**2 + 15 * c**2 + 6 * a_mu * c - b**2) / self.sigma**2
        of_sigma = 2 * a_sigma**2 + 10 * b**2 + 78 * c**2 + 20 * a_sigma * c - (2 * c) ** 2
        return torch.tensor([of_mu, of_sigma], dtype=torch.float64)

    @property
    def best_baseline(self) -> tuple[float, float]:
        """E[f s²] / E[s²] for either score s: a + 3c, as E ε⁴ = 3, and a + 5c, as 10 / 2 = 5."""
        a, _, c = self.abc
        return a + 3 * c, a + 5 * c

    def iwae(self, k: int) -> float:
        """E log (1/k) Σ w by two nested one-dimensional integrals, whatever k is.

        log S = ∫ (e^-t - e^-tS) dt/t over t > 0, and E e^-tS = (E e^-tw)^k for a sum S of k independent w.
        With t = e^u both integrands are smooth, and the trapezoidal rule is exact to rounding.
        """
        a, b, c = self.abc
        eps = np.linspace(-10, 10, 801)
        density = np.exp(-0.5 * eps**2) / math.sqrt(2 * math.pi) * (eps[1] - eps[0])
        log_w = b * eps + c * eps**2  # without a, which is added at the end
        u = np.linspace(-45, 45, 1441)
        laplace = np.exp(-np.exp(np.minimum(u[:, None] + log_w, 50.0))) @ density
        integrand = np.exp(-np.exp(np.minimum(u, 50.0))) - laplace**k
        return a - math.log(k) + float(integrand.sum() * (u[1] - u[0]))

    @property
    def relative_variance(self) -> float:
        """E w² / (E w)² - 1 by quadrature."""
        a, b, c = self.abc
        eps = np.linspace(-14, 14, 2001)
        density = np.exp(-0.5 * eps**2) / math.sqrt(2 * math.pi) * (eps[1] - eps[0])
        w = np.exp(b * eps + c * eps**2)
        return float((w**2 * density).sum() / (w * density).sum() ** 2 - 1)
