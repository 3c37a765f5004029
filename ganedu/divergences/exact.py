"""Exact values of f-divergences: quadrature on the line, sums over atoms, closed forms for Gaussians.

What a bound from samples is judged by: integrals and sums are float64, closed forms as exact as their input.

>>> import math
>>> from ganedu.divergences import KL, f_divergence
>>> normal = lambda x: -0.5 * x.square() - 0.5 * math.log(2 * math.pi)
>>> f_divergence(KL(), lambda x: normal(x - 1), normal, -15.0, 15.0)  # ½, as the means are 1 apart
tensor(0.5000, dtype=torch.float64)
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.divergences.f_divergences import (
    KL,
    Alpha,
    FDivergence,
    Jeffrey,
    Neyman,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)

LogDensity = Callable[[Tensor], Tensor]  # (n,) -> (n,)
POINTS = 20_001
SEARCH = 100  # steps of it, far more than it takes
BEYOND = 600.0  # of log p/q: above it some f overflow
ROUNDING = 1e-11


class Gaussian(NamedTuple):
    """N(mean, cov), mean (d,) and cov (d, d), symmetric and positive definite. Every function of two raises
    ValueError where they are not that, or of another d."""

    mean: Tensor
    cov: Tensor


class Fit(NamedTuple):
    """The Gaussian N(mean, std²) that is nearest to a P, and D_f(P || it)."""

    value: float
    mean: float
    std: float


def f_divergence(
    divergence: FDivergence,
    log_p: LogDensity,
    log_q: LogDensity,
    low: float,
    high: float,
    points: int = POINTS,
) -> Tensor:
    """∫ q f(p/q) from ``low`` to ``high``, a scalar, by the trapezoid rule on ``points`` points.

    For smooth densities that have died out at both ends the rule is exact to rounding as soon as its
    step is well below the narrowest width; a kink, as total variation has where p = q, costs (step)².
    Gradients reach the parameters of both densities. Where p/q is beyond float64, as it is between laws that
    are far apart, the integrand is p f'(∞), if that is finite and f(u)/u has arrived there: Jensen-Shannon,
    squared Hellinger and total variation are finite everywhere. Densities may be 0 (log p = -inf).

    Raises ValueError for an empty interval, fewer than 3 points, and where the integrand overflows or is not
    a number: of KL, say, where p/q is beyond float64. Far outside the range of both, take less of it.
    """
    x = _grid(low, high, points)
    values = _integrand(divergence, log_p(x), log_q(x))
    if not (finite := values.isfinite()).all():
        at = float(x[~finite][0])
        raise ValueError(f"low, high: expected an interval with p/q within float64, got one with {at:.6g}")
    return torch.trapezoid(values, x)


def _grid(low: float, high: float, points: int) -> Tensor:
    if not low < high:
        raise ValueError(f"low, high: expected low < high, got {low} and {high}")
    if points < 3:
        raise ValueError(f"points: expected at least 3, got {points}")
    return torch.linspace(low, high, points, dtype=torch.float64)


def _integrand(divergence: FDivergence, log_p: Tensor, log_q: Tensor) -> Tensor:
    neither = (log_p == -math.inf) & (log_q == -math.inf)
    log_ratio = (log_p - log_q).masked_fill(neither, 0.0)
    low, high = _arrivals(divergence)
    u = log_ratio.clamp(-BEYOND if low else -math.inf, BEYOND if high else math.inf).exp()
    value = log_q.exp() * divergence.f(u)
    return torch.where(log_ratio > BEYOND, log_p.exp() * divergence.end, value) if high else value


def _arrivals(divergence: FDivergence) -> tuple[bool, bool]:
    """Whether f is f(0) at u = e^-BEYOND, and f(u)/u is f'(∞) at e^BEYOND, both to rounding. For Alpha(0.99)
    it is not, at any u of float64; and at u = 0 itself f may have an infinite slope."""
    u = torch.tensor([0.0, math.exp(-BEYOND), math.exp(BEYOND)], dtype=torch.float64)
    at_zero, at_small, at_large = divergence.f(u).tolist()
    return abs(at_small - at_zero) < ROUNDING, abs(at_large / math.exp(BEYOND) - divergence.end) < ROUNDING


def discrete_f_divergence(divergence: FDivergence, p: Tensor, q: Tensor) -> Tensor:
    """Σ q f(p/q) over the last axis of probabilities p and q (..., k), which gives (...).

    An atom that Q lacks adds p f'(∞), one that P lacks q f(0); either may be inf. So between laws without a
    common atom every f-divergence is f(0) + f'(∞), however near they lie (seed slide 002, "Optimal
    transport vs f-Divergence", whose JS is half of ``JensenShannon``).

    Where p/q is beyond float64, as with softmax of far logits, an atom adds p f'(∞) if that is finite, and
    nothing to the gradient in q.

    Raises ValueError where the shapes differ, a row is no distribution, or p/q is beyond float64 and f'(∞)
    infinite.
    """
    if p.shape != q.shape:
        raise ValueError(f"q: expected the shape of p, {tuple(p.shape)}, got {tuple(q.shape)}")
    p, q = p.double(), q.double()
    for name, row in (("p", p), ("q", q)):
        sums = row.sum(-1)
        if not (row >= 0).all() or not ((sums - 1).abs() <= 1e-5).all():
            got = f"sums from {float(sums.min()):.6g} to {float(sums.max()):.6g}"
            got += f", the least {float(row.min()):.3g}"
            raise ValueError(f"{name}: expected probabilities that sum to 1, got {got}")
    # An infinite slope at u = 0, or value, would be a NaN in the gradient of a term that does not have it.
    in_both, in_q, in_p = (p > 0) & (q > 0), (p <= 0) & (q > 0), (p > 0) & (q <= 0)
    if math.isfinite(divergence.end):
        beyond = in_both & (p / q).detach().isinf()
        in_both, in_p = in_both & ~beyond, in_p | beyond
    ratio = (p / q.where(in_both, 1)).where(in_both, 1)
    both = q * divergence.f(ratio)
    if not both.isfinite().all():
        far = float(ratio[~both.isfinite()][0])
        raise ValueError(f"p, q: expected p/q within float64, and f of it, got p/q = {far:.3g}")
    q_alone = q.where(in_q, 1) * divergence.f(q.new_zeros(()))
    p_alone = p.where(in_p, 1) * divergence.end
    return (both.where(in_both, 0) + q_alone.where(in_q, 0) + p_alone.where(in_p, 0)).sum(-1)


def gaussian_f_divergence(divergence: FDivergence, p: Gaussian, q: Gaussian) -> Tensor:
    """D_f(N(p) || N(q)) in closed form, a scalar, which may be inf.

    For KL, reverse KL, Jeffrey, and all that are functions of ∫ p^α q^(1-α): Pearson, Neyman, squared
    Hellinger, Alpha; for total variation where the covariances are equal. Raises ValueError for the
    others, and for total variation where they differ.
    """
    match divergence:
        case KL():
            return gaussian_kl(p, q)
        case ReverseKL():
            return gaussian_kl(q, p)
        case Jeffrey():
            return gaussian_kl(p, q) + gaussian_kl(q, p)
        case Pearson():
            return log_gaussian_integral(p, q, 2.0).expm1()
        case Neyman():
            return log_gaussian_integral(p, q, -1.0).expm1()
        case SquaredHellinger():
            return -2 * log_gaussian_integral(p, q, 0.5).expm1()
        case Alpha(alpha):
            return log_gaussian_integral(p, q, alpha).expm1() / (alpha * (alpha - 1))
        case TotalVariation() if torch.equal(p.cov, q.cov):
            _check_gaussians(p, q)
            square = _mahalanobis(p.mean - q.mean, p.cov)
            # A root has no slope at 0; where the means are equal, neither has total variation.
            apart = torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
            return torch.special.erf(apart / math.sqrt(8))
    raise ValueError(
        f"divergence: expected one with a closed form for these Gaussians, got {divergence}; "
        "on the line f_divergence integrates it"
    )


def _check_gaussians(p: Gaussian, q: Gaussian) -> None:
    kinds = {part.dtype for law in (p, q) for part in law}
    if len(kinds) > 1:
        raise ValueError(f"p, q: expected one precision, got {', '.join(sorted(map(str, kinds)))}")
    for name, law in (("p", p), ("q", q)):
        d = q.mean.numel()
        if law.mean.shape != (d,) or law.cov.shape != (d, d):
            got = f"{tuple(law.mean.shape)} and {tuple(law.cov.shape)}"
            raise ValueError(f"{name}: expected a mean and a covariance of shapes (d,) and (d, d), got {got}")
        if not law.mean.isfinite().all():
            raise ValueError(f"{name}: expected a finite mean, got {law.mean.tolist()}")
        if not torch.allclose(law.cov, law.cov.mT) or torch.linalg.cholesky_ex(law.cov).info:
            raise ValueError(f"{name}: expected a positive definite covariance, got {law.cov.tolist()}")


def gaussian_kl(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p || q) = ½ [tr(Σq⁻¹ Σp) - d + (μq - μp)ᵀ Σq⁻¹ (μq - μp) + log(|Σq| / |Σp|)], a scalar."""
    _check_gaussians(p, q)
    trace = torch.linalg.solve(q.cov, p.cov).trace()
    apart = _mahalanobis(q.mean - p.mean, q.cov)
    return 0.5 * (trace - len(p.mean) + apart + torch.logdet(q.cov) - torch.logdet(p.cov))


