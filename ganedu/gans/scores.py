"""What a critic says, in a precision in which losses can be taken."""

import torch
from torch import Tensor, nn


def scores(critic: nn.Module, x: Tensor) -> Tensor:
    """critic(x), (n,) or (n, 1), at least in float32: the mean of a batch of bfloat16 numbers has two digits.

    float64 stays float64, so that gradients can be compared with differences.
    """
    values = critic(x)
    return values.to(torch.promote_types(values.dtype, torch.float32))
