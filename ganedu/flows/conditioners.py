"""Networks that tell a coupling how to move: plain modules whose last layer starts small, so that the
flow starts close to the identity.

Not at it. Where the coordinates of standardised data are independent, the identity is a saddle of the
likelihood of affine couplings: no network's weight has a gradient there, only its offsets.
"""

from collections.abc import Sequence

from torch import nn

from ganedu.nets import MLP


def mlp(fan_in: int, hidden: Sequence[int], fan_out: int) -> nn.Module:
    """(n, fan_in) -> (n, fan_out), fully connected with ReLU."""
    return near_zero(MLP(fan_in, *hidden, fan_out))


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


def near_zero(net: nn.Sequential) -> nn.Sequential:
    """``net``, the weights of its last layer drawn anew from N(0, 0.01²) and its offsets set to zero."""
    nn.init.normal_(net[-1].weight, std=0.01)
    nn.init.zeros_(net[-1].bias)
    return net