def log_gaussian_integral(p: Gaussian, q: Gaussian, alpha: float) -> Tensor:
    """log ∫ p^α q^(1-α), a scalar: inf where αΣp⁻¹ + (1-α)Σq⁻¹ is not positive definite.

    With M = αΣq + (1-α)Σp it is -½ [α(1-α) δᵀ M⁻¹ δ + log(|M| / (|Σp|^(1-α) |Σq|^α))], δ the difference of
    the means (Gil et al. 2013, table 2, as Rényi's divergence).
    """
    _check_gaussians(p, q)
    mean_cov = alpha * q.cov + (1 - alpha) * p.cov
    precision = alpha * torch.linalg.inv(p.cov) + (1 - alpha) * torch.linalg.inv(q.cov)
    if not (torch.linalg.eigvalsh(precision) > 0).all():
        return p.mean.new_full((), math.inf)
    apart = alpha * (1 - alpha) * _mahalanobis(p.mean - q.mean, mean_cov)
    volume = torch.logdet(mean_cov) - (1 - alpha) * torch.logdet(p.cov) - alpha * torch.logdet(q.cov)
    return -0.5 * (apart + volume)


def _mahalanobis(x: Tensor, cov: Tensor) -> Tensor:
    return x @ torch.linalg.solve(cov, x)


