"""Independence proposals: z' comes from a fixed law, wherever the chain is."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganedu.samplers.base import Point, evaluate
from ganedu.targets import Target


class Law(Protocol):
    """Anything with ``sample`` and ``log_prob``: a prior, a trained flow."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor: ...

    def log_prob(self, z: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Independence:
    """q(z'|z) = law(z') (Hastings 1970). With the prior as law, on a GAN's latent target,
    ``MetropolisHastings(Independence(prior))`` is MH-GAN (Turner et al. 2019; seed slide 000)."""

    law: Law

    def __post_init__(self) -> None:
        for method in ("sample", "log_prob"):
            if not hasattr(self.law, method):
                raise ValueError(f"law: expected an object with sample and log_prob, got {self.law!r}")

    def init(self, target: Target, z: Tensor) -> Point:
        return evaluate(target, z)

    def propose(self, target: Target, state: Point, rng: torch.Generator) -> tuple[Point, Tensor]:
        """(the proposed point, log q(z) - log q(z'))."""
        new = evaluate(target, self.law.sample(len(state.z), rng).to(state.z))
        return new, self.law.log_prob(state.z) - self.law.log_prob(new.z)
