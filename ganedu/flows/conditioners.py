"""Networks that tell a coupling how to move: plain modules whose last layer starts at zero, so that
the flow starts as the identity."""

from collections.abc import Sequence

from torch import nn

from ganedu.nets import MLP


def mlp(fan_in: int, hidden: Sequence[int], fan_out: int) -> nn.Module:
    """(n, fan_in) -> (n, fan_out), fully connected with ReLU."""
    return zero_last(MLP(fan_in, *hidden, fan_out))


def conv(fan_in: int, width: int, fan_out: int) -> nn.Module:
    """Images (n, fan_in, H, W) -> (n, fan_out, H, W): 3x3, 1x1 and 3x3 convolutions with ReLU,
    as in Glow (Kingma and Dhariwal 2018)."""
    return zero_last(
        nn.Sequential(
            nn.Conv2d(fan_in, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, fan_out, 3, padding=1),
        )
    )


def zero_last(net: nn.Sequential) -> nn.Sequential:
    """``net``, the weights and offsets of its last layer set to zero."""
    nn.init.zeros_(net[-1].weight)
    nn.init.zeros_(net[-1].bias)
    return net
