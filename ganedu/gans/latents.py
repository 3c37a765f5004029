"""Ways through a generator's latent space: between two points, and along differences of means.

Latents (..., d) are N(0, I), of which nearly all have a length near √d.
"""

import torch
from torch import Tensor


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(steps, ..., d): from ``start`` (..., d) to ``end`` along the chord, evenly.

    Between two independent draws of N(0, I) its middle is N(0, I/2): of length √(d/2), where for d = 100 the
    prior has a mass of 7e-6 within. The generator is asked for what it was never trained on.
    """
    t = fractions(start, end, steps)
    return (1.0 - t) * start + t * end


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(steps, ..., d): from ``start`` (..., d) to ``end`` at constant speed on the sphere, and with lengths
    between theirs (Shoemake 1985; White 2016, "Sampling generative networks").

    sin((1 - t) ω) / sin ω start + sin(t ω) / sin ω end, ω the angle between the two; directions are taken
    apart from lengths, which go linearly, so that no length is ever outside of what the two have.

    Raises ValueError for a point at 0, which has no direction, and for two opposite ones: between them every
    way is as short.
    """
    t = fractions(start, end, steps)
    lengths = [point.norm(dim=-1, keepdim=True) for point in (start, end)]
    if any(bool((length == 0).any()) for length in lengths):
        raise ValueError("start, end: expected points with a direction, got one at 0")
    one, two = start / lengths[0], end / lengths[1]
    # From the chord and the sum: arccos of the product loses half of the digits near 0 and π.
    angle = 2.0 * torch.atan2((one - two).norm(dim=-1, keepdim=True), (one + two).norm(dim=-1, keepdim=True))
    if bool((torch.pi - angle < 1e-3).any()):
        raise ValueError("start, end: expected no opposite directions, between which no way is the shortest")
    near = angle < 1e-6
    safe = torch.where(near, 1.0, angle)
    first = torch.where(near, 1.0 - t, torch.sin((1.0 - t) * safe) / torch.sin(safe))
    second = torch.where(near, t, torch.sin(t * safe) / torch.sin(safe))
    return (first * one + second * two) * ((1.0 - t) * lengths[0] + t * lengths[1])


def arithmetic(plus: Tensor, minus: Tensor, other: Tensor) -> Tensor:
    """mean(plus) - mean(minus) + mean(other), (d,): of latents (k, d) each (DCGAN, Radford et al. 2016,
    sec. 6.3.2; seed slide 003, "Vector arithmetic").

    Means of three, because single latents gave the authors unstable pictures. Under N(0, I) such a mean has
    a length near √(d/3), too short for the prior, and the sum one near √d: it is the means whose pictures
    are pale. Raises ValueError for other shapes.
    """
    for name, z in (("plus", plus), ("minus", minus), ("other", other)):
        if z.ndim != 2 or not len(z) or z.shape[1] != plus.shape[-1]:
            raise ValueError(f"{name}: expected latents (k, {plus.shape[-1]}), k > 0, got {tuple(z.shape)}")
    return plus.mean(0) - minus.mean(0) + other.mean(0)


def fractions(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """0 to 1, (steps, 1, ...). Raises ValueError for two shapes, no floats, or fewer than 2 steps."""
    if start.shape != end.shape or not start.ndim:
        raise ValueError(
            f"start, end: expected one shape (..., d), got {tuple(start.shape)} and {tuple(end.shape)}"
        )
    if not start.is_floating_point():
        raise ValueError(f"start, end: expected floats, got {start.dtype}")
    if steps < 2:
        raise ValueError(f"steps: expected at least 2, the start and the end, got {steps}")
    t = torch.linspace(0.0, 1.0, steps, dtype=start.dtype, device=start.device)
    return t.reshape(-1, *[1] * start.ndim)
