"""Black-box variational inference in two steps (seed slide 001, "BBVI"): a q for each example, then θ.

>>> import torch
>>> from ganedu.likelihood import bbvi
>>> from ganedu.targets import StandardNormal
>>> def log_joint(x, z, theta):  # x = z + θ + noise, all of variance one
...     (shift,) = theta
...     noise = x - z - shift
...     return StandardNormal(1).log_prob(z) + StandardNormal(1).log_prob(noise)
>>> x = torch.tensor([[1.0], [3.0]])
>>> fit = bbvi(log_joint, x, [torch.zeros(1)], dim=1, rng=torch.Generator().manual_seed(0))
>>> print(f"θ = {fit.theta[0].item():.1f}")
θ = 2.0
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.likelihood.bounds import log_weight
from ganedu.likelihood.gradients import Estimator, reparameterised
from ganedu.likelihood.posteriors import DiagonalGaussian, Family, Posterior
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive


class Fit(NamedTuple):
    """theta as it was given, learnt; n posteriors q; elbo (steps,), its mean over x before each step of θ."""

    theta: list[Tensor]
    q: Posterior
    elbo: Tensor


def bbvi(
    log_joint: Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor],
    x: Tensor,
    theta: Sequence[Tensor],
    dim: int,
    rng: torch.Generator,
    *,
    steps: int = 500,
    inner: int = 5,
    draws: int = 16,
    step_size: float = 0.1,
    theta_step_size: float = 0.1,
    estimator: Estimator = reparameterised,
    family: Family = DiagonalGaussian,
) -> Fit:
    """Maximise Σᵢ ELBO(xᵢ; θ, λᵢ): ``inner`` steps of every λᵢ, then one of θ, ``steps`` times.

    ``log_joint(x, z, theta=theta)`` maps x (n, ...), z (k, n, dim) to (k, n); theta is any list of tensors.
    Each q starts as N(0, I). Both updates are plain stochastic gradient ascent, θ on the mean over x.
    The slide prints them without a step size; here it falls linearly to zero over ``steps``: constant, it
    would leave λ and θ moving about the optimum for ever. Every λᵢ is of its own example and knows no
    other, so the work grows with n; a VAE's encoder shares it, and pays with a gap
    (Cremer et al. 2018).

    The whole of x is one mini-batch: fits the sets whose every λᵢ can be kept.

    Raises ValueError for counts and step sizes that are not positive, and where λ or θ is no longer finite.
    """
    for name, count in (("steps", steps), ("inner", inner)):
        check_count(name, count)
    check_count("draws", draws, at_least=2)
    check_positive("step_size", step_size)
    check_positive("theta_step_size", theta_step_size)
    theta = [value.detach().clone() for value in theta]
    parameters = torch.zeros(len(x), family.size(dim), device=x.device, dtype=x.dtype)
    history = []
    for step in range(steps):
        decay = 1 - step / steps
        for _ in range(inner):
            noise = _noise(draws, x, dim, rng)
            gradient = estimator(partial(log_joint, theta=theta), x, family, parameters, noise)
            parameters = parameters + step_size * decay * gradient.mean
        value, gradients = _theta_gradient(
            log_joint, x, theta, family.of(parameters), _noise(draws, x, dim, rng)
        )
        theta = [t + theta_step_size * decay * g for t, g in zip(theta, gradients, strict=True)]
        history.append(value)
        if not all(torch.isfinite(t).all() for t in (parameters, *theta)):
            raise ValueError(f"step_size: too large, λ or θ is not finite after step {step + 1}")
    return Fit(theta, family.of(parameters), torch.stack(history))


def _theta_gradient(log_joint, x: Tensor, theta: list[Tensor], q: Posterior, noise: Tensor):
    """The ELBO's mean over draws and examples, and its gradient for θ: q does not depend on θ, so it goes
    through the expectation."""
    with torch.enable_grad():
        leaves = [value.detach().requires_grad_() for value in theta]
        value = log_weight(partial(log_joint, theta=leaves), x, q, noise).mean()
        return value.detach(), torch.autograd.grad(value, leaves)


def _noise(draws: int, x: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    return torch.randn(draws, len(x), dim, generator=rng, device=x.device, dtype=x.dtype)
