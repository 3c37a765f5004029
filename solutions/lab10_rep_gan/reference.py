"""References and random cases for the hidden checks of lab 10: from the definitions, in float64."""

import math

import torch
from torch.distributions import MultivariateNormal

from ganedu.grading.cases import normal, uniform
from ganedu.grading.checks import Named


def log_target(z, generator, logit):
    """log p_t(z) up to a constant."""
    return logit(generator(z)) - z.square().sum(1) / 2


def log_proposal(to, given, grad_given, step_size):
    covariance = step_size * torch.eye(to.shape[1], dtype=to.dtype)
    return MultivariateNormal(given + step_size / 2 * grad_given, covariance).log_prob(to)


def log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    """Equation (10.10) where everything is finite."""
    ahead = d_new - z_new.square().sum(1) / 2 + log_proposal(z, z_new, grad_new, step_size)
    behind = d - z.square().sum(1) / 2 + log_proposal(z_new, z, grad, step_size)
    return (ahead - behind).clamp(max=0)


def value_and_grad(z, latent_logit):
    z = z.detach().requires_grad_()
    d = latent_logit(z)
    (grad,) = torch.autograd.grad((d - z.square().sum(1) / 2).sum(), z)
    return d.detach(), grad


def unadjusted(case, logit):
    """Langevin steps that never reject, for a quadratic logit with gradient z(M + Mᵀ) + w."""
    matrix, weight = logit.parameters["matrix"], logit.parameters["weight"]
    z, step_size, states = case["z"], case["step_size"], []
    for xi in case["noise"]:
        z = z + step_size / 2 * (z @ (matrix + matrix.T) + weight - z) + math.sqrt(step_size) * xi
        states.append(z)
    return torch.stack(states)


def acceptance_case(rng):
    """Six proposals, d' chosen so that four are doubtful and two certain: min(0, .) hides little."""
    case = {name: normal(rng, 6, 3) for name in ("z", "z_new", "grad", "grad_new")}
    case |= {"d": normal(rng, 6), "step_size": uniform(rng, 0.3, 0.6)}
    case["d_new"] = torch.full((6,), -1e6).double()
    log_ratio = log_alpha(**case) - case["d_new"]
    case["d_new"] = torch.tensor([-0.4, 0.8, -2.3, -3.7, 1.9, -1.1]).double() - log_ratio
    return case


def both_ways(rng):
    """A move and its reverse under a quadratic d, each with log p_t(z) + log q(z'|z)."""
    matrix, weight = 0.3 * normal(rng, 3, 3), normal(rng, 3)
    logit, step_size = Named("quadratic_logit", matrix=matrix, weight=weight), 0.4
    points = [(z, *value_and_grad(z, logit)) for z in normal(rng, 2, 6, 3)]
    for (z, d, grad), (z_new, d_new, grad_new) in (points, points[::-1]):
        move = {"z": z, "z_new": z_new, "d": d, "d_new": d_new, "grad": grad, "grad_new": grad_new}
        log_flow = d - z.square().sum(1) / 2 + log_proposal(z_new, z, grad, step_size)
        yield log_flow, move | {"step_size": step_size}


def breakdowns(case):
    """The same proposals, all but the last of them broken in one way each."""
    broken = {
        name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in case.items()
    }
    broken["d_new"][0], broken["d_new"][1] = math.nan, math.inf
    broken["z_new"][2, 1], broken["grad_new"][3, 0], broken["grad_new"][4, 2] = math.nan, math.nan, math.inf
    return broken


def chain_case(rng, latent_logit):
    """(arguments, trace, accepted) of 3 chains and 12 steps: each chain stays, and moves, several times."""
    case, trace, accepted = candidates(rng, latent_logit)
    moves = accepted.sum(0)
    return chosen((moves >= 3) & (moves <= 8), case, trace, accepted)


def walled_case(rng, logit):
    """As `chain_case`, in a disc outside which d is NaN: each chain moves before and after it meets it."""
    radius = 1.8
    case, trace, accepted = candidates(rng, Named("walled", logit=logit, radius=radius))
    before = torch.cat([case["z"][None], trace[:-1]])
    grad = value_and_grad(before.flatten(0, 1), logit)[1].reshape(before.shape)
    proposed = before + case["step_size"] / 2 * grad + math.sqrt(case["step_size"]) * case["noise"]
    distance = proposed.norm(dim=2)
    met = (distance > radius).cumsum(0).bool()
    moves = (accepted & ~met).any(0) & (accepted & met).any(0)
    clear = ((distance - radius).abs() > 0.01).all(0)
    return chosen((case["z"].norm(dim=1) < radius) & moves & clear, case, trace, accepted)


def candidates(rng, latent_logit, chains=64, steps=12):
    """(arguments, trace, accepted). The decisions are drawn first and the uniforms to suit, away from alpha:
    so float32 decides as float64 does, and a chain is rejected as often as can be."""
    z, step_size = 0.7 * normal(rng, chains, 2), uniform(rng, 0.7, 0.9)
    noise, uniforms = normal(rng, steps, chains, 2), normal(rng, steps, chains)
    case = {
        "z": z,
        "latent_logit": latent_logit,
        "step_size": step_size,
        "noise": noise,
        "uniforms": uniforms,
    }
    (d, grad), trace, accepted = value_and_grad(z, latent_logit), [], []
    for k in range(steps):
        z_new = z + step_size / 2 * grad + math.sqrt(step_size) * noise[k]
        d_new, grad_new = value_and_grad(z_new, latent_logit)
        alpha = log_alpha(z, z_new, d, d_new, grad, grad_new, step_size).exp().nan_to_num(nan=0.0)
        accept = (alpha > 0.9) | (alpha > 1e-3) & (torch.rand(chains, generator=rng) < 0.5)
        low, high = torch.where(accept, 0.1 * alpha, 0.2 + 0.8 * alpha), torch.where(accept, 0.9 * alpha, 1.0)
        uniforms[k] = low + (high - low) * torch.rand(chains, generator=rng)
        z, d = torch.where(accept[:, None], z_new, z), torch.where(accept, d_new, d)
        grad = torch.where(accept[:, None], grad_new, grad)
        trace.append(z)
        accepted.append(accept)
    return case, torch.stack(trace), torch.stack(accepted)


def chosen(fit, case, trace, accepted):
    """The first 3 chains that are `fit`. Raises IndexError where there are not so many."""
    rows = [int(fit.nonzero()[i]) for i in range(3)]
    case = case | {"z": case["z"][rows]}
    case |= {name: case[name][:, rows] for name in ("noise", "uniforms")}
    return case, trace[:, rows], accepted[:, rows]
