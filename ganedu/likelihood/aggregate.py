"""What a VAE's KL is spent on: ELBO surgery, active units, posterior collapse."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.likelihood.models import VAE
from ganedu.likelihood.posteriors import Posterior, kl_per_dim
from ganedu.samplers.base import check_count, normal_like
from ganedu.targets import StandardNormal

ACTIVE = 0.01  # of Var_x E[z|x] (Burda et al. 2016, sec. 5.2)
ENTRIES = 2**20  # of (rows of z, components, d), looked at in one go: 8 MiB in float64, a few times


class Surgery(NamedTuple):
    """The mean ELBO over n examples, taken apart (Hoffman and Johnson 2016), in nats:

        elbo = reconstruction - kl,    kl ≈ mutual_information + marginal_kl.

    With q(z) the average of q(z|x) over these n examples, ``mutual_information`` is I(x; z) = log n
    minus the mean entropy of "which example?" given z, from 0 to log n: it is all that z says of x.
    ``marginal_kl`` is KL(q(z) || p(z)), which no encoder needs. Both are estimated, from the same
    draws; ``kl`` is in closed form, so that it differs from their sum by Monte Carlo error alone. A
    collapsed posterior has all three at zero.
    """

    reconstruction: float
    kl: float
    mutual_information: float
    marginal_kl: float

    @property
    def elbo(self) -> float:
        return self.reconstruction - self.kl


@torch.no_grad()
def surgery(model: VAE, x: Tensor, rng: torch.Generator, draws: int = 1) -> Surgery:
    """Of x (n, ...), with ``draws`` of q for each. Costs draws · n² densities.

    Both information terms depend on n: with few examples q(z) is too bumpy and the mutual
    information cannot pass log n. Compare models at the same n.
    """
    check_count("draws", draws)
    q = model.posterior(x)
    reconstruction, log_q, log_marginal, log_prior = [], [], [], []
    for _ in range(draws):
        z = q.rsample(normal_like(q.mean, rng))
        reconstruction.append(model.log_likelihood(x, z).double().mean())
        log_q.append(q.log_prob(z).double().mean())
        log_marginal.append(log_aggregate(q, z).mean())
        log_prior.append(StandardNormal(model.latent_dim).log_prob(z).double().mean())
    mean = [float(torch.stack(terms).mean()) for terms in (reconstruction, log_q, log_marginal, log_prior)]
    return Surgery(
        reconstruction=mean[0],
        kl=float(q.kl().double().mean()),
        mutual_information=mean[1] - mean[2],
        marginal_kl=mean[2] - mean[3],
    )


def log_aggregate(q: Posterior, z: Tensor) -> Tensor:
    """log q(z), q(z) = (1/n) Σ q(z|xᵢ) the aggregate posterior, at z (m, d): (m,), float64.

    Against all n components at a time, so many rows of z (one at least) that memory does not grow with m.
    Raises ValueError for a q of no examples.
    """
    n = len(q.mean)
    if n == 0:
        raise ValueError("q: expected at least one example, got none")
    rows = max(1, ENTRIES // q.mean.numel())
    parts = [
        q.log_prob(part[:, None].expand(-1, n, -1)).double().logsumexp(1) - math.log(n)
        for part in z.split(rows)
    ]
    return torch.cat(parts)


def activity(q: Posterior) -> Tensor:
    """Var_x E[z|x] of each latent dimension (d,), over the n examples of q."""
    return q.mean.var(0)


def active_units(q: Posterior) -> int:
    """How many latent dimensions have an activity above 0.01 (Burda et al. 2016, sec. 5.2).

    A collapsed dimension has the prior's mean for every x, and an activity near 0. In trained models
    activities fall into two groups far apart, which is why the number hardly matters.
    """
    return int((activity(q) > ACTIVE).sum())


def mean_kl_per_dim(q: Posterior) -> Tensor:
    """KL(q(z_j|x) || N(0, 1)) averaged over x, (d,), in nats. For a diagonal q they add up to the KL."""
    return kl_per_dim(q.mean, q.std.log()).mean(0)
