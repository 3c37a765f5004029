"""Answers to exercise 1 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def checked(log_ratio, log_p_new, log_q_back):
    """The ratio cut at 0, and -inf where the proposal is not finite."""
    ok = torch.isfinite(log_p_new) & torch.isfinite(log_q_back)
    return torch.where(ok, log_ratio.clamp(max=0), -math.inf)


# %% wrong: the target's ratio is upside down


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_p - log_p_new + log_q_back - log_q_there, log_p_new, log_q_back)


# %% wrong: the proposal's ratio is upside down


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_p_new - log_p + log_q_there - log_q_back, log_p_new, log_q_back)


# %% wrong: the proposal's ratio is missing


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_p_new - log_p, log_p_new, log_q_back)


# %% wrong: the target's ratio is missing


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_q_back - log_q_there, log_p_new, log_q_back)


# %% wrong: alpha exceeds one


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    ok = torch.isfinite(log_p_new) & torch.isfinite(log_q_back)
    return torch.where(ok, log_p_new + log_q_back - log_p - log_q_there, -math.inf)


# %% wrong: the logarithm is cut at 1 instead of 0


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    ok = torch.isfinite(log_p_new) & torch.isfinite(log_q_back)
    return torch.where(ok, (log_p_new + log_q_back - log_p - log_q_there).clamp(max=1), -math.inf)


# %% wrong: alpha instead of its logarithm


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_p_new + log_q_back - log_p - log_q_there, log_p_new, log_q_back).exp()


# %% wrong: alpha is computed first and its logarithm taken last


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    alpha = (log_p_new + log_q_back - log_p - log_q_there).exp().clamp(max=1)
    return checked(alpha.log(), log_p_new, log_q_back)


# %% wrong: Barker's acceptance, which keeps the law too but moves less


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    log_ratio = log_p_new + log_q_back - log_p - log_q_there
    return checked(torch.nn.functional.logsigmoid(log_ratio), log_p_new, log_q_back)


# %% wrong: one decision for the whole batch


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    log_ratio = log_p_new + log_q_back - log_p - log_q_there
    return checked(log_ratio.mean().expand_as(log_ratio), log_p_new, log_q_back)


# %% wrong: a proposal that is not finite is not rejected


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return (log_p_new + log_q_back - log_p - log_q_there).clamp(max=0)


# %% wrong: a proposal that is not a number is accepted


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return (log_p_new + log_q_back - log_p - log_q_there).nan_to_num(nan=0.0).clamp(max=0)


# %% wrong: an infinite density is accepted


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    log_ratio = log_p_new + log_q_back - log_p - log_q_there
    return torch.where(log_ratio.isnan(), -math.inf, log_ratio.clamp(max=0))


# %% wrong: a chain that starts outside the support never gets in


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    log_ratio = log_p_new + log_q_back - log_p - log_q_there
    return torch.where(log_ratio.isfinite(), log_ratio.clamp(max=0), -math.inf)


# %% wrong: float64 is cut to float32


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    return checked(log_p_new + log_q_back - log_p - log_q_there, log_p_new, log_q_back).float()


# %% wrong: an argument is changed in place


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    log_p += log_q_there
    return checked(log_p_new + log_q_back - log_p, log_p_new, log_q_back)


# %% right: the two flows compared


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    there, back = log_p + log_q_there, log_p_new + log_q_back
    value = torch.minimum(there, back) - there
    value = torch.where(there == -math.inf, torch.zeros_like(value), value)
    return value.masked_fill(~(log_p_new.isfinite() & log_q_back.isfinite()), -math.inf)


# %% right: a loop over the chains


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    result = torch.empty_like(log_p)
    for i in range(len(log_p)):
        if math.isfinite(log_p_new[i]) and math.isfinite(log_q_back[i]):
            result[i] = min(0.0, float(log_p_new[i] - log_p[i] + log_q_back[i] - log_q_there[i]))
        else:
            result[i] = -math.inf
    return result


# %% right: a stack summed with signs


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    signs = torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=log_p.dtype)
    value = torch.einsum("i,ib->b", signs, torch.stack([log_p, log_p_new, log_q_there, log_q_back]))
    value[~torch.isfinite(log_p_new + log_q_back)] = -math.inf
    return value.clamp_(max=0)


# %% right: what is not finite becomes -inf first


def mh_log_alpha(log_p, log_p_new, log_q_there, log_q_back):
    ahead = torch.nan_to_num(log_p_new, nan=-math.inf, posinf=-math.inf, neginf=-math.inf)
    ahead = ahead + torch.nan_to_num(log_q_back, nan=-math.inf, posinf=-math.inf, neginf=-math.inf)
    ratio = torch.where(ahead == -math.inf, ahead, ahead - log_p - log_q_there)
    return -torch.relu(-ratio)
