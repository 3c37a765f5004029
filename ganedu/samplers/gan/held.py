"""Coordinates held fixed: the latent target on the others, given the values that each chain keeps."""

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from ganedu.samplers.base import gaussian_prior
from ganedu.targets import StandardNormal, Tilted, log_prob_and_grad


class Held(Tilted):
    """p(free | held) ∝ p0(free) exp log_weight(free, held) of a ``Tilted`` with prior N(0, I).

    (Seed slide 004, "Dimension restriction".) Row i keeps ``z[i, held]``; a kernel sees the free
    coordinates (chains, d - len(held)) only, in their order. It is a ``Tilted`` again, so that
    every kernel that evaluates one point a chain runs on it and is as exact as ever. The law of a
    whole point is then p0(held) p(free | held) where ``z`` came from the prior, and not the
    target's: the held coordinates never learn what the discriminator thinks of them.

    Raises ValueError for another prior, for what is no list of distinct coordinates or holds all
    of them, and for a z of other rows than the start (particles, rungs of a ladder).
    """

    def __init__(self, target: Tilted, z: Tensor, held: Sequence[int]):
        gaussian_prior(target, "a target with coordinates held fixed")
        dim, held = z.shape[1], tuple(held)
        right = all(isinstance(i, Integral) and 0 <= i < dim for i in held)
        if not right or not 0 < len(set(held)) == len(held) < dim:
            raise ValueError(f"held: expected distinct ints from 0 to {dim - 1}, not all, got {held}")
        free = [i for i in range(dim) if i not in held]
        super().__init__(StandardNormal(len(free), z.dtype), self._log_weight)
        self.target = target
        self.z = z.detach()
        self.free = torch.tensor(free, device=z.device)
        self.log_prob_held = StandardNormal(len(held)).log_prob(self.z[:, list(held)])

    def whole(self, free: Tensor) -> Tensor:
        """Points (..., chains, d) from their free coordinates (..., chains, f)."""
        if free.shape[-2] != len(self.z):
            raise ValueError(
                f"z: expected one row for each of the {len(self.z)} chains that hold coordinates, "
                f"got {free.shape[-2]}; a kernel with several points a chain does not run here"
            )
        return self.z.expand(*free.shape[:-1], -1).index_copy(-1, self.free, free)

    def log_prob_and_grad(self, free: Tensor) -> tuple[Tensor, Tensor]:
        """(log density (chains,), its gradient (chains, f)), by the target's own means."""
        value, grad = log_prob_and_grad(self.target, self.whole(free))
        return value - self.log_prob_held, grad[:, self.free]

    def _log_weight(self, free: Tensor) -> Tensor:
        return self.target.log_weight(self.whole(free))
