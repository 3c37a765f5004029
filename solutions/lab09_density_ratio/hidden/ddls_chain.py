"""Answers to exercise 5 other than the notebook's: known mistakes, and unusual ways to be right."""
# ruff: noqa: F811

# %% shared
import math

import torch


def slope(z, energy):
    """The gradient of the energy at each point, (B, k)."""
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(energy(z).sum(), z)[0]


def move(z, grad, step_size, xi):
    return z - 0.5 * step_size * grad + math.sqrt(step_size) * xi


def chain(z, energy, step_size, noise, slope=slope, move=move):
    """The right loop; most mistakes below replace one of its two parts."""
    trace = []
    for xi in noise:
        z = move(z, slope(z, energy), step_size, xi)
        trace.append(z)
    return torch.stack(trace)


# %% wrong: uphill on the energy instead of downhill


def ddls_chain(z, energy, step_size, noise):
    def uphill(z, grad, step_size, xi):
        return move(z, -grad, step_size, xi)

    return chain(z, energy, step_size, noise, move=uphill)


# %% wrong: the one half of the drift is missing


def ddls_chain(z, energy, step_size, noise):
    def far(z, grad, step_size, xi):
        return z - step_size * grad + math.sqrt(step_size) * xi

    return chain(z, energy, step_size, noise, move=far)


# %% wrong: noise variance used as standard deviation


def ddls_chain(z, energy, step_size, noise):
    def faint(z, grad, step_size, xi):
        return z - 0.5 * step_size * grad + step_size * xi

    return chain(z, energy, step_size, noise, move=faint)


# %% wrong: noise of variance 2 tau, as in the other convention


def ddls_chain(z, energy, step_size, noise):
    def loud(z, grad, step_size, xi):
        return z - 0.5 * step_size * grad + math.sqrt(2 * step_size) * xi

    return chain(z, energy, step_size, noise, move=loud)


# %% wrong: the noise is turned down to a tenth


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, 0.1 * noise)


# %% wrong: the noise is left out


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, torch.zeros_like(noise))


# %% wrong: the square root of the step size in the drift too


def ddls_chain(z, energy, step_size, noise):
    def steep(z, grad, step_size, xi):
        return z - 0.5 * math.sqrt(step_size) * grad + math.sqrt(step_size) * xi

    return chain(z, energy, step_size, noise, move=steep)


# %% wrong: gradients add up from step to step


def ddls_chain(z, energy, step_size, noise):
    total = torch.zeros_like(z)

    def never_zeroed(z, energy):
        return total.add_(slope(z, energy)).clone()

    return chain(z, energy, step_size, noise, slope=never_zeroed)


# %% wrong: the gradient of the start is used for ever


def ddls_chain(z, energy, step_size, noise):
    first = slope(z, energy)
    return chain(z, energy, step_size, noise, slope=lambda z, energy: first)


# %% wrong: the energy is averaged over the chains


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, noise, slope=lambda z, energy: slope(z, energy) / len(z))


# %% wrong: the gradient is scaled to length one


def ddls_chain(z, energy, step_size, noise):
    def unit(z, energy):
        grad = slope(z, energy)
        return grad / grad.norm(dim=1, keepdim=True)

    return chain(z, energy, step_size, noise, slope=unit)


# %% wrong: the same noise for all chains


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, noise[:, :1].expand_as(noise))


# %% wrong: the first noise in every step


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, noise[:1].expand_as(noise))


# %% wrong: fresh random numbers instead of the argument


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, torch.randn_like(noise))


# %% wrong: the trace starts with the start


def ddls_chain(z, energy, step_size, noise):
    trace = chain(z, energy, step_size, noise)
    return torch.cat([z[None], trace[:-1]])


# %% wrong: the trace has the start as well


def ddls_chain(z, energy, step_size, noise):
    return torch.cat([z[None], chain(z, energy, step_size, noise)])


# %% wrong: the trace holds one tensor K times


def ddls_chain(z, energy, step_size, noise):
    trace = chain(z, energy, step_size, noise)
    return trace[-1:].expand_as(trace)


# %% wrong: only the last state comes back


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, noise)[-1]


# %% wrong: float64 is cut to float32


def ddls_chain(z, energy, step_size, noise):
    return chain(z, energy, step_size, noise).float()


# %% wrong: an argument is changed in place


def ddls_chain(z, energy, step_size, noise):
    trace = chain(z, energy, step_size, noise)
    z.copy_(trace[-1])
    return trace


# %% right: one chain after the other


def ddls_chain(z, energy, step_size, noise):
    trace = torch.empty_like(noise)
    for i in range(len(z)):
        here = z[i : i + 1]
        for k in range(len(noise)):
            here = here - step_size / 2 * slope(here, energy) + step_size**0.5 * noise[k, i]
            trace[k, i] = here[0]
    return trace


# %% right: backward, and a gradient that is set to zero


def ddls_chain(z, energy, step_size, noise):
    here, trace = z.clone().requires_grad_(), torch.zeros_like(noise)
    for k, xi in enumerate(noise):
        here.grad = None
        energy(here).sum().backward()
        with torch.no_grad():
            here -= here.grad * (step_size / 2)
            here += xi * math.sqrt(step_size)
        trace[k] = here.detach()
    return trace


# %% right: torch.func


def ddls_chain(z, energy, step_size, noise):
    gradient = torch.func.grad(lambda z: energy(z).sum())
    states = [z.detach()]
    for xi in noise:
        states.append(states[-1] - step_size / 2 * gradient(states[-1]) + math.sqrt(step_size) * xi)
    return torch.stack(states[1:])


# %% right: draws of a normal distribution written as mean and deviation


def ddls_chain(z, energy, step_size, noise):
    states = torch.cat([z[None], torch.empty_like(noise)])
    for k in range(len(noise)):
        mean = torch.lerp(states[k], states[k] - step_size * slope(states[k], energy), 0.5)
        states[k + 1] = torch.addcmul(mean, noise[k], torch.full_like(mean, step_size).sqrt())
    return states[1:].clone()
