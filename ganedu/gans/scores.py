"""What a critic says, in a precision in which losses can be taken."""

from collections.abc import Callable

import torch
from torch import Tensor


def scores(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """critic(x), (n,) or (n, 1), at least in float32: a mean of bfloat16 numbers has two digits.

    float64 stays float64, so that gradients can be compared with differences.
    """
    values = critic(x)
    return values.to(torch.promote_types(values.dtype, torch.float32))
