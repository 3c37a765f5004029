"""Images as what a likelihood can be asked of: binary pixels, or continuous ones.

A density of pixels that take few values is unbounded: a model may put a spike on each value. So
pixels are either made binary and given probabilities, or spread evenly over the gap to the next
value and given a density. Each function here takes bytes 0..255 or floats in [-1, 1].

>>> import torch
>>> from ganedu.likelihood import threshold
>>> x = torch.tensor([[0, 100, 255]], dtype=torch.uint8)
>>> threshold(x)
tensor([[0., 0., 1.]])
"""

import torch
from torch import Tensor

from ganedu.data.images import to_float
from ganedu.targets.base import check_positive

BYTE = 2 / 255  # between neighbouring grey levels of a byte, once it is in [-1, 1]
DIGIT = 2 / 16  # of scikit-learn's digits, which have 17 grey levels


def floats(x: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Bytes 0..255 as floats in [-1, 1]; floats as they are. ``rng`` is not used."""
    return to_float(x) if x.dtype == torch.uint8 else x


def threshold(x: Tensor) -> Tensor:
    """1 where a pixel is above the middle grey, else 0: binary once and for all, before training."""
    return (floats(x) > 0).to(floats(x).dtype)


def binarise(x: Tensor, rng: torch.Generator) -> Tensor:
    """1 with probability (x + 1) / 2, of bytes x / 255, else 0: drawn anew at every step.

    What "dynamically binarised MNIST" is (Salakhutdinov and Murray 2008; Burda et al. 2016, sec. 5).
    A log-likelihood of it is no log-likelihood of ``threshold``'s pixels.

    Raises ValueError for pixels outside [-1, 1].
    """
    bright = (check_pixels(floats(x)) + 1) / 2
    return torch.bernoulli(bright, generator=rng)


def dequantise(x: Tensor, rng: torch.Generator, gap: float = BYTE) -> Tensor:
    """Grey levels in [-1, 1] plus U[0, gap), where the next grey level is ``gap`` away.

    E log p(x + u) over u, plus D log gap, is at most the log of the integral of p over the cell, which
    is the model's probability of the D grey levels: Jensen (Uria et al. 2013; Theis et al. 2016,
    sec. 3.1). Only with that term are nats or bits those of grey levels, on whatever scale pixels are.

    Raises ValueError for pixels outside [-1, 1] and for a gap that is not positive.
    """
    check_positive("gap", gap)
    x = check_pixels(floats(x))
    return x + gap * torch.rand(x.shape, generator=rng, device=x.device, dtype=x.dtype)


def check_pixels(x: Tensor) -> Tensor:
    """``x``, if it lies in [-1, 1]. ValueError otherwise."""
    if not (x.abs() <= 1).all():
        raise ValueError(
            f"x: expected pixels in [-1, 1], got values from {float(x.min()):g} to {float(x.max()):g}"
        )
    return x
