"""Moments of the targets in ``ganedu.targets``, with their errors, made without any of our kernels.

``python -m benchmarks.references`` writes ganedu/targets/references.json (a minute on one core). The
formulas are numpy's and written again from the definitions: nothing here calls a ``log_prob`` of the
library.
"""

import json
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.files import write_text
from ganedu.targets.moments import FILE

Array = NDArray[np.float64]
ROUNDING = 1e-12  # the error that is stated for what only rounding makes inexact, relative to its size
EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
DRAWS = 2_000_000
CHUNK = 20_000


class Found(NamedTuple):
    """What a method gives: per coordinate mean, sd and the error of each; the log evidence and its error."""

    mean: Array
    sd: Array
    mean_error: Array
    sd_error: Array
    log_evidence: float
    log_evidence_error: float
    how: str


def exact(mean: Array, sd: Array, how: str, log_evidence: float = 0.0) -> Found:
    """A closed form, which is as good as the arithmetic: densities without data are normalised."""
    size = ROUNDING * np.maximum(sd, np.abs(mean))
    return Found(mean, sd, size, size, log_evidence, ROUNDING * abs(log_evidence), how)


def banana(scale: float = 10.0, bend: float = 0.03) -> Found:
    sd = np.array([scale, math.sqrt(1.0 + 2.0 * bend**2 * scale**4)])
    return exact(np.zeros(2), sd, "closed form: var z2 = 1 + bend² var x1², var x1² = 2 scale⁴")


def funnel(dim: int = 10, scale: float = 3.0) -> Found:
    sd = np.array([scale] + [math.exp(scale**2 / 4.0)] * (dim - 1))
    return exact(np.zeros(dim), sd, "closed form: var x = E e^v = e^{scale²/2}")


def ring(radius: float = 2.0, width: float = 0.1) -> Found:
    s = 2.0 * radius * width
    a = radius**2 / s
    density, below = math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi), 0.5 * math.erfc(-a / math.sqrt(2.0))
    sd = np.full(2, math.sqrt(0.5 * (radius**2 + s * density / below)))
    return exact(np.zeros(2), sd, "closed form: the mean of a normal law cut at 0, halved")


def mixture(means: Array, std: Array, weights: Array) -> Found:
    mean = weights @ means
    second = weights @ (means**2 + std[:, None] ** 2)
    return exact(mean, np.sqrt(second - mean**2), "closed form: moments of the components, weighted")


def far_modes() -> Found:
    centre = np.full((1, 2), 5.0 / math.sqrt(2.0))
    return mixture(np.concatenate([-centre, centre]), np.array([1.0, 0.5]), np.array([1.0, 2.0]) / 3.0)


def twenty_five_gaussians() -> Found:
    side = np.arange(-2.0, 3.0)
    means = np.stack(np.meshgrid(side, side), axis=-1).reshape(25, 2)
    return mixture(means, np.full(25, 0.05), np.full(25, 0.04))


def gaussian_100(dim: int = 100) -> Found:
    from scipy.fft import dct

    waves = dct(np.eye(dim), norm="ortho", axis=0)  # row k is the k-th wave
    sd = np.sqrt((waves**2).T @ (np.arange(dim, 0, -1) / dim) ** 2)
    return exact(np.zeros(dim), sd, "closed form: the diagonal of the covariance")


def bayesian_linear(noise: float = 0.7) -> Found:
    """By the singular values of x: posterior and evidence are products of one-dimensional ones."""
    from sklearn.datasets import load_diabetes

    x, y = (_standardised(part) for part in load_diabetes(return_X_y=True))
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    shrunk = 1.0 / (singular**2 / noise**2 + 1.0)
    mean = right.T @ (shrunk * singular * (left.T @ y)) / noise**2
    sd = np.sqrt((right**2).T @ shrunk)
    seen = left.T @ y
    variance = noise**2 + singular**2
    outside = y @ y - seen @ seen
    log_evidence = -0.5 * float(
        (seen**2 / variance).sum()
        + outside / noise**2
        + np.log(variance).sum()
        + (len(x) - len(seen)) * math.log(noise**2)
        + len(x) * math.log(2.0 * math.pi)
    )
    return exact(mean, sd, "closed form: conjugate, by singular values", log_evidence)


def eight_schools(centred: bool) -> Found:
    """Quadrature over (mu, log tau), the schools integrated out: theta given both is normal.

    The trapezoidal rule on an integrand that is analytic and dies away converges faster than any
    power of the step; the error stated is the change when both steps are halved, or of rounding.
    """
    coarse, fine = (_schools_on_grid(centred, points) for points in (200, 400))
    errors = [
        np.abs(a - b) + ROUNDING * np.maximum(fine[1], 1.0) for a, b in zip(coarse[:2], fine[:2], strict=True)
    ]
    log_error = abs(coarse[2] - fine[2]) + ROUNDING * abs(fine[2])
    how = "quadrature over (mu, log tau), the schools in closed form; errors are bounds"
    return Found(fine[0], fine[1], *errors, fine[2], log_error, how)


