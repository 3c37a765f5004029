"""Answers to exercise 4 other than the notebook's: known mistakes, and unusual ways to be right."""
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


def flow(x, p, log_prob, size, count):
    for _ in range(count):
        p = p + 0.5 * size * at(x, log_prob)[1]
        x = x + size * p
        p = p + 0.5 * size * at(x, log_prob)[1]
    return x, p


def energy(x, p, log_prob):
    return 0.5 * p.square().sum(1) - log_prob(x)


def decide(u, won):
    return u.log() < won.nan_to_num(nan=-math.inf).clamp(max=0)


def select(accept, x_new, x):
    return torch.where(accept.unsqueeze(1), x_new, x)


def step(x, log_prob, size, count, p, u, flow=flow, energy=energy, decide=decide, select=select):
    """The right step; most mistakes below replace one of its four parts."""
    x_new, p_new = flow(x, p, log_prob, size, count)
    accept = decide(u, energy(x, p, log_prob) - energy(x_new, p_new, log_prob))
    return select(accept, x_new, x), accept


# %% wrong: a trajectory that is not a number is accepted


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def unless_rejected(u, won):
        return ~(u.log() >= won.clamp(max=0))

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, decide=unless_rejected)


# %% wrong: the energies are exponentiated before they are divided


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    x_new, p_new = flow(x, momentum, log_prob, step_size, n_leapfrog)
    before = (-energy(x, momentum, log_prob)).exp()
    accept = uniforms < (-energy(x_new, p_new, log_prob)).exp() / before
    return select(accept, x_new, x), accept


# %% wrong: whole kicks instead of halves


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def whole_kicks(x, p, log_prob, size, count):
        for _ in range(count):
            p = p + size * at(x, log_prob)[1]
            x = x + size * p
            p = p + size * at(x, log_prob)[1]
        return x, p

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=whole_kicks)


# %% wrong: no half kick at the ends (Euler's symplectic scheme)


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def kick_drift(x, p, log_prob, size, count):
        for _ in range(count):
            p = p + size * at(x, log_prob)[1]
            x = x + size * p
        return x, p

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=kick_drift)


# %% wrong: position and momentum are moved at the same time (Euler's scheme)


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def euler(x, p, log_prob, size, count):
        for _ in range(count):
            x, p = x + size * p, p + size * at(x, log_prob)[1]
        return x, p

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=euler)


# %% wrong: the last half kick is missing


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def unfinished(x, p, log_prob, size, count):
        x, p = flow(x, p, log_prob, size, count)
        return x, p - 0.5 * size * at(x, log_prob)[1]

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=unfinished)


# %% wrong: the gradient of the start is used for ever


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def stale(x, p, log_prob, size, count):
        _, grad = at(x, log_prob)
        for _ in range(count):
            p = p + 0.5 * size * grad
            x = x + size * p
            p = p + 0.5 * size * grad
        return x, p

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=stale)


# %% wrong: the gradient before the drift is used after it too


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def behind(x, p, log_prob, size, count):
        for _ in range(count):
            _, grad = at(x, log_prob)
            p = p + 0.5 * size * grad
            x = x + size * p
            p = p + 0.5 * size * grad
        return x, p

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=behind)


# %% wrong: kicked downhill


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def downhill(x, p, log_prob, size, count):
        return flow(x, p, lambda y: -log_prob(y), size, count)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, flow=downhill)


# %% wrong: one leapfrog step too few


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    return step(x, log_prob, step_size, n_leapfrog - 1, momentum, uniforms)


# %% wrong: one leapfrog step too many


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    return step(x, log_prob, step_size, n_leapfrog + 1, momentum, uniforms)


# %% wrong: the kinetic energy is missing


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def potential(x, p, log_prob):
        return -log_prob(x)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, energy=potential)


# %% wrong: the kinetic energy has the wrong sign


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def difference(x, p, log_prob):
        return -0.5 * p.square().sum(1) - log_prob(x)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, energy=difference)


