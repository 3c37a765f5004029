"""Answers to exercise 2 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch
from torch.nn import functional


def log_odds(delta, epsilon):
    """Delta - log(1 - e^(Delta - epsilon))."""
    return delta - torch.log(-torch.expm1(delta - epsilon))


# %% wrong: gamma is added instead of taken off


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max).clamp(max=0), epsilon) + gamma)


# %% wrong: gamma is left out


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max).clamp(max=0), epsilon))


# %% wrong: gamma shifts Delta before the logarithm


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max - gamma).clamp(max=0), epsilon))


# %% wrong: gamma multiplies the probability as e^-gamma


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return (torch.sigmoid(log_odds((d - d_max).clamp(max=0), epsilon)) * math.exp(-gamma)).clamp(max=1)


# %% wrong: epsilon is left out


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max).clamp(max=0), 0.0) - gamma)


# %% wrong: epsilon raises Delta instead of lowering it


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max).clamp(max=0), -epsilon) - gamma)


# %% wrong: the logarithm is left out of F


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid((d - d_max).clamp(max=0) - gamma)


# %% wrong: the logarithm is added instead of taken off


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = (d - d_max).clamp(max=0)
    return torch.sigmoid(delta + torch.log(-torch.expm1(delta - epsilon)) - gamma)


# %% wrong: D itself as the probability


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(d)


# %% wrong: the maximum of the batch instead of d_max


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds(d - d.max(), epsilon) - gamma)


# %% wrong: F instead of a probability


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return log_odds((d - d_max).clamp(max=0), epsilon) - gamma


# %% wrong: the logarithm of the probability


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return functional.logsigmoid(log_odds((d - d_max).clamp(max=0), epsilon) - gamma)


# %% wrong: a decision instead of a probability


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return (log_odds((d - d_max).clamp(max=0), epsilon) > gamma).to(d.dtype)


# %% wrong: e^Delta is computed first, and underflows


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = (d - d_max).clamp(max=0)
    a = delta.exp()
    return torch.sigmoid((a / -torch.expm1(delta - epsilon)).log() - gamma)


# %% wrong: the ratio is computed from D, which rounds to 0 or 1


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    D, D_max = torch.sigmoid(d), torch.sigmoid(torch.as_tensor(d_max, dtype=d.dtype))
    a = (D / (1 - D)) / (D_max / (1 - D_max))
    a = a.clamp(max=1)
    return torch.sigmoid(a.log() - torch.log1p(-a * math.exp(-epsilon)) - gamma)


# %% wrong: not a number where d exceeds d_max


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds(d - d_max, epsilon) - gamma)


# %% wrong: float64 is cut to float32


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    return torch.sigmoid(log_odds((d - d_max).clamp(max=0), epsilon) - gamma).float()


# %% wrong: an argument is changed in place


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    d -= d_max
    return torch.sigmoid(log_odds(d.clamp(max=0), epsilon) - gamma)


# %% right: the formula letter by letter


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = torch.minimum(d - d_max, torch.zeros_like(d))
    F = delta - torch.log(1 - torch.exp(delta - epsilon)) - gamma
    return 1 / (1 + torch.exp(-F))


# %% right: log1p, and a sigmoid by way of its logarithm


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = -torch.relu(d_max - d)
    return functional.logsigmoid(delta - torch.log1p(-torch.exp(delta - epsilon)) - gamma).exp()


# %% right: a loop over the draws with math


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    found = []
    for value in d.tolist():
        delta = min(value - d_max, 0.0)
        F = delta - math.log(-math.expm1(delta - epsilon)) - gamma
        found.append(1 / (1 + math.exp(-F)) if F > 0 else math.exp(F) / (1 + math.exp(F)))
    return torch.tensor(found, dtype=d.dtype)


# %% right: a softmax of two log weights


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = torch.where(d < d_max, d - d_max, 0.0)
    refuse = torch.log(-torch.expm1(delta - epsilon)) + gamma
    return torch.softmax(torch.stack([delta, refuse]), 0)[0]


# %% right: in float64 and in place, on a copy


def drs_accept_prob(d, d_max, gamma=0.0, epsilon=1e-6):
    delta = d.clone().double()
    delta -= d_max
    delta.clamp_(max=0)
    return torch.sigmoid(log_odds(delta, epsilon).sub_(gamma)).to(d)
