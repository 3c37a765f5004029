"""Flows on images at several resolutions (Dinh et al. 2017, sec. 3.6; Kingma and Dhariwal 2018, fig. 2b)."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganedu.flows.base import Transform, forward_through, inverse_through


class Multiscale(Transform):
    """z (n, C H W) -> images x (n, C, H, W), from coarse to fine.

    Each of the L ``levels``, a list of transforms, works on twice the width and height, and a
    quarter of the channels, of the one before; half of the channels it starts with come from that
    one, the other half fresh from z:

        h = z_1 (n, 2^{L+1} C, H / 2^L, W / 2^L);  levels[0];  unsqueeze
        h = cat(h, z_2);                           levels[1];  unsqueeze;  ...

    A coupling at the head of a level draws the fresh half given the other one: that is Glow's split
    with a learned prior N(μ(h), σ(h)²).

    Raises ValueError for a height or width that 2^L does not divide.
    """

    def __init__(self, shape: tuple[int, int, int], levels: Sequence[Sequence[Transform]]):
        super().__init__()
        self.shape = tuple(shape)
        self.levels = nn.ModuleList(nn.ModuleList(level) for level in levels)
        channels, height, width = shape
        depth = len(levels)
        if height % 2**depth or width % 2**depth:
            raise ValueError(
                f"shape: expected height and width that {2**depth} divides, for {depth} levels, got {shape}"
            )
        # Of z_1, z_2, ...: all channels of the coarsest level, half of the channels of the others.
        self.parts = [
            (channels * 2 ** (level + (level == depth)), height // 2**level, width // 2**level)
            for level in range(depth, 0, -1)
        ]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        coarsest, *fresh = z.split([prod(part) for part in self.parts], 1)
        h, total = coarsest.unflatten(1, self.parts[0]), z.new_zeros(len(z))
        for i, level in enumerate(self.levels):
            if i > 0:
                h = torch.cat([h, fresh[i - 1].unflatten(1, self.parts[i])], 1)
            h, log_det = forward_through(level, h)
            h, total = F.pixel_shuffle(h, 2), total + log_det
        return h, total

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pieces, total = [], x.new_zeros(len(x))
        for i, level in reversed(list(enumerate(self.levels))):
            x, log_det = inverse_through(level, F.pixel_unshuffle(x, 2))
            total = total + log_det
            if i > 0:
                x, piece = x.tensor_split(2, 1)
                pieces.append(piece.flatten(1))
        return torch.cat([x.flatten(1), *reversed(pieces)], 1), total
