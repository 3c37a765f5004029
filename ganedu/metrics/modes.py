"""How many modes of a mixture a sample has, and how much of it lies near one."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.data.mixtures import GaussianMixture
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive

POINTS = 100_000  # whose distances to all modes are looked at in one go


class Modes(NamedTuple):
    """``captured`` of ``total`` modes; ``high_quality``, the share of points near a mode, in [0, 1];
    ``occupancy`` (k,), the shares near each mode, which sum to it, float64; ``kl``, in nats, of the
    occupancy, rescaled to sum 1, to the weights of the mixture: 0 if every mode has its due, up to
    log 1 / (the least weight), inf where no point is near a mode."""

    captured: int
    total: int
    high_quality: float
    occupancy: Tensor
    kl: float


def modes(x: Tensor, mixture: GaussianMixture, radius: float = 3.0, at_least: int = 1) -> Modes:
    """Of points x (n, d): each belongs to its nearest mean, and is near it within ``radius`` standard
    deviations. A mode is captured by ``at_least`` points near it (Srivastava et al. 2017, VEEGAN, sec. 4.1,
    with 3 standard deviations and 1 point; others take 4, so a figure carries its radius and n).

    Draws of the mixture itself score less than 1: the share within r standard deviations in the plane is
    1 - exp(-r²/2), 0.9889 for 3 and 0.99966 for 4. A point that is NaN or infinite is near nothing, so that a
    generator that diverged scores 0.

    Raises ValueError for no points, another dimension, a radius that is not positive or a count below 1.
    """
    if x.ndim != 2 or not len(x) or x.shape[1] != mixture.dim:
        raise ValueError(f"x: expected shape (n, {mixture.dim}), n > 0, got {tuple(x.shape)}")
    check_positive("radius", radius)
    check_count("at_least", at_least)
    means, std = mixture.means.to(x.device).double(), mixture.std.to(x.device).double()
    counts = torch.zeros(len(means), dtype=torch.float64, device=x.device)
    for part in x.detach().double().split(POINTS):
        distance, nearest = torch.cdist(part, means, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        near = nearest[distance <= radius * std[nearest]]
        counts += torch.bincount(near, minlength=len(means))
    occupancy = counts / len(x)
    share = float(occupancy.sum())
    kl = math.inf
    if share:
        of_near = occupancy / share
        kl = float(torch.xlogy(of_near, of_near / mixture.weights.to(of_near)).sum())
    return Modes(int((counts >= at_least).sum()), len(means), share, occupancy, kl)
