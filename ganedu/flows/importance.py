"""Neural importance sampling (Müller et al. 2019; seed slide 001): a flow learns to propose.

The target p is a density that can be evaluated but not sampled, and need not be normalised. The flow q is
trained towards it with no data at all: what takes their place is the noise z of its own draws.

>>> import torch
>>> from pathlib import Path
>>> from ganedu.flows import ReverseKL, real_nvp
>>> from ganedu.samplers import Independence, MetropolisHastings, importance_sampling, sample
>>> from ganedu.training import MLERecipe, fit_mle
>>> from ganedu.targets import Banana
>>> target, rng = Banana(), torch.Generator().manual_seed(0)
>>> flow = real_nvp(2, layers=8)
>>> fit_mle(flow, ReverseKL(target), flow.base.sample, MLERecipe(steps=1000), Path("build/banana"))
>>> importance_sampling(target, flow, 10_000, rng).log_evidence
>>> sample(MetropolisHastings(Independence(flow)), target, flow.base.sample(64, rng), 1000, rng=rng)

Importance sampling and Metropolis-Hastings correct for what q has not learnt: a bad flow costs
variance, never bias. One evaluation of the target a row and step is what the training costs
(``ReverseKL``: with its gradient).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.flows.base import Flow
from ganedu.samplers.base import require_tilted
from ganedu.samplers.importance import Weighted, importance_sampling
from ganedu.samplers.independence import Law
from ganedu.targets import Target, Tilted


@dataclass(frozen=True)
class ReverseKL:
    """KL(q || p), p = target / Z, by gradients through the flow's own draws.

    The mean loss is KL(q || p) - log Z, so its negative is a lower bound on log Z: an ELBO. It needs the
    target's gradient, and it does not see a mode that q does not visit: q tends to be too narrow.
    """

    target: Target

    def draw(self, z: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        """z (n, d), draws of the flow's base, as they are."""
        return (z,)

    def loss(self, model: Flow, z: Tensor) -> Tensor:
        """log q(x) - log target(x) (n,), x = f(z)."""
        x, log_det = model(z)
        return model.base.log_prob(z) - log_det - self.target.log_prob(x)


@dataclass(frozen=True)
class ForwardKL:
    """KL(p || q) = -E_q[w log q] + const, w = p / q, by weighted draws of q as it is (Müller et al. 2019,
    sec. 5.1): maximum likelihood on draws of p that importance sampling stands for.

    It needs no gradient of the target and punishes q for missing mass; where q covers little of p, few
    draws carry all the weight. See ``weighted_likelihood``.
    """

    target: Target

    def draw(self, z: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        """z (n, d), draws of the flow's base, as they are."""
        return (z,)

    def loss(self, model: Flow, z: Tensor) -> Tensor:
        return weighted_likelihood(model, self.target, z, power=1)


@dataclass(frozen=True)
class WeightVariance:
    """log E_q[w²] = log(1 + χ²(p || q)), the logarithm of what decides the error of importance sampling,
    in the same way with w² for w (Müller et al. 2019, sec. 5.2).

    Its gradients are noisier still: start it from a flow that one of the others has trained.
    """

    target: Target

    def draw(self, z: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        """z (n, d), draws of the flow's base, as they are."""
        return (z,)

    def loss(self, model: Flow, z: Tensor) -> Tensor:
        return weighted_likelihood(model, self.target, z, power=2)


def weighted_likelihood(model: Flow, target: Target, z: Tensor, power: int) -> Tensor:
    """-w^power log q(x) (n,) at x = f(z), neither w nor x followed by the gradient, and w^power divided
    by its mean over the rows.

    As ∇KL(p || q) = -E_q[w ∇log q] and ∇E_q[w²] = -E_q[w² ∇log q], the gradient of the mean is that of
    KL(p || q) for power 1 and of log E_q[w²] for power 2, but for a bias of order 1/n; its value is
    neither. Z, which nobody knows, cancels. Rows share their mean, so several processes differ from one.
    """
    with torch.no_grad():
        x, log_det = model(z)
        log_weight = target.log_prob(x) - model.base.log_prob(z) + log_det
        share = len(z) * (power * log_weight).softmax(0)
    return -share * model.log_prob(x)


class Comparison(NamedTuple):
    """As many weighted draws from a learnt law and from the prior."""

    learnt: Weighted
    prior: Weighted

    @property
    def gain(self) -> float:
        """How many times as many draws the prior needs for the same error of Z."""
        return relative_variance(self.prior) / relative_variance(self.learnt)


def beside_prior(target: Tilted, law: Law, n: int, rng: torch.Generator) -> Comparison:
    """n draws from ``law`` and n from the target's own prior, weighted for the target.

    Both estimate Z without bias. Raises ValueError as ``importance_sampling`` does, and for a target
    without a prior.
    """
    prior = require_tilted(target, "a comparison with the prior").prior
    return Comparison(importance_sampling(target, law, n, rng), importance_sampling(target, prior, n, rng))


def relative_variance(draws: Weighted) -> float:
    """Var(w) / E[w]², estimated: of the estimate of Z from n draws it is n times the relative variance,
    and 0 says that the law is the target."""
    return len(draws) * draws.log_evidence_error**2
