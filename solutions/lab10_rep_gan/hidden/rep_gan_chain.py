"""Answers to exercise 5 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def at(z, latent_logit):
    """d and the gradient of the latent log density."""
    z = z.detach().clone().requires_grad_()
    d = latent_logit(z)
    (grad,) = torch.autograd.grad((d - 0.5 * z.square().sum(1)).sum(), z)
    return d.detach(), grad


def log_ratio(z, z_new, d, d_new, grad, grad_new, step_size):
    there = (z_new - z - 0.5 * step_size * grad).square().sum(1)
    back = (z - z_new - 0.5 * step_size * grad_new).square().sum(1)
    value = 0.5 * (z.square() - z_new.square()).sum(1) + (there - back) / (2 * step_size) + d_new - d
    return value.nan_to_num(nan=-math.inf).clamp(max=0)


def jump(z, grad, step_size, xi):
    return z + 0.5 * step_size * grad + math.sqrt(step_size) * xi


def decide(u, log_alpha):
    return u.log() < log_alpha


def pick(accept, new, old):
    return torch.where(accept.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def select(accept, new, old):
    return tuple(pick(accept, *pair) for pair in zip(new, old, strict=True))


def chain(z, latent_logit, step_size, noise, uniforms, at=at, jump=jump, decide=decide, select=select):
    """The right loop; most mistakes below replace one of its four parts."""
    state, trace, accepted = (z, *at(z, latent_logit)), [], []
    for xi, u in zip(noise, uniforms, strict=True):
        z, d, grad = state
        z_new = jump(z, grad, step_size, xi)
        d_new, grad_new = at(z_new, latent_logit)
        accept = decide(u, log_ratio(z, z_new, d, d_new, grad, grad_new, step_size))
        state = select(accept, (z_new, d_new, grad_new), state)
        trace.append(state[0])
        accepted.append(accept)
    return tuple(map(torch.stack, (trace, accepted)))


# %% wrong: one uniform number for all chains


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def decide(u, log_alpha):
        return u[0].log() < log_alpha

    return chain(z, latent_logit, step_size, noise, uniforms, decide=decide)


# %% wrong: all chains are accepted or rejected together


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def decide(u, log_alpha):
        return (u.log() < log_alpha).all().expand_as(u)

    return chain(z, latent_logit, step_size, noise, uniforms, decide=decide)


# %% wrong: accepts where it should reject


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def decide(u, log_alpha):
        return u.log() > log_alpha

    return chain(z, latent_logit, step_size, noise, uniforms, decide=decide)


# %% wrong: the uniform number is compared with log alpha instead of alpha


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def decide(u, log_alpha):
        return u < log_alpha

    return chain(z, latent_logit, step_size, noise, uniforms, decide=decide)


# %% wrong: every proposal is accepted


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def decide(u, log_alpha):
        return torch.ones_like(u, dtype=torch.bool)

    return chain(z, latent_logit, step_size, noise, uniforms, decide=decide)


# %% wrong: rejected chains move all the same


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def select(accept, new, old):
        return new

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: the gradient of the start is used for ever


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def select(accept, new, old):
        return (*(pick(accept, new[i], old[i]) for i in range(2)), old[2])

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: a rejected chain keeps its place but takes the proposal's gradient


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def select(accept, new, old):
        return (*(pick(accept, new[i], old[i]) for i in range(2)), new[2])

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: a rejected chain keeps its place but takes the proposal's logit


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def select(accept, new, old):
        return pick(accept, new[0], old[0]), new[1], pick(accept, new[2], old[2])

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: the logit of the start is used for ever


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def select(accept, new, old):
        return pick(accept, new[0], old[0]), old[1], pick(accept, new[2], old[2])

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: states are mixed by multiplication, so that NaN times zero stays NaN


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def mix(a, new, old):
        a = a.to(z.dtype).reshape(-1, *[1] * (new.ndim - 1))
        return a * new + (1 - a) * old

    def select(accept, new, old):
        return tuple(mix(accept, *pair) for pair in zip(new, old, strict=True))

    return chain(z, latent_logit, step_size, noise, uniforms, select=select)


# %% wrong: gradients add up from step to step


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    total = torch.zeros_like(z)

    def at_accumulating(z, latent_logit):
        d, grad = at(z, latent_logit)
        return d, total.add_(grad).clone()

    return chain(z, latent_logit, step_size, noise, uniforms, at=at_accumulating)


# %% wrong: the drift follows the logit alone, without the prior


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def at_logit(z, latent_logit):
        d, grad = at(z, latent_logit)
        return d, grad + z

    return chain(z, latent_logit, step_size, noise, uniforms, at=at_logit)


# %% wrong: noise variance used as standard deviation


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def jump(z, grad, step_size, xi):
        return z + 0.5 * step_size * grad + step_size * xi

    return chain(z, latent_logit, step_size, noise, uniforms, jump=jump)


# %% wrong: fresh random numbers instead of the arguments


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    return chain(z, latent_logit, step_size, torch.randn_like(noise), torch.rand_like(uniforms))


# %% wrong: the trace records proposals instead of states


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    proposals = []

    def jump_and_record(*state):
        proposals.append(jump(*state))
        return proposals[-1]

    _, accepted = chain(z, latent_logit, step_size, noise, uniforms, jump=jump_and_record)
    return torch.stack(proposals), accepted


# %% wrong: the trace holds one tensor K times


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    trace, accepted = chain(z, latent_logit, step_size, noise, uniforms)
    return trace[-1:].expand_as(trace), accepted


# %% wrong: the trace starts with the start


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    trace, accepted = chain(z, latent_logit, step_size, noise, uniforms)
    return torch.cat([z[None], trace[:-1]]), accepted


# %% wrong: float64 is cut to float32


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    trace, accepted = chain(z, latent_logit, step_size, noise, uniforms)
    return trace.float(), accepted


# %% wrong: an argument is changed in place


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    trace, accepted = chain(z, latent_logit, step_size, noise, uniforms)
    z.copy_(trace[-1])
    return trace, accepted


# %% right: one chain after the other


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    trace, accepted = torch.empty_like(noise), torch.empty_like(uniforms, dtype=torch.bool)
    for i in range(len(z)):
        here = z[i : i + 1]
        for k in range(len(noise)):
            d, grad = at(here, latent_logit)
            there = jump(here, grad, step_size, noise[k, i])
            d_new, grad_new = at(there, latent_logit)
            alpha = log_ratio(here, there, d, d_new, grad, grad_new, step_size).exp()
            accept = uniforms[k, i] < alpha[0]
            here = there if accept else here
            trace[k, i], accepted[k, i] = here[0], accept
    return trace, accepted


# %% right: no cache, everything computed anew at each step


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    states, moved = [z], []
    for xi, u in zip(noise, uniforms, strict=True):
        (d, grad) = at(states[-1], latent_logit)
        z_new = jump(states[-1], grad, step_size, xi)
        d_new, grad_new = at(z_new, latent_logit)
        moved.append(torch.log(u) < log_ratio(states[-1], z_new, d, d_new, grad, grad_new, step_size))
        states.append(pick(moved[-1], z_new, states[-1]))
    return torch.stack(states[1:]), torch.stack(moved)


# %% right: torch.func for the gradients


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    def density(row):
        d = latent_logit(row[None])[0]
        return d - 0.5 * row @ row, d

    def every(z, latent_logit):
        pairs = [torch.func.grad_and_value(density, has_aux=True)(row) for row in z]
        return torch.stack([d for _, (_, d) in pairs]), torch.stack([grad for grad, _ in pairs])

    return chain(z, latent_logit, step_size, noise, uniforms, at=every)


# %% right: in place, on copies


def rep_gan_chain(z, latent_logit, step_size, noise, uniforms):
    z = z.clone()
    d, grad = at(z, latent_logit)
    trace, accepted = torch.zeros_like(noise), torch.zeros(uniforms.shape, dtype=torch.bool)
    for k in range(len(noise)):
        z_new = jump(z, grad, step_size, noise[k])
        d_new, grad_new = at(z_new, latent_logit)
        move = uniforms[k].log() < log_ratio(z, z_new, d, d_new, grad, grad_new, step_size)
        z[move], d[move], grad[move] = z_new[move], d_new[move], grad_new[move]
        trace[k], accepted[k] = z, move
    return trace, accepted
