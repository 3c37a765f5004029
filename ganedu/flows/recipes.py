"""Flows by the names that papers gave them: how the parts of this package are put together.

Every function takes the dimension (``glow``: the shape of an image) and returns a ``Flow`` on
N(0, I) whose law starts near N(0, I): couplings near the identity, autoregressive maps and Glow near a
rotation, or an exchange of coordinates. In the plane the KL at the start is, on average over starts, 0.5
nats of ``real_nvp`` with its 32 layers, 0.13 or less of the others; of most it grows with the dimension.
``layers`` counts maps with parameters of a kind, ``hidden`` the widths of each one's network. They raise
ValueError for a dimension or a count that is too small.
"""

from collections.abc import Sequence
from math import prod

from ganedu.flows.autoregressive import MADE, Autoregressive
from ganedu.flows.base import Flow, Inverted, Transform
from ganedu.flows.conditioners import conv, mlp
from ganedu.flows.coupling import Coupling
from ganedu.flows.elementwise import ActNorm, Affine
from ganedu.flows.linear import Invertible1x1, LULinear, Permutation
from ganedu.flows.multiscale import Multiscale
from ganedu.flows.residual import Planar, Radial
from ganedu.flows.spline import RationalQuadratic
from ganedu.flows.univariate import ScaleShift, Shift, Univariate
from ganedu.samplers.base import check_count
from ganedu.targets import StandardNormal
from ganedu.targets.base import check_dim


def nice(dim: int, layers: int = 8, hidden: Sequence[int] = (64, 64)) -> Flow:
    """Additive couplings, which keep volume, and one scale a coordinate (Dinh et al. 2015)."""
    return Flow(StandardNormal(dim), [Affine(dim), *couplings(dim, layers, hidden, Shift())])


def real_nvp(dim: int, layers: int = 32, hidden: Sequence[int] = (64, 64)) -> Flow:
    """Affine couplings (Dinh et al. 2017)."""
    return Flow(StandardNormal(dim), couplings(dim, layers, hidden, ScaleShift()))


def neural_spline(
    dim: int, layers: int = 16, hidden: Sequence[int] = (128, 128), bins: int = 8, bound: float = 5.0
) -> Flow:
    """Spline couplings with linear maps between them (Durkan et al. 2019, RQ-NSF (C)).

    Outside [-bound, bound] a spline is the identity: data should be standardised first.
    """
    splines = couplings(dim, layers, hidden, RationalQuadratic(bins, bound))
    return Flow(StandardNormal(dim), [part for spline in splines for part in (spline, LULinear(dim))])


def maf(
    dim: int, layers: int = 5, hidden: Sequence[int] = (100, 100), univariate: Univariate | None = None
) -> Flow:
    """Masked autoregressive flow (Papamakarios et al. 2017): log_prob in one pass a layer, a draw in
    dim. The order of the coordinates turns round from layer to layer. With a ``RationalQuadratic``
    it is RQ-NSF (AR).

    The paper's x_i = u_i e^α + μ (eq. 3) is the same family, α = -s and μ = -t e^-s.
    """
    return Flow(StandardNormal(dim), autoregressive(dim, layers, hidden, univariate or ScaleShift()))


def iaf(
    dim: int, layers: int = 5, hidden: Sequence[int] = (100, 100), univariate: Univariate | None = None
) -> Flow:
    """Inverse autoregressive flow (Kingma et al. 2016): a draw in one pass a layer, log_prob in dim.

    A layer is MAF's, inverted: x_i = e^s z_i + t with s and t from z_1, ..., z_{i-1}, the paper's
    σ z_i + μ.
    """
    layers_of_maf = autoregressive(dim, layers, hidden, univariate or ScaleShift())
    return Flow(StandardNormal(dim), [Inverted(layer) for layer in reversed(layers_of_maf)])


def planar(dim: int, layers: int = 32) -> Flow:
    """Planar flow (Rezende and Mohamed 2015)."""
    check_count("layers", layers)
    return Flow(StandardNormal(dim), [Planar(dim) for _ in range(layers)])


def radial(dim: int, layers: int = 32) -> Flow:
    """Radial flow (Rezende and Mohamed 2015)."""
    check_count("layers", layers)
    return Flow(StandardNormal(dim), [Radial(dim) for _ in range(layers)])


def glow(shape: tuple[int, int, int], levels: int = 2, steps: int = 16, width: int = 96) -> Flow:
    """Multiscale flow on images (C, H, W) (Kingma and Dhariwal 2018), with networks of ``width``
    channels: on (1, 28, 28) with 0.57 million parameters.

    ``initialise(flow, x)`` with a batch of images before training.
    """
    check_count("levels", levels)
    check_count("steps", steps)
    coarse_to_fine = [
        glow_level(shape[0] * 2 ** (level + 1), steps, width, split=level < levels)
        for level in range(levels, 0, -1)
    ]
    return Flow(StandardNormal(prod(shape)), [Multiscale(shape, coarse_to_fine)])


def glow_level(channels: int, steps: int, width: int, split: bool) -> list[Transform]:
    """``steps`` times: coupling, 1x1 convolution, actnorm, in the order from z to x; before them,
    where half of the channels come fresh from z, a coupling that is their learned prior."""
    half = channels // 2
    parts: list[Transform] = [Coupling(conv(half, width, 2 * half))] if split else []
    for _ in range(steps):
        parts += [Coupling(conv(half, width, 2 * half)), Invertible1x1(channels), ActNorm(channels)]
    return parts


def couplings(dim: int, layers: int, hidden: Sequence[int], univariate: Univariate) -> list[Transform]:
    """``layers`` couplings on vectors in which the two halves take turns."""
    check_dim(dim, 2)
    check_count("layers", layers)
    sizes = ((dim + 1) // 2, dim // 2)
    parts: list[Transform] = []
    for i in range(layers):
        stays, moves = sizes if i % 2 == 0 else sizes[::-1]
        net = mlp(stays, hidden, univariate.size * moves, univariate.shifts * moves)
        parts.append(Coupling(net, univariate, flipped=i % 2 == 1))
    return parts


def autoregressive(dim: int, layers: int, hidden: Sequence[int], univariate: Univariate) -> list[Transform]:
    """``layers`` autoregressive maps with reversals between them."""
    check_count("layers", layers)
    parts: list[Transform] = []
    for _ in range(layers):
        net = MADE(dim, hidden, univariate.size, univariate.shifts)
        parts += [Autoregressive(net, univariate), Permutation.reverse(dim)]
    return parts[:-1]
