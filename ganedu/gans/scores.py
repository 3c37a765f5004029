"""What a critic says, in a precision in which losses can be taken."""

from collections.abc import Callable

from torch import Tensor

from ganedu.divergences.samples import at_least_float32


def features(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """net(x), at least in float32: a mean of bfloat16 numbers has two digits.

    float64 stays float64, so that gradients can be compared with differences.
    """
    values = net(x)
    return at_least_float32(values)


def scores(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``features`` of one number a row: (n,) or (n, 1) for x (n, ...).

    Raises ValueError for other shapes, of which a loss would take the mean and a penalty the sum.
    """
    values = features(critic, x)
    if values.shape not in {(len(x),), (len(x), 1)}:
        raise ValueError(f"critic: expected a score a row, ({len(x)},), got shape {tuple(values.shape)}")
    return values
