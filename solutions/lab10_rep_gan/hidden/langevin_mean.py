"""Answers to exercise 2 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch

# %% wrong: downhill instead of uphill


def langevin_mean(z, grad, step_size):
    return z - 0.5 * step_size * grad


# %% wrong: the one half of the drift is missing


def langevin_mean(z, grad, step_size):
    return z + step_size * grad


# %% wrong: the square root of the step size in the drift


def langevin_mean(z, grad, step_size):
    return z + 0.5 * math.sqrt(step_size) * grad


# %% wrong: the step size is squared


def langevin_mean(z, grad, step_size):
    return z + 0.5 * step_size**2 * grad


# %% wrong: the step size is left out


def langevin_mean(z, grad, step_size):
    return z + 0.5 * grad


# %% wrong: the drift alone, without z


def langevin_mean(z, grad, step_size):
    return 0.5 * step_size * grad


# %% wrong: the gradient is scaled to length one


def langevin_mean(z, grad, step_size):
    return z + 0.5 * step_size * grad / grad.norm(dim=1, keepdim=True)


# %% wrong: the gradient is averaged over the chains


def langevin_mean(z, grad, step_size):
    return z + 0.5 * step_size * grad.mean(0, keepdim=True)


# %% wrong: noise is added to the mean


def langevin_mean(z, grad, step_size):
    return z + 0.5 * step_size * grad + math.sqrt(step_size) * torch.randn_like(z)


# %% wrong: float64 is cut to float32


def langevin_mean(z, grad, step_size):
    return (z + 0.5 * step_size * grad).float()


# %% wrong: an argument is changed in place


def langevin_mean(z, grad, step_size):
    z += 0.5 * step_size * grad
    return z


# %% right: torch.add with a factor


def langevin_mean(z, grad, step_size):
    return torch.add(z, grad, alpha=step_size / 2)


# %% right: a loop over chains and coordinates


def langevin_mean(z, grad, step_size):
    rows = [[a + step_size * b / 2 for a, b in zip(*pair, strict=True)] for pair in zip(z, grad, strict=True)]
    return torch.stack([torch.stack(row) for row in rows])


# %% right: in place, on a copy


def langevin_mean(z, grad, step_size):
    mean = z.clone()
    mean += grad * (step_size * 0.5)
    return mean


# %% right: halfway to a full gradient step


def langevin_mean(z, grad, step_size):
    return torch.lerp(z, z + step_size * grad, 0.5)
