"""Answers to exercise 3 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def at(x, log_prob):
    """log p and its gradient at x (B, d)."""
    x = x.detach().clone().requires_grad_()
    value = log_prob(x)
    (grad,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), grad


def jump(x, grad, tau, xi):
    return x + 0.5 * tau * grad + math.sqrt(tau) * xi


def log_q(to, given, grad, tau):
    return -(to - given - 0.5 * tau * grad).square().sum(1) / (2 * tau)


def ratio(x, x_new, value, value_new, grad, grad_new, tau):
    there, back = log_q(x_new, x, grad, tau), log_q(x, x_new, grad_new, tau)
    return value_new - value + back - there


def decide(u, log_ratio):
    return u.log() < log_ratio.nan_to_num(nan=-math.inf).clamp(max=0)


def select(accept, x_new, x):
    return torch.where(accept.unsqueeze(1), x_new, x)


def step(x, log_prob, tau, xi, u, jump=jump, ratio=ratio, decide=decide, select=select):
    """The right step; most mistakes below replace one of its four parts."""
    value, grad = at(x, log_prob)
    x_new = jump(x, grad, tau, xi)
    value_new, grad_new = at(x_new, log_prob)
    accept = decide(u, ratio(x, x_new, value, value_new, grad, grad_new, tau))
    return select(accept, x_new, x), accept


# %% wrong: the densities are exponentiated before they are divided


def mala_step(x, log_prob, step_size, noise, uniforms):
    value, grad = at(x, log_prob)
    x_new = jump(x, grad, step_size, noise)
    value_new, grad_new = at(x_new, log_prob)
    there = (value + log_q(x_new, x, grad, step_size)).exp()
    accept = uniforms < (value_new + log_q(x, x_new, grad_new, step_size)).exp() / there
    return select(accept, x_new, x), accept


# %% wrong: a proposal that is not a number is accepted


def mala_step(x, log_prob, step_size, noise, uniforms):
    def unless_rejected(u, log_ratio):
        return ~(u.log() >= log_ratio.clamp(max=0))

    return step(x, log_prob, step_size, noise, uniforms, decide=unless_rejected)


# %% wrong: the proposal's ratio is missing


def mala_step(x, log_prob, step_size, noise, uniforms):
    def ratio(x, x_new, value, value_new, grad, grad_new, tau):
        return value_new - value

    return step(x, log_prob, step_size, noise, uniforms, ratio=ratio)


# %% wrong: the proposal's ratio is upside down


def mala_step(x, log_prob, step_size, noise, uniforms):
    def ratio(x, x_new, value, value_new, grad, grad_new, tau):
        return value_new - value - log_q(x, x_new, grad_new, tau) + log_q(x_new, x, grad, tau)

    return step(x, log_prob, step_size, noise, uniforms, ratio=ratio)


# %% wrong: the way back uses the gradient at the old point


def mala_step(x, log_prob, step_size, noise, uniforms):
    def old_gradient(x, x_new, value, value_new, grad, grad_new, tau):
        return ratio(x, x_new, value, value_new, grad, grad, tau)

    return step(x, log_prob, step_size, noise, uniforms, ratio=old_gradient)


# %% wrong: the target's ratio is missing


def mala_step(x, log_prob, step_size, noise, uniforms):
    def no_target(x, x_new, value, value_new, grad, grad_new, tau):
        return ratio(x, x_new, value, value, grad, grad_new, tau)

    return step(x, log_prob, step_size, noise, uniforms, ratio=no_target)


# %% wrong: the target's ratio is upside down


def mala_step(x, log_prob, step_size, noise, uniforms):
    def upside_down(x, x_new, value, value_new, grad, grad_new, tau):
        return ratio(x, x_new, value_new, value, grad, grad_new, tau)

    return step(x, log_prob, step_size, noise, uniforms, ratio=upside_down)


# %% wrong: the variance of the proposal is 2τ in its density, τ in the move


def mala_step(x, log_prob, step_size, noise, uniforms):
    def wide(x, x_new, value, value_new, grad, grad_new, tau):
        there, back = log_q(x_new, x, grad, tau), log_q(x, x_new, grad_new, tau)
        return value_new - value + (back - there) / 2

    return step(x, log_prob, step_size, noise, uniforms, ratio=wide)


# %% wrong: the one half of the drift is missing in the density of the proposal


def mala_step(x, log_prob, step_size, noise, uniforms):
    def whole_drift(x, x_new, value, value_new, grad, grad_new, tau):
        there, back = log_q(x_new, x, 2 * grad, tau), log_q(x, x_new, 2 * grad_new, tau)
        return value_new - value + back - there

    return step(x, log_prob, step_size, noise, uniforms, ratio=whole_drift)


# %% wrong: the density of the proposal forgets the drift


def mala_step(x, log_prob, step_size, noise, uniforms):
    def symmetric_there(x, x_new, value, value_new, grad, grad_new, tau):
        there, back = -(x_new - x).square().sum(1) / (2 * tau), log_q(x, x_new, grad_new, tau)
        return value_new - value + back - there

    return step(x, log_prob, step_size, noise, uniforms, ratio=symmetric_there)


# %% wrong: all chains are accepted or rejected together


def mala_step(x, log_prob, step_size, noise, uniforms):
    def together(u, log_ratio):
        return decide(u, log_ratio).all().expand_as(u)

    return step(x, log_prob, step_size, noise, uniforms, decide=together)


# %% wrong: one uniform number for all chains


def mala_step(x, log_prob, step_size, noise, uniforms):
    def shared(u, log_ratio):
        return decide(u[:1].expand_as(u), log_ratio)

    return step(x, log_prob, step_size, noise, uniforms, decide=shared)


# %% wrong: the uniform number is compared with log alpha instead of alpha


def mala_step(x, log_prob, step_size, noise, uniforms):
    def no_logarithm(u, log_ratio):
        return u < log_ratio.nan_to_num(nan=-math.inf).clamp(max=0)

    return step(x, log_prob, step_size, noise, uniforms, decide=no_logarithm)


# %% wrong: accepts where it should reject


def mala_step(x, log_prob, step_size, noise, uniforms):
    def other_way_round(u, log_ratio):
        return ~decide(u, log_ratio)

    return step(x, log_prob, step_size, noise, uniforms, decide=other_way_round)


# %% wrong: every proposal is accepted


def mala_step(x, log_prob, step_size, noise, uniforms):
    def always(u, log_ratio):
        return torch.ones_like(u, dtype=torch.bool)

    return step(x, log_prob, step_size, noise, uniforms, decide=always)


# %% wrong: rejected chains move all the same


def mala_step(x, log_prob, step_size, noise, uniforms):
    def take_all(accept, x_new, x):
        return x_new

    return step(x, log_prob, step_size, noise, uniforms, select=take_all)


# %% wrong: the step size is used as the noise's standard deviation


def mala_step(x, log_prob, step_size, noise, uniforms):
    def narrow(x, grad, tau, xi):
        return x + 0.5 * tau * grad + tau * xi

    return step(x, log_prob, step_size, noise, uniforms, jump=narrow)


# %% wrong: fresh random numbers instead of the argument


def mala_step(x, log_prob, step_size, noise, uniforms):
    return step(x, log_prob, step_size, torch.randn_like(noise), torch.rand_like(uniforms))


# %% wrong: float64 is cut to float32


def mala_step(x, log_prob, step_size, noise, uniforms):
    state, accept = step(x, log_prob, step_size, noise, uniforms)
    return state.float(), accept


# %% wrong: an argument is changed in place


def mala_step(x, log_prob, step_size, noise, uniforms):
    state, accept = step(x, log_prob, step_size, noise, uniforms)
    x.copy_(state)
    return state, accept


# %% right: torch.distributions, and alpha itself


def mala_step(x, log_prob, step_size, noise, uniforms):
    value, grad = at(x, log_prob)
    there = torch.distributions.Normal(x + step_size / 2 * grad, math.sqrt(step_size))
    x_new = there.loc + there.scale * noise
    value_new, grad_new = at(x_new, log_prob)
    ok = value_new.isfinite() & grad_new.isfinite().all(1)
    mean = torch.where(ok[:, None], x_new + step_size / 2 * grad_new, 0.0)
    back = torch.distributions.Normal(mean, math.sqrt(step_size))
    ratio = value_new + back.log_prob(x).sum(1) - (value + there.log_prob(x_new).sum(1))
    accept = ok & (uniforms < ratio.exp())
    return torch.where(accept[:, None], x_new, x), accept


# %% right: one chain after the other, without a cache


def mala_step(x, log_prob, step_size, noise, uniforms):
    states, moved = [], []
    for i in range(len(x)):
        here = x[i : i + 1]
        value, grad = at(here, log_prob)
        there = jump(here, grad, step_size, noise[i])
        value_new, grad_new = at(there, log_prob)
        log_a = float(ratio(here, there, value, value_new, grad, grad_new, step_size))
        accept = math.isfinite(log_a) and (uniforms[i] == 0 or math.log(uniforms[i]) < log_a)
        states.append(there[0] if accept else here[0])
        moved.append(accept)
    return torch.stack(states), torch.tensor(moved)


# %% right: the ratio expanded by hand, with einsum


def mala_step(x, log_prob, step_size, noise, uniforms):
    value, grad = at(x, log_prob)
    x_new = jump(x, grad, step_size, noise)
    value_new, grad_new = at(x_new, log_prob)
    drift = torch.einsum("bi,bi->b", x - x_new, grad + grad_new) / 2
    curve = step_size / 8 * (grad.square() - grad_new.square()).sum(1)
    accept = torch.log(uniforms) < torch.minimum(value_new - value + drift + curve, torch.zeros_like(value))
    return select(accept, x_new, x), accept


# %% right: the way there is the noise, and rows are written on a copy


def mala_step(x, log_prob, step_size, noise, uniforms):
    value, grad = at(x, log_prob)
    x_new = jump(x, grad, step_size, noise)
    value_new, grad_new = at(x_new, log_prob)
    undo = (x - x_new - step_size / 2 * grad_new) / math.sqrt(step_size)
    accept = decide(uniforms, value_new - value + (noise.square() - undo.square()).sum(1) / 2)
    state = x.clone()
    state[accept] = x_new[accept]
    return state, accept
