"""Curves in the plane: toy data that lives near a one-dimensional set. Modes: see ``mixtures``."""

import torch
from torch import Tensor

from ganedu.rng import draw_seed


def swiss_roll(n: int, rng: torch.Generator) -> Tensor:
    """(n, 2), the spiral of Azadi et al. (2019): scikit-learn's with noise 0.25, divided by 7.5."""
    from sklearn.datasets import make_swiss_roll

    points, _ = make_swiss_roll(n, noise=0.25, random_state=_numpy_seed(rng))
    return torch.from_numpy(points[:, [0, 2]] / 7.5).float().to(rng.device)


def two_moons(n: int, rng: torch.Generator) -> Tensor:
    """(n, 2), two interleaved half circles of radius 1, with noise of std 0.05."""
    from sklearn.datasets import make_moons

    points, _ = make_moons(n, noise=0.05, random_state=_numpy_seed(rng))
    return torch.from_numpy(points).float().to(rng.device)


def _numpy_seed(rng: torch.Generator) -> int:
    return draw_seed(rng) % 2**32
