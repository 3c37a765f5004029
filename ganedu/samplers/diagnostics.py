"""What draws are worth: R-hat, effective sample size, autocorrelation, Monte Carlo error.

Every function takes draws x (draws, chains) or (draws, chains, d), judges each coordinate by itself and
returns () or (d,) in float64, on the device of x. Other shapes raise ValueError.

The definitions are those of Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization,
folding, and localization: an improved R-hat", Bayesian Analysis 16(2), 667-718, whose equations and sections
are named below. The values are those of arviz 0.23, also where there is little to say:

- NaN for fewer than 4 draws a chain and for draws that are NaN; R-hat of a single chain is NaN.
- Of a coordinate that is the same in all draws R-hat is NaN, and every draw is effective: the mean of a
  constant is known. So an ESS is good news only beside an R-hat.
- A chain of an odd number of draws is split without the one in its middle.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 2**22  # draws judged at a time: some hundred megabytes, however many coordinates there are


def split_rhat(x: Tensor) -> Tensor:
    """Standard deviation of all draws over that within half chains (eqs. 1-4): 1 where they agree."""
    return _by_coordinate(lambda part: _rhat(_halves(part)), x, least_chains=2)


def rhat(x: Tensor) -> Tensor:
    """The larger of the rank-normalised R-hat and that of the folded draws |x - median| (sec. 4.1, 4.2).

    The one sees chains that differ in place, the other chains that differ in scale. Ranks give both a
    meaning where the variance is infinite. Above 1.01 the chains do not agree.
    """

    def larger(part: Tensor) -> Tensor:
        halves = _halves(part)
        folded = (halves - _median(halves)).abs()
        # Draws of only two values fold into a constant, which has no R-hat: fmax takes the other one.
        return torch.fmax(_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded)))

    return _by_coordinate(larger, x, least_chains=2)


def ess(x: Tensor) -> Tensor:
    """How many independent draws have a mean as precise (sec. 3.2)."""
    return _by_coordinate(lambda part: _ess(_halves(part)), x)


def ess_bulk(x: Tensor) -> Tensor:
    """ESS of the rank-normalised draws (sec. 4.1): how well the middle of the law is known."""
    return _by_coordinate(lambda part: _ess(_normal_scores(_halves(part))), x)


def ess_tail(x: Tensor) -> Tensor:
    """The smaller ESS of the two shares of draws below the 5% and the 95% quantile (sec. 4.3)."""

    def smaller(part: Tensor) -> Tensor:
        ordered = part.flatten(1).sort(1).values
        low, high = ((part <= _quantile(ordered, p)[:, None, None]).double() for p in (0.05, 0.95))
        return torch.minimum(_ess(_halves(low)), _ess(_halves(high)))

    return _by_coordinate(smaller, x)


def ess_per_gradient(x: Tensor, gradients: float) -> Tensor:
    """Bulk ESS over the number of ``gradients`` evaluated for all chains together, burn-in included."""
    if not (math.isfinite(gradients) and gradients > 0):
        raise ValueError(f"gradients: expected a positive number of evaluations, got {gradients}")
    return ess_bulk(x) / gradients


def mcse_mean(x: Tensor) -> Tensor:
    """Standard error of the mean of all draws: their standard deviation / sqrt(ESS) (eq. 5)."""
    return _by_coordinate(lambda part: _moves(part).flatten(1).std(1) / _ess(_halves(part)).sqrt(), x)


def autocorrelation_time(x: Tensor) -> Tensor:
    """How many draws are worth an independent one: draws * chains / ESS, 1 + 2 Σ_t ρ_t (eqs. 12, 13).

    Chains that disagree have a long one, however fast each forgets. NaN where nothing moves.
    """

    def time(part: Tensor) -> Tensor:
        return (part[0].numel() / _ess(_halves(part))).masked_fill(_constant(part), torch.nan)

    return _by_coordinate(time, x)


def autocorrelation(x: Tensor) -> Tensor:
    """ρ_t of each chain about its own mean, in the shape of x with lag t in the place of the draw.

    Divided by the number of draws at every lag and not by that of pairs, which keeps long lags quiet.
    NaN for a chain that never moves.
    """
    _check(x)
    covariance = _autocovariance(x.double().movedim(0, -1))
    return (covariance / covariance[..., :1]).movedim(-1, 0)


def _check(x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.ndim < 2 or x.numel() == 0 or x.is_complex():
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x: expected real draws (draws, chains) or (draws, chains, d), got {got}")


def _by_coordinate(statistic: Callable[[Tensor], Tensor], x: Tensor, least_chains: int = 1) -> Tensor:
    """``statistic``, (k, chains, draws) -> (k,), of all coordinates; NaN where there is none."""
    _check(x)
    draws, chains, *shape = x.shape
    if draws < 4 or chains < least_chains:
        return torch.full(shape, torch.nan, dtype=torch.float64, device=x.device)
    coordinates = x.detach().reshape(draws, chains, -1).permute(2, 1, 0)
    values = []
    for part in coordinates.split(max(1, BLOCK // (draws * chains))):
        part = part.double().contiguous()
        values.append(statistic(part).masked_fill(part.isnan().flatten(1).any(1), torch.nan))
    return torch.cat(values).reshape(shape)


# From here on x is (coordinates, chains, draws) in float64.


def _halves(x: Tensor) -> Tensor:
    """Twice as many chains of half the length, so that a chain that drifts disagrees with itself."""
    half = x.shape[2] // 2
    return torch.cat([x[..., :half], x[..., -half:]], dim=1)


def _rhat(x: Tensor) -> Tensor:
    """sqrt((n - 1)/n + B/(n W)) of chains of n draws: B/n the variance of the means, W the mean variance."""
    variance, mean = torch.var_mean(_moves(x), dim=2)
    return (1 - 1 / x.shape[2] + mean.var(1) / variance.mean(1)).sqrt()


def _moves(x: Tensor) -> Tensor:
    """Draws less the first one: a constant becomes 0, and its variance 0 instead of a rounding error."""
    return x - x[:, :1, :1]


def _normal_scores(x: Tensor) -> Tensor:
    """Φ⁻¹ of each draw's rank among all, as a share of their number; ties have their mean rank (eq. 14)."""
    ordered, place = x.flatten(1).sort(1)
    below, not_above = (torch.searchsorted(ordered, ordered, right=right) for right in (False, True))
    rank = (below + not_above + 1).double() / 2
    scores = torch.special.ndtri((rank - 3 / 8) / (x[0].numel() + 1 / 4))
    return torch.empty_like(scores).scatter(1, place, scores).reshape(x.shape)


