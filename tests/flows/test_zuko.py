"""zuko (1.6) has the same numbers where it has the same flow: its weights, copied into ours.

zuko's transforms run from x to z. Ours run from z to x, so its ``inv`` is our ``forward``. It has no
planar, radial, additive, actnorm or multiscale flow.
"""

import pytest
import torch

from ganedu.flows import (
    MADE,
    Autoregressive,
    Coupling,
    Flow,
    Inverted,
    LULinear,
    Permutation,
    RationalQuadratic,
    ScaleShift,
)
from ganedu.flows.conditioners import mlp
from ganedu.targets import StandardNormal

zuko = pytest.importorskip("zuko")

F64 = torch.float64
BINS, BOUND = 6, 5.0
SPLINE = RationalQuadratic(BINS, BOUND)
SPLINE_SHAPES = [(BINS,), (BINS,), (BINS - 1,)]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=rng(seed), dtype=F64)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_spline_is_zukos():
    raw, x = normal(2000, SPLINE.size, 3, scale=2.0), normal(2000, 3, seed=1, scale=3.0)
    last = raw.movedim(1, -1)
    theirs = zuko.transforms.MonotonicRQSTransform(
        last[..., :BINS], last[..., BINS : 2 * BINS], last[..., 2 * BINS :], bound=BOUND
    )
    z, log_slope = SPLINE.inverse(x, raw)
    close((z, log_slope), theirs.call_and_ladj(x))
    assert (x.abs() > BOUND).any()
    close(SPLINE.forward(x, raw)[0], theirs.inv(x))


def test_scale_and_shift_are_zukos():
    raw, x = normal(500, 2, 3, scale=4.0), normal(500, 3, seed=1)
    theirs = zuko.transforms.MonotonicAffineTransform(raw[:, 0], raw[:, 1])
    close(ScaleShift().inverse(x, raw), theirs.call_and_ladj(x))
    close(ScaleShift().forward(x, raw)[0], theirs.inv(x))


def test_lu_linear_is_zukos():
    ours = LULinear(4).double()
    with torch.no_grad():
        ours.lu.copy_(normal(4, 4))
    matrix = ours.lu.tril(-1) + ours.lu.diagonal().exp().diag() + ours.lu.triu(1)
    theirs, z = zuko.transforms.LULinearTransform(matrix.detach()), normal(50, 4, seed=1)
    close(ours(z), theirs.call_and_ladj(z))
    close(ours.inverse(z)[0], theirs.inv(z))


def test_the_permutation_is_zukos():
    order, z = torch.tensor([2, 0, 3, 1]), normal(5, 4)
    theirs = zuko.transforms.PermutationTransform(order)
    close(Permutation(order)(z)[0], theirs(z))
    close(Permutation(order).inverse(z)[0], theirs.inv(z))


def copy_weights(net, hyper, size):
    """Of one of zuko's networks, whose last layer keeps the parameters of a coordinate together; ours
    keeps the coordinates of a parameter together."""
    ours = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    theirs = [layer for layer in hyper if hasattr(layer, "weight")]
    for mine, other in zip(ours, theirs, strict=True):
        last = mine is ours[-1]
        for to, of in ((mine.weight, other.weight), (mine.bias, other.bias)):
            to.data.copy_(of.unflatten(0, (-1, size)).transpose(0, 1).flatten(0, 1) if last else of)


def test_a_realnvp_has_zukos_densities_and_draws():
    """Coupling by coupling: zuko's alternate between even and odd coordinates, in 2-D the halves."""
    torch.manual_seed(0)
    theirs = zuko.flows.RealNVP(2, transforms=6, hidden_features=(16, 16)).double()
    couplings = []
    for layer in theirs.transform.transforms:
        coupling = Coupling(mlp(1, (16, 16), 2), flipped=bool(layer.mask[1]))
        copy_weights(coupling.net, layer.hyper, 2)
        couplings.append(coupling)
    agree(Flow(StandardNormal(2), couplings[::-1]).double(), theirs)


def test_a_spline_coupling_has_zukos_densities_and_draws():
    torch.manual_seed(0)
    theirs = zuko.flows.RealNVP(
        3,
        transforms=1,
        hidden_features=(16,),
        univariate=zuko.transforms.MonotonicRQSTransform,
        shapes=SPLINE_SHAPES,
    ).double()
    (layer,) = theirs.transform.transforms
    # zuko keeps coordinates 0 and 2 and moves 1: for our halves they come in the order (0, 2), (1).
    coupling = Coupling(mlp(2, (16,), SPLINE.size), SPLINE)
    copy_weights(coupling.net, layer.hyper, SPLINE.size)
    assert layer.mask.tolist() == [True, False, True]
    order = Permutation(torch.tensor([0, 2, 1]))
    agree(Flow(StandardNormal(3), [order, coupling, Inverted(order)]).double(), theirs)


@pytest.mark.parametrize("spline", [False, True], ids=["affine", "spline"])
def test_an_autoregressive_map_has_zukos_densities_and_draws(spline):
    """zuko orders its hidden units otherwise, so ours get its masks with its weights."""
    torch.manual_seed(0)
    options = dict(univariate=zuko.transforms.MonotonicRQSTransform, shapes=SPLINE_SHAPES) if spline else {}
    theirs = zuko.flows.MAF(4, transforms=1, hidden_features=(16, 16), **options).double()
    (layer,) = theirs.transform.transforms
    univariate = SPLINE if spline else ScaleShift()
    net = MADE(4, (16, 16), univariate.size).double()
    copy_weights(net, layer.hyper, univariate.size)
    for mine, other in zip(list(net)[::2], list(layer.hyper)[::2], strict=True):
        mine.mask.copy_(other.mask if mine is not net[-1] else by_parameter(other.mask, univariate.size))
    agree(Flow(StandardNormal(4), [Autoregressive(net, univariate)]).double(), theirs)


def by_parameter(rows, size):
    return rows.unflatten(0, (-1, size)).transpose(0, 1).flatten(0, 1)


@torch.no_grad()
def agree(ours, theirs):
    """log_prob at 500 points, some of them far out, and draws from the same normal numbers."""
    dim = ours.base.dim
    x = normal(500, dim, seed=2, scale=2.5)
    close(ours.log_prob(x), theirs().log_prob(x))
    z = normal(500, dim, seed=3)
    close(ours(z)[0], theirs().transform.inv(z))
    off = ours.log_prob(x) - ours.base.log_prob(x)
    assert off.abs().max() > 0.1  # the flow is not the identity
