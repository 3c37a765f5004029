"""Answers to exercise 3 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def log_normal(to, mean, variance):
    return -0.5 * (to - mean).square().sum(1) / variance - 0.5 * to.shape[1] * math.log(
        2 * math.pi * variance
    )


# %% wrong: noise variance used as standard deviation


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given + 0.5 * step_size * grad_given, step_size**2)


# %% wrong: the drift is forgotten


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given, step_size)


# %% wrong: the drift goes downhill, or to and given are swapped


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given - 0.5 * step_size * grad_given, step_size)


# %% wrong: the normaliser is missing


def log_q(to, given, grad_given, step_size):
    return -0.5 * (to - given - 0.5 * step_size * grad_given).square().sum(1) / step_size


# %% wrong: the normaliser counts one dimension instead of k


def log_q(to, given, grad_given, step_size):
    far = (to - given - 0.5 * step_size * grad_given).square().sum(1)
    return -0.5 * far / step_size - 0.5 * math.log(2 * math.pi * step_size)


# %% wrong: the normaliser counts the chains instead of the dimensions


def log_q(to, given, grad_given, step_size):
    far = (to - given - 0.5 * step_size * grad_given).square().sum(1)
    return -0.5 * far / step_size - 0.5 * len(to) * math.log(2 * math.pi * step_size)


# %% wrong: the one half of the exponent is missing


def log_q(to, given, grad_given, step_size):
    far = (to - given - 0.5 * step_size * grad_given).square().sum(1)
    return -far / step_size - 0.5 * to.shape[1] * math.log(2 * math.pi * step_size)


# %% wrong: mean over the coordinates instead of their sum


def log_q(to, given, grad_given, step_size):
    far = (to - given - 0.5 * step_size * grad_given).square().mean(1)
    return -0.5 * far / step_size - 0.5 * to.shape[1] * math.log(2 * math.pi * step_size)


# %% wrong: the density instead of its logarithm


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given + 0.5 * step_size * grad_given, step_size).exp()


# %% wrong: the logarithm of a density that underflows


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given + 0.5 * step_size * grad_given, step_size).exp().log()


# %% wrong: one number for the whole batch


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given + 0.5 * step_size * grad_given, step_size).sum()


# %% wrong: one number for each coordinate


def log_q(to, given, grad_given, step_size):
    far = (to - given - 0.5 * step_size * grad_given).square()
    return -0.5 * far / step_size - 0.5 * math.log(2 * math.pi * step_size)


# %% wrong: float64 is cut to float32


def log_q(to, given, grad_given, step_size):
    return log_normal(to, given + 0.5 * step_size * grad_given, step_size).float()


# %% wrong: an argument is changed in place


def log_q(to, given, grad_given, step_size):
    to -= given + 0.5 * step_size * grad_given
    return log_normal(to, torch.zeros_like(to), step_size)


# %% right: torch.distributions


def log_q(to, given, grad_given, step_size):
    mean = given + step_size / 2 * grad_given
    return torch.distributions.Normal(mean, step_size**0.5).log_prob(to).sum(-1)


# %% right: a multivariate normal with a covariance matrix


def log_q(to, given, grad_given, step_size):
    covariance = step_size * torch.eye(to.shape[1], dtype=to.dtype)
    return torch.distributions.MultivariateNormal(given + step_size / 2 * grad_given, covariance).log_prob(to)


# %% right: einsum of standardised residuals


def log_q(to, given, grad_given, step_size):
    r = (to - given) / math.sqrt(step_size) - math.sqrt(step_size) / 2 * grad_given
    return -(torch.einsum("bi,bi->b", r, r) + r.shape[1] * (math.log(step_size) + math.log(2 * math.pi))) / 2


# %% right: a loop over the chains


def log_q(to, given, grad_given, step_size):
    result = torch.empty(len(to), dtype=to.dtype)
    for i in range(len(to)):
        miss = to[i] - given[i] - grad_given[i] * step_size / 2
        result[i] = -(miss @ miss) / (2 * step_size) - len(miss) / 2 * math.log(2 * math.pi * step_size)
    return result


# %% right: constants as tensors of torch's default precision


def log_q(to, given, grad_given, step_size):
    mean = given + torch.tensor(step_size) / 2 * grad_given
    spread = torch.sqrt(torch.tensor(step_size))
    return torch.distributions.Normal(mean, spread).log_prob(to).sum(-1)
