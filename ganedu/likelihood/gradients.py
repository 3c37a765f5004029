"""Three unbiased estimates of ∇λ ELBO, and the variance of each.

λ (n, p) holds the parameters of q for each of n examples, ``family.of(λ)`` is q, and
f(z) = log p(x, z) - log q(z; λ). Then

    ∇λ E_q f = E_q[f ∇λ log q] - E_q[∇λ log q],

and the last term is zero, because q integrates to one whatever λ is. The seed slide (001,
"REINFORCE trick") prints the first term alone; it is right, but not by the log-derivative trick
alone, since f itself depends on λ. That the score ∇λ log q has mean zero also means that f may be
shifted by any constant: the right shift is the control variate.

Each draw gets its own copy of λ, so that one backward pass gives the gradient of every draw.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.likelihood.bounds import LogJoint, log_weight
from ganedu.likelihood.posteriors import Family, Posterior
from ganedu.samplers.base import check_count


class Gradient(NamedTuple):
    """mean (n, p): the average over k draws. variance (n, p): of a single draw's gradient about it.

    The mean's own variance is variance / k.
    """

    mean: Tensor
    variance: Tensor


Estimator = Callable[[LogJoint, Tensor, Family, Tensor, Tensor], Gradient]


def reparameterised(
    log_joint: LogJoint, x: Tensor, family: Family, parameters: Tensor, noise: Tensor
) -> Gradient:
    """The mean of ∇λ f(T(ε; λ)): through the draw itself (Kingma and Welling 2014; seed slide 001).

    Needs ∇z log p(x, z). For a Gaussian q and a log p that is L-smooth in z its variance is bounded
    by multiples of L², whatever constant log p carries; it does not vanish where q is exact.

    Of all three estimators: parameters (n, p), noise (k, n, d), at least 2 draws; ValueError otherwise.
    """
    copies, q = _copies(family, parameters, noise)
    with torch.enable_grad():
        f = log_weight(log_joint, x, q, noise)
        (each,) = torch.autograd.grad(f.sum(), copies)
    return _summary(each)


def reinforce(log_joint: LogJoint, x: Tensor, family: Family, parameters: Tensor, noise: Tensor) -> Gradient:
    """The mean of f(z) ∇λ log q(z; λ): asks log p for its value alone (Williams 1992; Ranganath et al. 2014).

    A constant in log p, such as its normalisation, moves no gradient and grows the variance by its square.
    """
    f, score = _value_and_score(log_joint, x, family, parameters, noise)
    return _summary(f * score)


def reinforce_with_baseline(
    log_joint: LogJoint, x: Tensor, family: Family, parameters: Tensor, noise: Tensor
) -> Gradient:
    """The mean of (f(zᵢ) - b₋ᵢ) ∇λ log q(zᵢ; λ), with a scalar b for each example and component of λ.

    The b of least variance is E[f s²] / E[s²], s that component of the score (Ranganath et al. 2014, 3.2).
    Estimated from all k draws it would depend on zᵢ, and the mean would be off by O(1/k); b₋ᵢ is
    estimated from the other k - 1 draws (Salimans and Knowles 2014; Mnih and Rezende 2016), is
    independent of sᵢ, whose mean is zero, and biases nothing. For few draws b₋ᵢ is noisy, and the
    draws share it: ``variance`` / k is the mean's variance only up to a relative O(1/k).
    """
    f, score = _value_and_score(log_joint, x, family, parameters, noise)
    weight = score.square()
    # Where every other score is zero any baseline will do: zero, and not 0 / 0.
    least = torch.finfo(weight.dtype).tiny
    baseline = _sum_of_others(f * weight) / _sum_of_others(weight).clamp(min=least)
    return _summary((f - baseline) * score)


def _sum_of_others(values: Tensor) -> Tensor:
    """Of each row of (k, ...) the sum of all other rows: those before it and those after it.

    The sum of all rows minus its own would cancel where its own is by far the largest.
    """
    none = torch.zeros_like(values[:1])
    before = torch.cat([none, values[:-1].cumsum(0)])
    after = torch.cat([values[1:].flip(0).cumsum(0).flip(0), none])
    return before + after


def _copies(family: Family, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Posterior]:
    """λ (k, n, p), a copy a draw that gradients stop at, and the q made of it."""
    if noise.ndim != 3 or noise.shape[1] != len(parameters):
        raise ValueError(f"noise: expected shape (k, {len(parameters)}, d), got {tuple(noise.shape)}")
    check_count("k", len(noise), at_least=2)
    copies = parameters.detach().expand(len(noise), *parameters.shape).clone().requires_grad_()
    with torch.enable_grad():
        return copies, family.of(copies)


def _value_and_score(
    log_joint: LogJoint, x: Tensor, family: Family, parameters: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """f (k, n, 1) and ∇λ log q (k, n, p), both at draws z that are held fixed."""
    copies, q = _copies(family, parameters, noise)
    z = q.rsample(noise).detach()
    with torch.enable_grad():
        log_q = q.log_prob(z)
        (score,) = torch.autograd.grad(log_q.sum(), copies)
    with torch.no_grad():
        f = log_joint(x, z) - log_q
    return f[..., None], score


def _summary(each: Tensor) -> Gradient:
    return Gradient(each.mean(0), each.var(0))
