"""How heavy the tail of the weights is: Pareto's shape k, fitted to the largest of them."""

import math

import torch
from torch import Tensor

PRIOR_DRAWS, PRIOR_K = 10, 0.5  # the fit is drawn towards 1/2 as by ten draws (Vehtari et al. 2024, app. G)


def pareto_k(log_weight: Tensor) -> float:
    """k̂ of log weights (n,): the weights' moments of order below 1/k̂ exist (Vehtari et al. 2024).

    Above 1/2 they have no variance in theory; above 0.7 no mean of any practical number of draws
    can be trusted, nor its error or effective sample size. inf where no more than four weights
    stand out from the rest. A generalised Pareto law is fitted to the part above the cutoff of the
    min(n / 5, 3 √n) largest weights.
    """
    log_weight = log_weight.double()
    log_weight = log_weight - log_weight.max()
    n = len(log_weight)
    n_tail = math.ceil(min(n / 5, 3 * math.sqrt(n)))
    if n_tail >= n:
        return math.inf
    ordered = log_weight.sort().values
    cutoff = max(float(ordered[-n_tail - 1]), math.log(torch.finfo(torch.float64).tiny))
    tail = ordered[ordered > cutoff].exp() - math.exp(cutoff)
    return generalised_pareto_shape(tail) if len(tail) > 4 else math.inf


def generalised_pareto_shape(x: Tensor) -> float:
    """k of the law with density (1 + k x / σ)^(-1/k - 1) / σ, from sorted draws (n,) above 0.

    The mean of b = -k / σ under its profile likelihood on a grid, then the k that is likeliest with it
    (Zhang and Stephens 2009): as good as maximum likelihood, and it always exists.
    """
    n = len(x)
    points = 30 + int(math.sqrt(n))
    grid = torch.arange(1, points + 1, dtype=x.dtype, device=x.device)
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1.0 / x[-1] + (1.0 - (points / (grid - 0.5)).sqrt()) / (3.0 * quartile)
    k = torch.log1p(-b[:, None] * x).mean(1)
    share = (n * ((-b / k).log() - k - 1.0)).softmax(0)
    k = float(torch.log1p(-(share * b).sum() * x).mean())
    return (n * k + PRIOR_DRAWS * PRIOR_K) / (n + PRIOR_DRAWS)
