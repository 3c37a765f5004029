"""Answers to exercise 6 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def covariances(x):
    """The autocovariance at each lag, the mean over the chains (n,)."""
    n = len(x)
    away = torch.fft.rfft(x - x.mean(0), n=2 * n, dim=0)
    return torch.fft.irfft(away.abs().square(), n=2 * n, dim=0)[:n].mean(1) / n


def correlations(x):
    c, b = covariances(x), x.mean(0).var()
    return (c + b) / (c[0] + b)


def paired(rho):
    count = len(rho) // 2
    return rho[: 2 * count : 2] + rho[1 : 2 * count : 2]


def kept(pairs):
    """Those before the first that is not positive."""
    stop = (pairs <= 0).nonzero()
    return pairs[: int(stop[0])] if len(stop) else pairs


def floored(time, x):
    return time.clamp(min=1 / math.log10(x.numel()))


def level(pairs):
    return pairs.cummin(0).values


def worth(x, correlations=correlations, paired=paired, kept=kept, level=level, floored=floored):
    """The right answer; most mistakes below replace one of its five parts."""
    time = -1 + 2 * level(kept(paired(correlations(x)))).sum()
    return x.numel() / floored(time, x)


# %% wrong: never more effective draws than draws


def ess(x):
    return worth(x, floored=lambda time, x: time.clamp(min=1.0))


# %% wrong: all lags are summed, noise and all


def ess(x):
    return worth(x, kept=lambda pairs: pairs, level=lambda pairs: pairs)


# %% wrong: sums of pairs that are not positive are skipped instead of ending the sum


def ess(x):
    return worth(x, kept=lambda pairs: pairs[pairs > 0])


# %% wrong: sums of pairs may rise again


def ess(x):
    return worth(x, level=lambda pairs: pairs)


# %% wrong: the first sum that is not positive still counts


def ess(x):
    def one_more(pairs):
        return pairs[: len(kept(pairs)) + 1]

    return worth(x, kept=one_more)


# %% wrong: single lags instead of pairs


def ess(x):
    return worth(x, paired=lambda rho: rho)


# %% wrong: pairs begin at lag 1


def ess(x):
    def late(x):
        return correlations(x)[1:]

    def count_the_first(pairs):
        return torch.cat([torch.ones(1, dtype=pairs.dtype), level(pairs)])

    return worth(x, correlations=late, level=count_the_first)


# %% wrong: the factor 2 is missing


def ess(x):
    return worth(x, level=lambda pairs: level(pairs) / 2)


# %% wrong: lag 0 is counted twice


def ess(x):
    return worth(x, floored=lambda time, x: floored(time + 1, x))


# %% wrong: the -1 has become +1


def ess(x):
    return worth(x, floored=lambda time, x: floored(time + 2, x))


# %% wrong: the draws of one chain instead of all


def ess(x):
    return worth(x) / x.shape[1]


# %% wrong: only the first chain is looked at


def ess(x):
    alone = covariances(x[:, :1])
    return worth(x, correlations=lambda x: alone / alone[0])


# %% wrong: chains that disagree are not noticed


def ess(x):
    c = covariances(x)
    return worth(x, correlations=lambda x: c / c[0])


# %% wrong: the variance of the means is divided by the number of chains


def ess(x):
    c, b = covariances(x), x.mean(0).var(correction=0)
    return worth(x, correlations=lambda x: (c + b) / (c[0] + b))


# %% wrong: each chain's correlations are averaged instead of its covariances


def ess(x):
    each = torch.stack([covariances(chain[:, None]) for chain in x.T], dim=1)
    b = x.mean(0).var()
    return worth(x, correlations=lambda x: ((each + b) / (each[:1] + b)).mean(1))


# %% wrong: the floor of T is missing


def ess(x):
    return worth(x, floored=lambda time, x: time)


# %% wrong: the floor has a natural logarithm


def ess(x):
    return worth(x, floored=lambda time, x: time.clamp(min=1 / math.log(x.numel())))


# %% wrong: the time T itself instead of the number of draws


def ess(x):
    return x.numel() / worth(x)


# %% wrong: float64 is cut to float32


def ess(x):
    return worth(x).float()


# %% wrong: an argument is changed in place


def ess(x):
    x -= x.mean()
    return worth(x)


# %% right: a loop that stops


def ess(x):
    rho = correlations(x)
    time, lowest = -torch.ones((), dtype=x.dtype), math.inf
    for k in range(0, 2 * (len(x) // 2), 2):
        pair = rho[k] + rho[k + 1]
        if pair <= 0:
            break
        lowest = min(lowest, float(pair))
        time = time + 2 * lowest
    return x.numel() / floored(time, x)


# %% right: a mask that stays off once it is off


def ess(x):
    rho = correlations(x)
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(1)
    on = torch.cumprod((pairs > 0).to(x.dtype), dim=0)
    time = (torch.cummin(pairs, dim=0).values * on).sum() * 2 - 1
    return x.shape[0] * x.shape[1] / torch.maximum(time, torch.full_like(time, 1 / math.log10(x.numel())))


# %% right: covariances lag by lag, without a Fourier transform


def ess(x):
    n, m = x.shape
    away = x - x.mean(dim=0)
    c = torch.stack([torch.einsum("tm,tm->", away[lag:], away[: n - lag]) / (n * m) for lag in range(n)])
    b = x.mean(dim=0).var()
    return worth(x, correlations=lambda x: (c + b) / (c[0] + b))


# %% right: numpy, with a minimum that runs along


def ess(x):
    import numpy as np

    y = x.double().numpy()
    n, m = y.shape
    away = y - y.mean(0)
    c = sum(np.correlate(away[:, j], away[:, j], "full")[n - 1 :] for j in range(m)) / (n * m)
    b = y.mean(0).var(ddof=1)
    rho = (c + b) / (c[0] + b)
    pairs = rho[0 : n - n % 2 : 2] + rho[1 : n - n % 2 : 2]
    stop = next((k for k, pair in enumerate(pairs) if pair <= 0), len(pairs))
    time = 2 * np.minimum.accumulate(pairs[:stop]).sum() - 1 if stop else -1.0
    return torch.tensor(n * m / max(time, 1 / np.log10(n * m)), dtype=x.dtype)
