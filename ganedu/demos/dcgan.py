"""The zoo's DCGAN as lecture 10 walks on it: its latent target, and chains that keep what they rejected."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu import zoo
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic
from ganedu.rng import generator
from ganedu.samplers.base import Proposal, select, uniform_like
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.targets import LatentTarget, Target


@cache
def gan() -> GAN:
    """The DCGAN on CIFAR-10, frozen and folded, on the CPU: the demos' batches are too small for a GPU."""
    return zoo.load("cifar10-dcgan", device="cpu").folded()


def calibration(sharpness: float = 1.0, ceiling: bool = True) -> Logistic:
    """The zoo's, its s l + b multiplied by ``sharpness``, with its ceiling or without."""
    fitted = zoo.calibration("cifar10-dcgan")
    bound = {"ceiling": fitted.ceiling} if ceiling else {}
    return Logistic(sharpness * fitted.scale, sharpness * fitted.offset, **bound)


def target(sharpness: float = 1.0, ceiling: bool = True) -> LatentTarget:
    """p0(z) exp d(G(z)), d by ``calibration``."""
    return LatentTarget(gan(), calibration(sharpness, ceiling))


def images(z: Tensor) -> Tensor:
    """G(z), (..., 100) -> (..., 3, 32, 32)."""
    with torch.no_grad():
        x = gan().generator(z.reshape(-1, z.shape[-1]))
    return x.reshape(*z.shape[:-1], *x.shape[1:])


def logits(x: Tensor) -> Tensor:
    """s l + b with the fitted scale and offset, no ceiling: (..., 3, 32, 32) -> (...,)."""
    with torch.no_grad():
        raw = gan().logit(x.reshape(-1, *x.shape[-3:]))
    return calibration().uncapped(raw).reshape(x.shape[:-3])


class Walk(NamedTuple):
    """Chains and all that they considered.

    z          (steps + 1, chains, d), the start first
    proposed   (steps, chains, d); step k goes from z[k] to proposed[k] or stays
    log_alpha  (steps, chains)
    accepted   (steps, chains) bool
    """

    z: Tensor
    proposed: Tensor
    log_alpha: Tensor
    accepted: Tensor


def walk(target: Target, proposal: Proposal, z: Tensor, steps: int, seed: int) -> Walk:
    """The chains of ``samplers.run`` with ``MetropolisHastings(proposal)``, number by number.

    z (chains, d) are the starts. Step t draws from ``generator(seed, t)``, so that walks of the same seed
    share noise and uniforms, whatever the proposal's step size.
    """
    state = proposal.init(target, z)
    kept, proposed, log_alphas, moves = [state.z], [], [], []
    for t in range(steps):
        rng = generator(seed, t, device=z.device)
        new, log_q_ratio = proposal.propose(target, state, rng)
        log_alpha = log_acceptance(state.log_prob, new.log_prob, log_q_ratio)
        accepted = uniform_like(log_alpha, rng).log() <= log_alpha
        state = select(accepted, new, state)
        kept.append(state.z)
        proposed.append(new.z)
        log_alphas.append(log_alpha)
        moves.append(accepted)
    return Walk(*(torch.stack(part) for part in (kept, proposed, log_alphas, moves)))