def best_gaussian(
    divergence: FDivergence, log_p: LogDensity, low: float, high: float, points: int = POINTS
) -> Fit:
    """The mean and std that minimise D_f(P || N(mean, std²)): the exact optimum that an f-GAN aims at.

    By L-BFGS on the integral of ``f_divergence``, from the moments of P, where KL has its only minimum, and
    from each mode of P with the width of its top, for a divergence that would rather have one mode than
    all. Of the minima found it is the least. With kinks in the integrand (total variation) place and
    width are good to a tenth of the step; otherwise to some 1e-6. Raises ValueError as ``f_divergence``.
    """
    x = _grid(low, high, points)
    log_density = log_p(x)
    tried = [_descent(divergence, x, log_density, *start) for start in _starts(x, log_density)]
    # From a start that is too narrow a descent may go where nothing is finite.
    values = [_integrand(divergence, log_density, log_normal(x, *at)) for at in tried]
    sums = torch.stack([torch.trapezoid(value, x) for value in values]).nan_to_num(nan=math.inf)
    mean, log_std = tried[int(sums.argmin())]
    least = f_divergence(divergence, log_p, lambda x: log_normal(x, mean, log_std), low, high, points)
    return Fit(float(least), float(mean), float(log_std.exp()))


def _starts(x: Tensor, log_density: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(mean, std) of P, and of the parabola through the top of each of its modes."""
    mean = torch.trapezoid(log_density.exp() * x, x)
    std = torch.trapezoid(log_density.exp() * (x - mean).square(), x).sqrt()
    left, top, right = log_density[:-2], log_density[1:-1], log_density[2:]
    bend = (2.0 * top - left - right) / (x[1] - x[0]).square()
    (modes,) = ((top > left) & (top >= right) & (bend > 0) & bend.isfinite()).nonzero(as_tuple=True)
    return [(mean, std), *((x[1 + mode], bend[mode].rsqrt()) for mode in modes)]


def _descent(divergence: FDivergence, x: Tensor, log_density: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(mean, log std) of a local minimum, (2,)."""
    at = torch.stack([mean, std.log()]).requires_grad_()
    search = torch.optim.LBFGS(
        [at], max_iter=SEARCH, tolerance_grad=1e-10, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def value() -> Tensor:
        search.zero_grad()
        found = torch.trapezoid(_integrand(divergence, log_density, log_normal(x, at[0], at[1])), x)
        found.backward()
        return found

    search.step(value)
    return at.detach()


def log_normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(x; mean, e^(2 log_std)), of the shape that the three have together."""
    return -0.5 * ((x - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(2 * math.pi)
