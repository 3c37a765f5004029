"""Answers to exercise 4 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def log_p0(z):
    return -(z * z).sum(1) / 2


def log_normal(to, mean, variance):
    return -0.5 * (to - mean).square().sum(1) / variance


def forward(z, z_new, grad, step_size):
    return log_normal(z_new, z + 0.5 * step_size * grad, step_size)


def backward(z, z_new, grad_new, step_size):
    return log_normal(z, z_new + 0.5 * step_size * grad_new, step_size)


def sanitised(log_alpha, *proposed):
    ok = torch.stack([torch.isfinite(t).reshape(len(t), -1).all(1) for t in proposed]).all(0)
    return torch.where(ok, log_alpha.clamp(max=0), -math.inf)


# %% wrong: the prior ratio is missing


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(q_ratio + d_new - d, z_new, d_new, grad_new)


# %% wrong: the prior ratio is upside down


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z) - log_p0(z_new) + q_ratio + d_new - d, z_new, d_new, grad_new)


# %% wrong: the proposal ratio is missing


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    return sanitised(log_p0(z_new) - log_p0(z) + d_new - d, z_new, d_new, grad_new)


# %% wrong: the proposal ratio is upside down


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = forward(z, z_new, grad, step_size) - backward(z, z_new, grad_new, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d_new - d, z_new, d_new, grad_new)


# %% wrong: the reverse proposal uses the gradient at the old point


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d_new - d, z_new, d_new, grad_new)


# %% wrong: the discriminator's ratio is missing


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio, z_new, d_new, grad_new)


# %% wrong: the discriminator's ratio is upside down


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d - d_new, z_new, d_new, grad_new)


# %% wrong: noise variance used as standard deviation


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    there = log_normal(z_new, z + 0.5 * step_size * grad, step_size**2)
    back = log_normal(z, z_new + 0.5 * step_size * grad_new, step_size**2)
    return sanitised(log_p0(z_new) - log_p0(z) + back - there + d_new - d, z_new, d_new, grad_new)


# %% wrong: alpha exceeds one


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    return torch.where(sanitised(log_ratio, z_new, d_new, grad_new).isinf(), -math.inf, log_ratio)


# %% wrong: alpha instead of its logarithm


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d_new - d, z_new, d_new, grad_new).exp()


# %% wrong: one decision for the whole batch


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    return sanitised(log_ratio.mean().expand_as(log_ratio), z_new, d_new, grad_new)


# %% wrong: the ratio is computed from D, which rounds to 0 or 1


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    odds = (1 / torch.sigmoid(d) - 1) / (1 / torch.sigmoid(d_new) - 1)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + odds.log()
    return sanitised(log_ratio, z_new, d_new, grad_new)


# %% wrong: alpha is computed first and its logarithm taken last


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    return sanitised(log_ratio.exp().clamp(max=1).log(), z_new, d_new, grad_new)


# %% wrong: a proposal that is not finite is not rejected


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return (log_p0(z_new) - log_p0(z) + q_ratio + d_new - d).clamp(max=0)


# %% wrong: a proposal that is not a number is accepted


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return (log_p0(z_new) - log_p0(z) + q_ratio + d_new - d).nan_to_num(nan=0.0).clamp(max=0)


# %% wrong: infinite logits are not rejected


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return (log_p0(z_new) - log_p0(z) + q_ratio + d_new - d).nan_to_num(nan=-math.inf).clamp(max=0)


# %% wrong: only the logit is looked at, and not z' and the new gradient


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d_new - d, d_new)


# %% wrong: only a logit that is NaN is looked at


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    return torch.where(d_new.isnan(), -math.inf, log_ratio.clamp(max=0))


# %% wrong: one proposal that is not finite rejects the whole batch


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    ok = all(bool(torch.isfinite(t).all()) for t in (z_new, d_new, grad_new))
    return log_ratio.clamp(max=0) if ok else torch.full_like(log_ratio, -math.inf)


# %% wrong: float64 is cut to float32


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    log_ratio = log_p0(z_new) - log_p0(z) + q_ratio + d_new - d
    return sanitised(log_ratio, z_new, d_new, grad_new).float()


# %% wrong: an argument is changed in place


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    q_ratio = backward(z, z_new, grad_new, step_size) - forward(z, z_new, grad, step_size)
    d_new -= d
    return sanitised(log_p0(z_new) - log_p0(z) + q_ratio + d_new, z_new, d_new, grad_new)


# %% right: torch.distributions


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    ok = z_new.isfinite().all(1) & d_new.isfinite() & grad_new.isfinite().all(1)
    z_new, d_new, grad_new = z_new.nan_to_num(), d_new.nan_to_num(), grad_new.nan_to_num()

    def flow(a, b, d_b, grad_b):
        prior = torch.distributions.Normal(torch.zeros_like(b), 1.0)
        proposal = torch.distributions.Normal(b + step_size / 2 * grad_b, step_size**0.5)
        return d_b + prior.log_prob(b).sum(1) + proposal.log_prob(a).sum(1)

    log_ratio = flow(z, z_new, d_new, grad_new) - flow(z_new, z, d, grad)
    return torch.minimum(log_ratio, torch.zeros_like(d)).masked_fill(~ok, -math.inf)


# %% right: a loop over the chains


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    result = []
    for a, b, da, db, ga, gb in zip(z, z_new, d, d_new, grad, grad_new, strict=True):
        there, back = b - a - step_size / 2 * ga, a - b - step_size / 2 * gb
        value = (a @ a - b @ b) / 2 + (there @ there - back @ back) / (2 * step_size) + db - da
        ok = all(math.isfinite(float(t.abs().sum())) for t in (b, db, gb))
        result.append(value.clamp(max=0) if ok else torch.full_like(value, -math.inf))
    return torch.stack(result)


# %% right: expanded by hand, with einsum


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    def dot(a, b):
        return torch.einsum("bi,bi->b", a, b)

    drift = dot(z - z_new, grad + grad_new) / 2
    curve = step_size / 8 * (dot(grad, grad) - dot(grad_new, grad_new))
    value = (dot(z, z) - dot(z_new, z_new)) / 2 + drift + curve + d_new - d
    value[~torch.isfinite(torch.cat([z_new, grad_new, d_new[:, None]], 1)).all(1)] = -math.inf
    return value.clamp_(max=0)


# %% right: both flows shifted by the larger


def rep_log_alpha(z, z_new, d, d_new, grad, grad_new, step_size):
    ahead = log_p0(z_new) + backward(z, z_new, grad_new, step_size) + d_new
    behind = log_p0(z) + forward(z, z_new, grad, step_size) + d
    value = ahead - torch.stack([ahead, behind]).amax(0)
    proposed = torch.cat([z_new, d_new.unsqueeze(1), grad_new], 1).sum(1)
    return torch.where(torch.isfinite(proposed), value, torch.full_like(value, -math.inf))
