"""Penalties on the slope of a critic, and on a game's. None knows the objective that it is added to.

The critic's gradient at x is taken from the sum of its scores over the batch, and so is that of each
sample only where samples do not mix: no BatchNorm in the critic (Gulrajani et al. 2017, sec. 4).
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ganedu.divergences.samples import at_least_float32
from ganedu.gans.scores import scores


def input_gradient(critic: nn.Module, x: Tensor) -> Tensor:
    """The gradient of each sample's score, shaped like x (n, ...), with a graph to differentiate again."""
    # A view of it, since a leaf that is a view of a generator's weights would not count as used.
    x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(scores(critic, x).sum(), x, create_graph=True)
    return at_least_float32(gradient)


def between(real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """mixing real + (1 - mixing) fake, shaped like both, for weights ``mixing`` (n,), one a sample.

    Raises ValueError where the three do not fit.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real, fake: expected one shape, got {tuple(real.shape)} and {tuple(fake.shape)}")
    if mixing.shape != real.shape[:1]:
        raise ValueError(
            f"mixing: expected a weight a sample, ({len(real)},), got shape {tuple(mixing.shape)}"
        )
    weight = mixing.to(real.dtype).reshape(-1, *[1] * (real.ndim - 1))
    return weight * real + (1.0 - weight) * fake


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """E (|∇d(x)| - 1)² at x = mixing real + (1 - mixing) fake, a scalar.

    The penalty of WGAN-GP without its weight (Gulrajani et al. 2017, eq. 3). ``mixing`` (n,) is uniform on
    [0, 1], one weight a sample, whatever its shape. Public code that draws one a pixel penalises the
    critic in the box that real and fake span, not on the line between them.

    Raises ValueError where the three do not fit.
    """
    return unit_slope(input_gradient(critic, between(real, fake, mixing)))


def unit_slope(slope: Tensor) -> Tensor:
    """E (|slope| - 1)² of slopes (n, ...), a scalar."""
    # vector_norm has a gradient of 0 where the slope is 0; that of a square root would be NaN.
    return (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1.0).square().mean()


def r1(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """½ E_P |∇d|², a scalar: on the data alone (Mescheder et al. 2018, sec. 4.1, where γ is its weight)."""
    return _half_squared_slope(critic, real)


def r2(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """½ E_Q |∇d|², a scalar: on the fakes alone (Mescheder et al. 2018, sec. 4.1, where γ is its weight)."""
    return _half_squared_slope(critic, fake)


def consensus(losses: Sequence[Tensor], parameters: Sequence[Iterable[Tensor]]) -> Tensor:
    """1/2 |v|², a scalar, v being the gradients of each player's loss by its own parameters, all together
    (Mescheder et al. 2017, sec. 4). Every player adds gamma times it to the loss.

    ``losses``: scalars with their graphs, the critic's down to the generator's parameters: its fakes are
    not detached. A parameter that a loss does not reach counts as 0.

    Raises ValueError where losses and parameters are not of equal number.
    """
    if len(losses) != len(parameters):
        raise ValueError(
            f"parameters: expected those of {len(losses)} players, a loss each, got {len(parameters)}"
        )
    total = losses[0].new_zeros(())
    for loss, own in zip(losses, parameters, strict=True):
        gradients = torch.autograd.grad(loss, list(own), create_graph=True, allow_unused=True)
        for gradient in gradients:
            if gradient is not None:
                total = total + 0.5 * gradient.square().sum()
    return total


def _half_squared_slope(critic: nn.Module, x: Tensor) -> Tensor:
    return 0.5 * input_gradient(critic, x).square().reshape(len(x), -1).sum(1).mean()