# %% wrong: the kinetic energy without its one half


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def doubled(x, p, log_prob):
        return p.square().sum(1) - log_prob(x)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, energy=doubled)


# %% wrong: the energies are compared the wrong way round


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def negative(x, p, log_prob):
        return -energy(x, p, log_prob)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, energy=negative)


# %% wrong: every trajectory is accepted


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def always(u, won):
        return torch.ones_like(u, dtype=torch.bool)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, decide=always)


# %% wrong: one uniform number for all chains


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def shared(u, won):
        return decide(u[:1].expand_as(u), won)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, decide=shared)


# %% wrong: the uniform number is compared with log alpha instead of alpha


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def no_logarithm(u, won):
        return u < won.nan_to_num(nan=-math.inf).clamp(max=0)

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, decide=no_logarithm)


# %% wrong: rejected chains move all the same


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    def take_all(accept, x_new, x):
        return x_new

    return step(x, log_prob, step_size, n_leapfrog, momentum, uniforms, select=take_all)


# %% wrong: fresh random numbers instead of the argument


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    return step(x, log_prob, step_size, n_leapfrog, torch.randn_like(momentum), uniforms)


# %% wrong: float64 is cut to float32


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    state, accept = step(x, log_prob, step_size, n_leapfrog, momentum, uniforms)
    return state.float(), accept


# %% wrong: an argument is changed in place


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    state, accept = step(x, log_prob, step_size, n_leapfrog, momentum, uniforms)
    momentum += 0.5 * step_size * at(x, log_prob)[1]
    return state, accept


# %% right: two half kicks between drifts are one


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    value, grad = at(x, log_prob)
    p, here, height = momentum + step_size / 2 * grad, x, value
    for k in range(n_leapfrog):
        here = here + step_size * p
        height, grad = at(here, log_prob)
        p = p + (step_size if k + 1 < n_leapfrog else step_size / 2) * grad
    won = height - value + (momentum.square() - p.square()).sum(1) / 2
    accept = (uniforms.log() < won) & won.isfinite()
    return torch.where(accept.unsqueeze(1), here, x), accept


# %% right: one chain after the other


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    states, moved = x.clone(), []
    for i in range(len(x)):
        here, p = x[i : i + 1], momentum[i : i + 1]
        there, end = flow(here, p, log_prob, step_size, n_leapfrog)
        won = float(energy(here, p, log_prob) - energy(there, end, log_prob))
        moved.append(math.isfinite(won) and bool(uniforms[i] < math.exp(min(won, 0.0))))
        if moved[-1]:
            states[i] = there[0]
    return states, torch.tensor(moved)


# %% right: positions only (Verlet's scheme), the momentum at the end


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    grads = [at(x, log_prob)[1]]
    way = [x, x + step_size * momentum + step_size**2 / 2 * grads[0]]
    for _ in range(n_leapfrog - 1):
        grads.append(at(way[-1], log_prob)[1])
        way.append(2 * way[-1] - way[-2] + step_size**2 * grads[-1])
    end = (way[-1] - way[-2]) / step_size + step_size / 2 * at(way[-1], log_prob)[1]
    accept = decide(uniforms, energy(x, momentum, log_prob) - energy(way[-1], end, log_prob))
    return select(accept, way[-1], x), accept


# %% right: in place on copies, and the momentum turned round at the end


def hmc_step(x, log_prob, step_size, n_leapfrog, momentum, uniforms):
    here, p = x.clone(), momentum.clone()
    for _ in range(n_leapfrog):
        p += step_size * at(here, log_prob)[1] / 2
        here += step_size * p
        p += step_size * at(here, log_prob)[1] / 2
    p.neg_()
    accept = decide(uniforms, energy(x, momentum, log_prob) - energy(here, p, log_prob))
    here[~accept] = x[~accept]
    return here, accept
