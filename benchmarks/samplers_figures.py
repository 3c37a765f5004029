"""What draws are worth, with an error: the arithmetic that all parts of ``benchmarks.samplers`` share."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.rng import generator
from ganedu.samplers.diagnostics import ess_bulk, rhat

REPLICATES = 200
WORST = 4  # quantities that a bootstrap carries along: any of them may be the worst of a replicate


class Worth(NamedTuple):
    """``ess`` of the worst quantity, over all chains together; ``log_se``, the standard error of its
    logarithm; each quantity's own ESS and R-hat."""

    ess: float
    log_se: float
    each_ess: list[float]
    each_rhat: list[float]


def worth(x: Tensor, replicates: int = REPLICATES) -> Worth:
    """The worst of the quantities x (draws, chains, k), by ESS.

    Its error is bootstrapped over chains, which are independent whatever happens within them: the
    worst of ``WORST`` quantities is found in every replicate again.
    """
    each = unbiased_ess(x)
    worst, chains = x[:, :, each.argsort()[:WORST]], x.shape[1]
    picks = torch.randint(chains, (replicates, chains), generator=generator(0))
    logs = torch.stack([unbiased_ess(worst[:, pick]).min() for pick in picks]).log()
    return Worth(float(each.min()), float(logs.std()), each.tolist(), rhat(x).tolist())


def unbiased_ess(x: Tensor) -> Tensor:
    """Bulk ESS of x (draws, chains, k), without most of its bias: (k,).

    The sum over lags is cut where the noise begins, so that what follows is missing and the ESS too large:
    by 2% for 600 draws of an autocorrelation time of 4, which is as much as its standard error over 64
    chains. The bias falls as the run grows, so runs of half the length have twice of it, which is then
    taken off (Quenouille 1956), on the scale of logarithms.
    """
    half = len(x) // 2
    rate, *rates = (ess_bulk(part).log() - math.log(len(part)) for part in (x, x[:half], x[half:]))
    return len(x) * (2.0 * rate - 0.5 * (rates[0] + rates[1])).exp()


def interval(value: float, log_se: float) -> tuple[float, float]:
    """95%, of a positive number whose logarithm has the standard error ``log_se``."""
    return value * math.exp(-1.96 * log_se), value * math.exp(1.96 * log_se)


def ratio(ours: dict, theirs: dict, key: str) -> tuple[float, float, float]:
    """(ours over theirs in ``key``, the 95% interval), from rows with a ``log_se`` of independent runs."""
    value = ours[key] / theirs[key]
    return value, *interval(value, math.hypot(ours["log_se"], theirs["log_se"]))
