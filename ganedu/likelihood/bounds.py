"""log p(x) of a latent-variable model: what naive Monte Carlo, the ELBO and IWAE say about it.

All three average the weights w = p(x, z) / q(z|x) over draws z of q, each in its own way:

    ELBO    E[(1/k) Σ log wᵢ] = log p(x) - KL(q || p(z|x)),     seed slide 001, "Learning", eq. 2
    IWAE-k  E[log (1/k) Σ wᵢ], between the ELBO and log p(x), and rising in k (Burda et al. 2016)
    naive   IWAE-k with q = p(z), the prior: "Learning" again

A ``log_joint`` maps x (n, ...) and z (n, d) or (k, n, d) to log p(x, z), (n,) or (k, n), in nats.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.likelihood.posteriors import DiagonalGaussian, Posterior, check_shape
from ganedu.samplers.base import check_count

LogJoint = Callable[[Tensor, Tensor], Tensor]
ROWS = 16_384  # pairs of an example and a draw that are looked at in one go
WEIGHTS = 2**20  # log weights that bounds are made of in one go: 8 MiB, a few times


def log_weight(log_joint: LogJoint, x: Tensor, q: Posterior, noise: Tensor) -> Tensor:
    """log p(x, z) - log q(z|x) at z = T(noise), (n,) or (k, n); gradients reach both.

    Raises ValueError where ``log_joint`` gives another shape: it would be broadcast to wrong numbers.
    """
    z = q.rsample(noise)
    value = log_joint(x, z)
    check_shape("log_joint", value, z.shape[:-1])
    return value - q.log_prob(z)


def elbo(log_likelihood: LogJoint, x: Tensor, q: Posterior, noise: Tensor, beta: float = 1.0) -> Tensor:
    """E_q log p(x|z) - beta KL(q || N(0, I)), the first by draws, the second in closed form.

    ``log_likelihood`` maps x and z to log p(x|z). noise (n, d) gives (n,), noise (k, n, d) gives (k, n),
    of which each row is unbiased. beta = 1 is the ELBO; above 1 it is a bound on log p(x) still, and
    looser (Higgins et al. 2017, eq. 4). Raises ValueError where ``log_likelihood`` gives another shape.
    """
    value = log_likelihood(x, q.rsample(noise))
    check_shape("log_likelihood", value, noise.shape[:-1])
    return value - beta * q.kl()


def iwae(log_joint: LogJoint, x: Tensor, q: Posterior, noise: Tensor) -> Tensor:
    """log (1/k) Σ w, (n,), for noise (k, n, d) (Burda et al. 2016, eq. 8). For k = 1 it is the ELBO's
    Monte Carlo estimate. Raises ValueError for noise without k: the mean would be over the examples."""
    if noise.ndim != q.mean.ndim + 1:
        expected, got = ("k", *q.mean.shape), tuple(noise.shape)
        raise ValueError(f"noise: expected shape {expected}, got {got}; one draw is noise[None]")
    return log_weight(log_joint, x, q, noise).logsumexp(0) - math.log(len(noise))


class Bounds(NamedTuple):
    """Of each example (n,), in nats, float64, from the same k draws, so that iwae >= elbo always.

    ``elbo`` is unbiased. ``iwae`` is below log p(x) on average; exp(iwae) is unbiased for p(x).
    ``elbo_error`` is the standard error of ``elbo``. ``relative_error`` is the standard error of
    the mean weight over the mean weight, and so, by the delta method, the standard error of
    ``iwae``. Where it is not small against 1, a few draws decide, and it is itself too low. Both
    are inf for k = 1.
    """

    elbo: Tensor
    elbo_error: Tensor
    iwae: Tensor
    relative_error: Tensor

    @property
    def gap(self) -> Tensor:
        """iwae - elbo, (n,): what is known of KL(q || p(z|x)), which it reaches from below as k grows."""
        return self.iwae - self.elbo


@torch.no_grad()
def evidence_bounds(
    log_joint: LogJoint, x: Tensor, q: Posterior, k: int, rng: torch.Generator, rows: int = ROWS
) -> Bounds:
    """Both bounds on log p(x) from k draws of q for each of n examples.

    Draws are taken ``rows`` / n at a time (one at least), and of each only its log weight is kept: 8 k n
    bytes, and some tens of megabytes to work in. For k in the thousands this is how a published NLL is
    measured ("IWAE-5000").

    Raises ValueError for a count below 1, and for an x of no rows.
    """
    check_count("k", k)
    check_count("rows", rows)
    if len(x) == 0:
        raise ValueError("x: expected at least one example, got none")
    at_once = max(1, rows // len(x))
    log_w = torch.empty(k, len(x), device=q.mean.device, dtype=torch.float64)
    for start in range(0, k, at_once):
        shape = (min(at_once, k - start), *q.mean.shape)
        noise = torch.randn(shape, generator=rng, device=q.mean.device, dtype=q.mean.dtype)
        log_w[start : start + at_once] = log_weight(log_joint, x, q, noise)
    return bounds_of(log_w)


def bounds_of(log_w: Tensor) -> Bounds:
    """Both bounds from log weights (k, n) whose exponentials have mean p(x); some examples at a time."""
    parts = [_bounds_of(part) for part in log_w.split(max(1, WEIGHTS // len(log_w)), 1)]
    return Bounds(*(torch.cat(field) for field in zip(*parts, strict=True)))


def _bounds_of(log_w: Tensor) -> Bounds:
    log_w = log_w.double()
    share = log_w.softmax(0)  # of each weight in their sum: nothing overflows
    return Bounds(
        elbo=log_w.mean(0),
        elbo_error=_error(log_w),
        iwae=log_w.logsumexp(0) - math.log(len(log_w)),
        relative_error=_error(share) * len(log_w),
    )


def naive(log_joint: LogJoint, x: Tensor, dim: int, k: int, rng: torch.Generator, rows: int = ROWS) -> Bounds:
    """``evidence_bounds`` with the prior N(0, I) on R^dim in the place of q: ``iwae`` is log (1/k) Σ p(x|zᵢ).

    The seed slide's first idea (001, "Learning"). Unbiased for p(x), and hopeless where few draws of the
    prior explain x: the variance of p(x|z) over p(x)² is χ²(posterior || prior), which grows
    exponentially with the dimension. ``relative_error`` shows it.
    """
    zeros = torch.zeros(len(x), dim, device=x.device, dtype=x.dtype)
    return evidence_bounds(log_joint, x, DiagonalGaussian(zeros, zeros), k, rng, rows)


def _error(values: Tensor) -> Tensor:
    """Standard error of the mean over the first axis; of one value nothing is known."""
    k = len(values)
    return values.std(0) / math.sqrt(k) if k > 1 else torch.full_like(values[0], math.inf)
