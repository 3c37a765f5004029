"""Answers to exercise 3 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch
from torch.nn import functional


def decided(log_ratio, d_new):
    """min(0, log_ratio), -inf where d_new is not finite."""
    return torch.where(d_new.isfinite(), log_ratio.clamp(max=0), -math.inf)


# %% wrong: the ratio is upside down


def mhgan_log_alpha(d, d_new):
    return decided(d - d_new, d_new)


# %% wrong: alpha exceeds one


def mhgan_log_alpha(d, d_new):
    return torch.where(d_new.isfinite(), d_new - d, -math.inf)


# %% wrong: alpha instead of its logarithm


def mhgan_log_alpha(d, d_new):
    return decided(d_new - d, d_new).exp()


# %% wrong: the old picture's logit is left out


def mhgan_log_alpha(d, d_new):
    return decided(d_new, d_new)


# %% wrong: the ratio of D instead of the ratio of the odds


def mhgan_log_alpha(d, d_new):
    return decided(functional.logsigmoid(d_new) - functional.logsigmoid(d), d_new)


# %% wrong: Barker's acceptance, which is never above one half at a tie


def mhgan_log_alpha(d, d_new):
    return decided(functional.logsigmoid(d_new - d), d_new)


# %% wrong: the odds are computed from D, which rounds to 0 or 1


def mhgan_log_alpha(d, d_new):
    D, D_new = torch.sigmoid(d), torch.sigmoid(d_new)
    return decided(((1 / D - 1) / (1 / D_new - 1)).log(), d_new)


# %% wrong: alpha is computed first and its logarithm taken last


def mhgan_log_alpha(d, d_new):
    return decided((d_new - d).exp().clamp(max=1).log(), d_new)


# %% wrong: logits are cut off at 10 and -10 first


def mhgan_log_alpha(d, d_new):
    return decided(d_new.clamp(-10, 10) - d.clamp(-10, 10), d_new)


# %% wrong: one decision for the whole batch


def mhgan_log_alpha(d, d_new):
    log_ratio = d_new - d
    return decided(log_ratio.mean().expand_as(log_ratio), d_new)


# %% wrong: a proposal that is not finite is not rejected


def mhgan_log_alpha(d, d_new):
    return (d_new - d).clamp(max=0)


# %% wrong: a proposal that is not a number is accepted


def mhgan_log_alpha(d, d_new):
    return (d_new - d).nan_to_num(nan=0.0).clamp(max=0)


# %% wrong: an infinite logit is not rejected


def mhgan_log_alpha(d, d_new):
    return (d_new - d).nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf).clamp(max=0)


# %% wrong: float64 is cut to float32


def mhgan_log_alpha(d, d_new):
    return decided(d_new - d, d_new).float()


# %% wrong: an argument is changed in place


def mhgan_log_alpha(d, d_new):
    d_new -= d
    return decided(d_new, d_new)


# %% right: minimum, then masked_fill


def mhgan_log_alpha(d, d_new):
    log_ratio = torch.minimum(d_new - d, torch.zeros_like(d))
    return log_ratio.masked_fill(~torch.isfinite(d_new), -math.inf)


# %% right: a loop over the chains


def mhgan_log_alpha(d, d_new):
    found = [
        min(0.0, b - a) if math.isfinite(b) else -math.inf
        for a, b in zip(d.tolist(), d_new.tolist(), strict=True)
    ]
    return torch.tensor(found, dtype=d.dtype)


# %% right: through log(1/D - 1), computed without D


def mhgan_log_alpha(d, d_new):
    def log_inverse_odds(logit):
        return functional.logsigmoid(-logit) - functional.logsigmoid(logit)

    safe = torch.where(d_new.isfinite(), d_new, torch.zeros_like(d_new))
    log_ratio = log_inverse_odds(d) - log_inverse_odds(safe)
    return torch.where(d_new.isfinite(), -torch.relu(-log_ratio), torch.full_like(d, -math.inf))


# %% right: in place, on a copy


def mhgan_log_alpha(d, d_new):
    result = d_new.clone()
    result -= d
    result[result > 0] = 0
    result[~d_new.isfinite()] = -math.inf
    return result


# %% right: both logits less the larger


def mhgan_log_alpha(d, d_new):
    bad = d_new.isnan() | d_new.isinf()
    other = d_new.masked_fill(bad, 0.0)
    return (other - torch.maximum(d, other)).masked_fill(bad, -math.inf)