def _schools_on_grid(centred: bool, points: int) -> tuple[Array, Array, float]:
    """(mean, sd, log evidence) by the rule with ``points`` nodes for mu and twice as many for log tau."""
    mu, step_mu = np.linspace(-45.0, 55.0, points, retstep=True)
    log_tau, step_tau = np.linspace(-30.0, 10.0, 2 * points, retstep=True)
    m, t = mu[:, None, None], np.exp(log_tau)[None, :, None]  # and the schools along the last axis
    spread = ERRORS**2 + t**2
    log_joint = (
        -0.5 * ((EFFECTS - m) ** 2 / spread + np.log(2.0 * math.pi * spread)).sum(-1)
        - 0.5 * (m[..., 0] ** 2 / 25.0 + math.log(2.0 * math.pi * 25.0))
        + math.log(2.0 / (5.0 * math.pi))
        - np.log1p(t[..., 0] ** 2 / 25.0)
        + log_tau[None]
    )
    top = log_joint.max()
    weight = np.exp(log_joint - top)
    log_evidence = top + math.log(weight.sum() * step_mu * step_tau)
    weight /= weight.sum()

    pull = t**2 / spread  # of a school's own measurement
    if centred:
        inner_mean, inner_var = m + pull * (EFFECTS - m), pull * ERRORS**2
    else:
        inner_mean, inner_var = t / spread * (EFFECTS - m), ERRORS**2 / spread
    w = weight[..., None]
    school_mean = (w * inner_mean).sum((0, 1))
    school_var = (w * (inner_var + (inner_mean - school_mean) ** 2)).sum((0, 1))
    mu_mean, tau_mean = (weight.sum(1) * mu).sum(), (weight.sum(0) * log_tau).sum()
    mu_var, tau_var = (
        (weight.sum(1) * (mu - mu_mean) ** 2).sum(),
        (weight.sum(0) * (log_tau - tau_mean) ** 2).sum(),
    )
    mean = np.concatenate([[mu_mean, tau_mean], school_mean])
    return mean, np.sqrt(np.concatenate([[mu_var, tau_var], school_var])), log_evidence


def logistic_regression(draws: int = DRAWS) -> Found:
    """Importance sampling from a t law that is fitted to the posterior in four rounds, from Laplace's
    approximation on; the last draws are fresh. Errors by the delta method (Owen 2013, sec. 9.2)."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    x = np.concatenate([np.ones((len(x), 1)), _standardised(x)], axis=1)
    signed = (2.0 * y - 1.0)[:, None] * x
    rng = np.random.default_rng(2026)
    mean, cov = _laplace(signed)
    for _ in range(4):
        parts = list(_weighted(signed, mean, cov, draws // 16, rng))
        z, log_w = (np.concatenate(part) for part in zip(*parts, strict=True))
        w = np.exp(log_w - log_w.max())
        mean = w @ z / w.sum()
        cov = (w[:, None] * (z - mean)).T @ (z - mean) / w.sum()
    parts = list(_weighted(signed, mean, cov, draws, rng))
    z, log_w = (np.concatenate(part) for part in zip(*parts, strict=True))
    w = np.exp(log_w - log_w.max())
    log_evidence = log_w.max() + math.log(w.mean())
    log_error = w.std() / w.mean() / math.sqrt(draws)
    w /= w.sum()
    mean = w @ z
    var = w @ (z - mean) ** 2
    mean_error = np.sqrt(w**2 @ (z - mean) ** 2)
    var_error = np.sqrt(w**2 @ ((z - mean) ** 2 - var) ** 2)
    sd = np.sqrt(var)
    how = (
        f"importance sampling, {draws:,} draws of a t law, worth {1.0 / (w @ w):,.0f} exact ones; "
        f"the largest weight is {w.max():.1e} of all"
    )
    return Found(mean, sd, mean_error, var_error / (2.0 * sd), log_evidence, log_error, how)


def _laplace(signed: Array) -> tuple[Array, Array]:
    """Mode and inverse Hessian by Newton's method with the prior N(0, I)."""
    z = np.zeros(signed.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(signed @ z))
        hessian = (signed * (p * (1.0 - p))[:, None]).T @ signed + np.eye(len(z))
        z = z + np.linalg.solve(hessian, signed.T @ p - z)
    return z, np.linalg.inv(hessian)


def _weighted(
    signed: Array, mean: Array, cov: Array, draws: int, rng: np.random.Generator, freedom: float = 12.0
) -> Iterator[tuple[Array, Array]]:
    """Chunks of draws z (n, d) from a t law with that mean and covariance, and their log weights (n,)."""
    d = len(mean)
    factor = np.linalg.cholesky(cov * (freedom - 2.0) / freedom)
    log_norm = math.lgamma((freedom + d) / 2.0) - math.lgamma(freedom / 2.0)
    log_norm -= 0.5 * d * math.log(freedom * math.pi) + np.log(factor.diagonal()).sum()
    for _ in range(draws // CHUNK):
        t = rng.standard_normal((CHUNK, d)) / np.sqrt(rng.chisquare(freedom, (CHUNK, 1)) / freedom)
        z = mean + t @ factor.T
        log_q = log_norm - 0.5 * (freedom + d) * np.log1p((t**2).sum(1) / freedom)
        log_prior = -0.5 * ((z**2).sum(1) + d * math.log(2.0 * math.pi))
        yield z, log_prior - np.logaddexp(0.0, -z @ signed.T).sum(1) - log_q


def _standardised(x: Array) -> Array:
    return (x - x.mean(0)) / x.std(0)


CHEAP = {
    "banana": banana,
    "bayesian_linear": bayesian_linear,
    "eight_schools": lambda: eight_schools(centred=False),
    "eight_schools_centred": lambda: eight_schools(centred=True),
    "far_modes": far_modes,
    "funnel": funnel,
    "gaussian_100": gaussian_100,
    "ring": ring,
    "twenty_five_gaussians": twenty_five_gaussians,
}


def main() -> None:
    found = {name: make() for name, make in (CHEAP | {"logistic_regression": logistic_regression}).items()}
    entries = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(
            f"  {json.dumps(field)}: "
            + json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, ensure_ascii=False)
            for field, value in found[name]._asdict().items()
        )
        + "\n }"
        for name in sorted(found)
    ]
    print(write_text(FILE, "{\n" + ",\n".join(entries) + "\n}\n"))


if __name__ == "__main__":
    main()
