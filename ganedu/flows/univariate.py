"""Increasing maps of the line, whose parameters somebody else computes.

``Coupling`` and ``Autoregressive`` apply one of them to each coordinate. Which map it is, and where
its parameters come from, are two choices: an additive coupling is NICE, an affine one RealNVP, an
autoregressive affine map MAF, and a spline (``spline.py``) makes a neural spline flow of either.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

LOG_SLOPE = math.log(1000.0)  # no map here is steeper than 1000 or flatter than 1/1000 at a knot


class Univariate(Protocol):
    """``size`` raw numbers a coordinate determine the map; raw zeros make it the identity. Of them
    the first ``shifts`` are added to the line, which keeps its length.

    z, x (n, d, ...); ``raw`` (n, size, d, ...); the second result is the log of the derivative in
    that direction, (n, d, ...).
    """

    size: int
    shifts: int

    def forward(self, z: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(x, log dx/dz), (n, d, ...) each."""

    def inverse(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(z, log dz/dx), (n, d, ...) each."""


@dataclass(frozen=True)
class Shift(Univariate):
    """x = z + t (NICE, Dinh et al. 2015)."""

    size: ClassVar[int] = 1
    shifts: ClassVar[int] = 1

    def forward(self, z: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        return z + raw[:, 0], torch.zeros_like(z)

    def inverse(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        return x - raw[:, 0], torch.zeros_like(x)


@dataclass(frozen=True)
class ScaleShift(Univariate):
    """z = e^s x + t, from the data to the noise (RealNVP, Dinh et al. 2017, eq. 7), with |s| < log 1000.

    x = e^s z + t is the same family but learns more slowly: where the map has to be steep towards the
    noise, t then stands for a shift that is e^-s times as large, and so is its gradient. Without a
    bound on s one bad batch makes e^s overflow, and training does not come back.
    """

    size: ClassVar[int] = 2
    shifts: ClassVar[int] = 1

    def forward(self, z: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_slope = raw[:, 0], softclip(raw[:, 1], LOG_SLOPE).neg()
        return (z - shift) * log_slope.exp(), log_slope

    def inverse(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_slope = raw[:, 0], softclip(raw[:, 1], LOG_SLOPE)
        return x * log_slope.exp() + shift, log_slope


def softclip(raw: Tensor, bound: float) -> Tensor:
    """raw / (1 + |raw| / bound): between -bound and bound, with slope 1 at 0.

    Like tanh, but flat so slowly that a gradient is left to come back by.
    """
    return raw / (1.0 + raw.abs() / bound)
