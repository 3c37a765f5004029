"""The flows that papers named: how they start, what they cost, and that they are laws like any other."""

import pytest
import torch

from ganedu.flows import (
    Affine,
    Flow,
    RationalQuadratic,
    ScaleShift,
    glow,
    iaf,
    maf,
    neural_spline,
    nice,
    planar,
    radial,
    real_nvp,
)
from ganedu.samplers import Independence, MetropolisHastings, run
from ganedu.targets import StandardNormal
from ganedu.targets.toys import Gaussian
from tests.flows.proofs import rng, silent

F64 = torch.float64


def numbers(flow):
    return sum(parameter.numel() for parameter in flow.parameters())


@pytest.mark.parametrize("make", [nice, real_nvp, neural_spline], ids=lambda make: make.__name__)
def test_couplings_start_around_the_identity(make):
    z = torch.randn(20, 3, generator=rng())
    x, log_det = silent(make(3))(z)
    torch.testing.assert_close(x, z, rtol=0, atol=1e-5)
    assert log_det.abs().max() < 1e-5


@pytest.mark.parametrize("make", [maf, iaf], ids=lambda make: make.__name__)
@pytest.mark.parametrize("univariate", [None, RationalQuadratic(4)], ids=["affine", "spline"])
def test_autoregressive_flows_start_around_reversals(make, univariate):
    z = torch.randn(20, 3, generator=rng())
    x, log_det = silent(make(3, 2, (8,), univariate))(z)
    torch.testing.assert_close(x, z.flip(1), rtol=0, atol=1e-5)
    assert log_det.abs().max() < 1e-5


@torch.no_grad()
def nats_from_the_base(make, seed):
    """(mean, largest) of log q - log N(0, I) over draws of a flow at its start."""
    torch.manual_seed(seed)
    flow = make(2).double()
    x = flow.sample(5000, rng(seed))
    gained = flow.log_prob(x) - flow.base.log_prob(x)
    return float(gained.mean()), float(gained.abs().max())


@pytest.mark.parametrize("make", [nice, real_nvp, neural_spline, maf, iaf], ids=lambda make: make.__name__)
def test_flows_start_near_the_law_of_their_base_and_not_at_it(make):
    """Why not at it: the test after next."""
    for seed in range(3):
        mean, largest = nats_from_the_base(make, seed)
        assert largest > 1e-3 and mean < 0.5


def test_deep_affine_couplings_of_which_no_output_starts_small_can_start_anywhere(monkeypatch):
    monkeypatch.setattr(ScaleShift, "shifts", ScaleShift.size)
    assert max(nats_from_the_base(real_nvp, seed)[0] for seed in range(3)) > 5


def steepest(flow, x):
    """Of the gradients of all weights, offsets left out."""
    (-flow.log_prob(x).mean()).backward()
    grads = [weight.grad for name, weight in flow.named_parameters() if name.endswith("weight")]
    return float(max(grad.abs().max() for grad in grads))


def test_the_identity_is_a_saddle_of_affine_couplings_where_coordinates_are_independent():
    """Signs by two coins, then by one coin for both, which any start learns from."""
    torch.manual_seed(0)
    two = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=F64)
    one = two[::3]
    assert steepest(silent(real_nvp(2, 2, (16,)).double()), two) < 1e-12
    assert steepest(real_nvp(2, 2, (16,)).double(), two) > 1e-4
    assert steepest(silent(real_nvp(2, 2, (16,)).double()), one) > 1e-2


def test_a_glow_starts_around_the_law_of_its_base_but_not_around_the_identity():
    flow = silent(glow((1, 8, 8), 2, 2, 8))
    x = torch.randn(20, 1, 8, 8, generator=rng())
    torch.testing.assert_close(flow.log_prob(x), flow.base.log_prob(x.flatten(1)), rtol=0, atol=1e-3)
    assert (flow.inverse(x)[0] - x.flatten(1)).abs().mean() > 0.5


def test_the_references_have_the_size_that_their_settings_give():
    """32 couplings of 1-64-64-2, and 16 of 1-128-128-23 with a 2x2 matrix and a shift."""
    assert numbers(real_nvp(2)) == 32 * (2 * 64 + 65 * 64 + 65 * 2)
    assert numbers(neural_spline(2)) == 16 * (2 * 128 + 129 * 128 + 129 * 23 + 4 + 2)
    assert 550_000 < numbers(glow((1, 28, 28))) < 570_000


class Counting(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x):
        self.calls += 1
        return self.net(x)


def test_maf_has_its_density_and_iaf_its_draws_in_one_pass():
    for make, density, draw in ((maf, 1, 5), (iaf, 5, 1)):
        flow = make(5, 1, (16,))
        (layer,) = flow.transforms
        layer = getattr(layer, "transform", layer)
        layer.net = Counting(layer.net)
        x = flow.sample(3, rng())
        assert layer.net.calls == draw
        layer.net.calls = 0
        flow.log_prob(x)
        assert layer.net.calls == density


def test_the_base_follows_the_parameters_to_their_precision():
    flow = Flow(StandardNormal(2), [Affine(2)])
    for cast, dtype in ((flow.double, F64), (flow.float, torch.float32), (lambda: flow.to(F64), F64)):
        cast()
        assert flow.base.dtype == dtype and flow.sample(2, rng()).dtype == dtype


def test_a_flow_proposes_in_metropolis_hastings():
    """Every proposal is accepted where the flow is the target: N(m, diag(e^2s)) by one affine map."""
    flow = Flow(StandardNormal(2), [Affine(2)]).double()
    with torch.no_grad():
        flow.transforms[0].log_scale.copy_(torch.tensor([0.3, -0.2]))
        flow.transforms[0].shift.copy_(torch.tensor([1.0, 2.0]))
    target = Gaussian(torch.tensor([1.0, 2.0]).double(), torch.tensor([0.6, -0.4]).double().exp().diag())
    start = torch.zeros(10, 2, dtype=F64)
    trace = run(MetropolisHastings(Independence(flow)), target, start, 20, burn_in=1, rng=rng())
    assert trace.accept_rate.min() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: real_nvp(1), "dim: expected an int of at least 2, got 1"),
        (lambda: nice(2, 0), "layers: expected an int of at least 1, got 0"),
        (lambda: neural_spline(2, bins=1), "bins: expected an int of at least 2, got 1"),
        (lambda: maf(0), "dim: expected an int of at least 1, got 0"),
        (lambda: iaf(2, 0), "layers: expected an int of at least 1, got 0"),
        (lambda: planar(2, 0), "layers: expected an int of at least 1, got 0"),
        (lambda: radial(0), "dim: expected an int of at least 1, got 0"),
        (
            lambda: glow((1, 28, 28), levels=3),
            "shape: expected height and width that 8 divides, for 3 levels",
        ),
        (lambda: glow((1, 28, 28), levels=0), "levels: expected an int of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
