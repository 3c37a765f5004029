"""What a flow is trained to do: give its data a high likelihood. No optimiser, device or loop in here.

An objective has ``draw(x, rng)``, all that is random about a step for a batch x, and
``loss(model, *rows)``, (n,) in nats, one an example and without further randomness.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.flows.base import Flow


@dataclass(frozen=True)
class NegativeLogLikelihood:
    """-log p(x), whose mean over the data is KL(data || p) up to a constant (seed slide 001, eq. 1)."""

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        return (x,)

    def loss(self, model: Flow, x: Tensor) -> Tensor:
        return -model.log_prob(x)


@dataclass(frozen=True)
class DequantisedLogLikelihood:
    """A bound on -log P(image) for images of ``levels`` grey levels, from a density p on [0, 1]^D.

    Levels b become x = (b + u) / levels, u uniform on [0, 1)^D. By Jensen, for bytes,

        -log P(b) <= E_u[-log p(x)] + D log 256,    P(b) = ∫ p((b + u) / 256) du / 256^D

    (Theis et al. 2016, sec. 3.1). ``loss`` is the right-hand side for one u, D log 256 included:
    ``bits_per_dimension(loss, D)`` are bits per 8-bit byte, 8 for a uniform p. Without noise a
    density could be made infinite on the values there are.
    """

    levels: int = 256

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        """x (n, ...) uint8, 0 to levels - 1 -> floats of the same shape in [0, 1].

        Raises ValueError for another dtype, or a level that is too high.
        """
        if x.dtype != torch.uint8:
            raise ValueError(f"x: expected bytes (uint8), got {x.dtype}")
        if self.levels < 256 and x.max() >= self.levels:
            raise ValueError(f"x: expected levels below {self.levels}, got {int(x.max())}")
        noise = torch.rand(x.shape, generator=rng, device=rng.device).to(x.device)
        return ((x + noise) / self.levels,)

    def loss(self, model: Flow, x: Tensor) -> Tensor:
        return x[0].numel() * math.log(self.levels) - model.log_prob(x)


def bits_per_dimension(nats: Tensor, dim: int) -> Tensor:
    """Nats an example of ``dim`` numbers -> bits a number: nats / (dim log 2)."""
    return nats / (dim * math.log(2.0))
