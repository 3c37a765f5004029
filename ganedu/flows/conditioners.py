"""Networks that tell a coupling how to move: plain modules that start with small slopes, so that the law
of the flow starts near that of its base, at any depth.

Not at it. Where the coordinates of standardised data are independent, the identity is a saddle of the
likelihood of affine couplings: no network's weight has a gradient there, only its offsets. Shifts, which
keep volume, start as torch starts a linear layer: from small ones, too, 12 couplings learn 25 Gaussians
badly, and from large slopes 32 of them can start anywhere.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ganedu.nets import MLP


def mlp(fan_in: int, hidden: Sequence[int], fan_out: int, shifts: int = 0) -> nn.Module:
    """(n, fan_in) -> (n, fan_out), fully connected with ReLU; of the outputs the first are ``shifts``."""
    return near_zero(MLP(fan_in, *hidden, fan_out), shifts)


def conv(fan_in: int, width: int, fan_out: int) -> nn.Module:
    """Images (n, fan_in, H, W) -> (n, fan_out, H, W): 3x3, 1x1 and 3x3 convolutions with ReLU,
    as in Glow (Kingma and Dhariwal 2018)."""
    return near_zero(
        nn.Sequential(
            nn.Conv2d(fan_in, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, fan_out, 3, padding=1),
        )
    )


def near_zero(net: nn.Sequential, but_first: int = 0) -> nn.Sequential:
    """``net``, the weights of its last layer drawn anew from N(0, 0.01²) and the offsets set to zero, but for
    as many of the first outputs as ``but_first`` says."""
    with torch.no_grad():
        net[-1].weight[but_first:].normal_(std=0.01)
        net[-1].bias[but_first:].zero_()
    return net