def _median(x: Tensor) -> Tensor:
    """(k, 1, 1), of all draws; between the middle two of an even number (torch.median is the lower)."""
    ordered, n = x.flatten(1).sort(1).values, x[0].numel()
    return ((ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2)[:, None, None]


def _quantile(ordered: Tensor, p: float) -> Tensor:
    """(k,), linear between order statistics (k, n) (type 7 of Hyndman and Fan 1996).

    Chains that reject have equal draws, and rounding decides whether a whole block of them lies at or
    above their own quantile. This rounds as arviz does.
    """
    n = ordered.shape[1]
    place = n * p + (1 - p)
    k = math.floor(min(max(place, 1), n - 1))
    share = place - k
    return (1 - share) * ordered[:, k - 1] + share * ordered[:, k]


def _ess(x: Tensor) -> Tensor:
    """chains * draws / τ of two chains or more, τ by Geyer's initial monotone sequence (eqs. 10-13)."""
    _, chains, draws = x.shape
    covariance = _autocovariance(x).mean(1)
    within = covariance[:, :1] * draws / (draws - 1)
    total = covariance[:, :1] + x.mean(2).var(1)[:, None]
    rho = 1 - (within - covariance) / total
    rho[:, 0] = 1  # which the estimate misses by 1/draws

    # Of a reversible chain ρ_2t + ρ_2t+1 is positive and falls as t grows (Geyer 1992). The first pair that
    # is not is noise. It ends the sum between an odd and an even lag: its even term counts, and by half.
    pairs = rho[:, : 2 * max(1, (draws - 1) // 2)].unflatten(1, (-1, 2))
    sums = pairs.sum(2)
    end = (sums > 0).long().cumprod(1).sum(1, keepdim=True).clamp(max=sums.shape[1] - 1)
    before = torch.arange(sums.shape[1], device=x.device) < end
    even = pairs[..., 0].gather(1, end)
    even = torch.where(sums.gather(1, end) >= 0, even, even.clamp(min=0))
    tau = -1 + 2 * (sums.cummin(1).values * before).sum(1) + even[:, 0]

    # Antithetic draws are worth more than independent ones, but a short run cannot say how much more.
    size = chains * draws
    return torch.where(_constant(x), size, size / tau.clamp(min=1 / math.log10(size)))


def _autocovariance(x: Tensor) -> Tensor:
    """Of each chain (..., draws) at every lag, from the Fourier transform of the chain and as many zeros."""
    draws = x.shape[-1]
    x = x - x[..., :1]  # a chain that never moves becomes 0, as in _moves
    padded = 2 ** (2 * draws - 1).bit_length()
    transform = torch.fft.rfft(x - x.mean(-1, keepdim=True), n=padded)
    return torch.fft.irfft(transform.abs().square(), n=padded)[..., :draws] / draws


def _constant(x: Tensor) -> Tensor:
    """(k,) whether all draws are the same."""
    pooled = x.flatten(1)
    return pooled.amax(1) == pooled.amin(1)
