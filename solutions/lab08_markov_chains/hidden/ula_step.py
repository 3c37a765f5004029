"""Answers to exercise 2 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def slope(x, log_prob):
    """The gradient of log p at x (B, d)."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(log_prob(x).sum(), x)[0]


# %% wrong: downhill instead of uphill


def ula_step(x, log_prob, step_size, noise):
    return x - 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * noise


# %% wrong: the one half of the drift is missing


def ula_step(x, log_prob, step_size, noise):
    return x + step_size * slope(x, log_prob) + math.sqrt(step_size) * noise


# %% wrong: the square root of the step size in the drift


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * math.sqrt(step_size) * slope(x, log_prob) + math.sqrt(step_size) * noise


# %% wrong: the step size is used as the noise's standard deviation


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob) + step_size * noise


# %% wrong: the noise has variance 2τ, as in the other convention


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob) + math.sqrt(2 * step_size) * noise


# %% wrong: the noise is not scaled


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob) + noise


# %% wrong: no noise, so the chain climbs to the nearest peak


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob)


# %% wrong: no drift, so the chain forgets the target


def ula_step(x, log_prob, step_size, noise):
    return x + math.sqrt(step_size) * noise


# %% wrong: the gradient of the density instead of that of its logarithm


def ula_step(x, log_prob, step_size, noise):
    drift = slope(x, lambda y: log_prob(y).exp())
    return x + 0.5 * step_size * drift + math.sqrt(step_size) * noise


# %% wrong: the gradient of the mean over the chains, B times too small


def ula_step(x, log_prob, step_size, noise):
    drift = slope(x, log_prob) / len(x)
    return x + 0.5 * step_size * drift + math.sqrt(step_size) * noise


# %% wrong: the gradient is taken after the noise


def ula_step(x, log_prob, step_size, noise):
    x = x + math.sqrt(step_size) * noise
    return x + 0.5 * step_size * slope(x, log_prob)


# %% wrong: all chains share the noise of the first


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * noise[:1]


# %% wrong: the new state without the old one


def ula_step(x, log_prob, step_size, noise):
    return 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * noise


# %% wrong: fresh random numbers instead of the argument


def ula_step(x, log_prob, step_size, noise):
    return x + 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * torch.randn_like(noise)


# %% wrong: float64 is cut to float32


def ula_step(x, log_prob, step_size, noise):
    return (x + 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * noise).float()


# %% wrong: an argument is changed in place


def ula_step(x, log_prob, step_size, noise):
    x += 0.5 * step_size * slope(x, log_prob) + math.sqrt(step_size) * noise
    return x


# %% right: one chain after the other


def ula_step(x, log_prob, step_size, noise):
    rows = []
    for row, xi in zip(x.split(1), noise.split(1), strict=True):
        rows.append(row + step_size / 2 * slope(row, log_prob) + step_size**0.5 * xi)
    return torch.cat(rows)


# %% right: backward on a copy


def ula_step(x, log_prob, step_size, noise):
    leaf = torch.nn.Parameter(x.clone())
    log_prob(leaf).backward(torch.ones(len(x), dtype=x.dtype))
    return torch.add(x, leaf.grad, alpha=step_size / 2).add_(noise, alpha=math.sqrt(step_size))


# %% right: torch.func


def ula_step(x, log_prob, step_size, noise):
    drift = torch.stack([torch.func.grad(lambda row: log_prob(row[None])[0])(row) for row in x])
    return x + (step_size * drift + 2 * step_size**0.5 * noise) / 2


# %% right: the other convention, with its own step


def ula_step(x, log_prob, step_size, noise):
    epsilon = step_size / 2
    return x + epsilon * slope(x, log_prob) + math.sqrt(2 * epsilon) * noise
