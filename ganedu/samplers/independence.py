"""Independence proposals: z' comes from a fixed law, wherever the chain is."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganedu.samplers.base import Point, evaluate, require_tilted
from ganedu.targets import Target


class Law(Protocol):
    """Anything with ``sample`` and ``log_prob``: a prior, a trained flow."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor: ...

    def log_prob(self, z: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Independence:
    """q(z'|z) = law(z') (Hastings 1970); without a law, the prior of a ``Tilted`` target.

    On a GAN's latent target ``MetropolisHastings(Independence())`` is MH-GAN (Turner et al. 2019;
    seed slide 000).
    """

    law: Law | None = None

    def __post_init__(self) -> None:
        check_law(self.law)

    def init(self, target: Target, z: Tensor) -> Point:
        law_or_prior(self.law, target)
        return evaluate(target, z)

    def propose(self, target: Target, state: Point, rng: torch.Generator) -> tuple[Point, Tensor]:
        """(the proposed point, log q(z) - log q(z'))."""
        law = law_or_prior(self.law, target)
        with torch.no_grad():  # a trained flow brings parameters
            new = evaluate(target, law.sample(len(state.z), rng).to(state.z))
            return new, law.log_prob(state.z) - law.log_prob(new.z)


def check_law(law: Law | None) -> None:
    """Raise ValueError for an object that cannot propose."""
    for method in ("sample", "log_prob"):
        if law is not None and not hasattr(law, method):
            raise ValueError(f"law: expected an object with sample and log_prob, got {law!r}")


def law_or_prior(law: Law | None, target: Target) -> Law:
    """``law``, or the prior of ``target``. ValueError where there is neither."""
    return require_tilted(target, "a proposal from the prior").prior if law is None else law
