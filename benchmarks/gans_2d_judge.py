"""The two laws in the plane, and how near to them a sample is: modes, high-quality share, W2.

Nothing is standardised: networks see the grid of 25 Gaussians on [-2, 2]² and the Swiss roll divided by
7.5, as public code has them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ganedu.data import GaussianMixture, grid, swiss_roll
from ganedu.divergences.transport import wasserstein
from ganedu.metrics.modes import modes
from ganedu.rng import generator

RADIUS = 3.0  # standard deviations within which a point is of high quality
DUE = 0.05  # the share of its due that a part has to have
PARTS = 25
ALONG = 100  # normal laws in a part of the roll, 0.005 apart where they have a standard deviation of 0.033
REAL, FLOOR = 10**6, 10**6 + 1  # seeds of draws that nothing is trained on
KEPT = 250  # points of a sample that a row keeps for the figure
SAMPLES = 5  # of real points, of which the floor is the mean


@dataclass(frozen=True)
class Data:
    """``sample`` (n, rng) -> (n, 2), and its law as a mixture whose components, in order, make ``PARTS``
    parts of equal mass: the modes of the grid, the stretches of the roll."""

    sample: Callable[[int, torch.Generator], Tensor]
    mixture: GaussianMixture


def roll_mixture() -> GaussianMixture:
    """Of ``swiss_roll``: t (cos t, sin t) / 7.5 with t uniform on [1.5 π, 4.5 π], and noise of standard
    deviation 0.25 / 7.5, by the midpoint rule in t."""
    k = PARTS * ALONG
    t = 1.5 * math.pi * (1 + 2 * (torch.arange(k, dtype=torch.float64) + 0.5) / k)
    means = t[:, None] * torch.stack([t.cos(), t.sin()], 1) / 7.5
    return GaussianMixture(means.float(), torch.full((k,), 0.25 / 7.5), torch.full((k,), 1.0 / k))


DATA = {"25 Gaussians": Data(grid().sample, grid()), "Swiss roll": Data(swiss_roll, roll_mixture())}


def judge(x: Tensor, data: str) -> dict:
    """Figures of x (n, 2), beside ``n``:

    - ``captured``: how many of the ``total`` parts have ``DUE`` of their due;
    - ``high_quality``: the share within ``RADIUS`` standard deviations of a mean, or of the roll's curve;
    - ``kl``: nats of how these points are spread over the parts to equal shares; None where there are none;
    - ``w2``: to as many real points, the same for all; None where a point is not finite.
    """
    mixture = DATA[data].mixture
    occupancy = modes(x, mixture, RADIUS).occupancy.reshape(PARTS, -1).sum(1)
    share = float(occupancy.sum())
    of_near = occupancy / share if share else occupancy
    finite = bool(x.isfinite().all())
    return {
        "captured": int((occupancy >= DUE / PARTS).sum()),
        "total": PARTS,
        "high_quality": share,
        "kl": float(torch.xlogy(of_near, of_near * PARTS).sum()) if share else None,
        "w2": wasserstein(x, real(data, len(x)), 2.0) if finite else None,
        "n": len(x),
    }


@cache
def real(data: str, n: int) -> Tensor:
    """The real points (n, 2) that all samples are compared with."""
    return DATA[data].sample(n, generator(REAL))


def floor_row(data: str, n: int) -> dict:
    """What other real points score: the mean of ``SAMPLES`` samples, and the range of their W2."""
    found = [judge(DATA[data].sample(n, generator(FLOOR, i)), data) for i in range(SAMPLES)]
    mean = {key: sum(each[key] for each in found) / SAMPLES for key in ("high_quality", "kl", "w2")}
    w2 = [each["w2"] for each in found]
    return {
        "data": data,
        **mean,
        "captured": min(each["captured"] for each in found),
        "total": PARTS,
        "w2_range": [min(w2), max(w2)],
        "samples": SAMPLES,
        "n": n,
        "points": pack(DATA[data].sample(KEPT, generator(FLOOR))),
    }


def pack(x: Tensor) -> str:
    """The first points of x (n, 2) in thousandths, one text: x y x y ..., "nan" for what is not finite."""
    numbers = x[:KEPT].flatten().tolist()
    return " ".join(f"{1000 * v:.0f}" if math.isfinite(v) else "nan" for v in numbers)


def unpack(text: str) -> Tensor:
    """The points (n, 2) of ``pack``."""
    return torch.tensor([float(v) for v in text.split()]).reshape(-1, 2) / 1000
