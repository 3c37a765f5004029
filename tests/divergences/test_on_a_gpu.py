"""Distances of samples on a GPU are those on the processor, and stay where their samples are."""

import pytest
import torch

from ganedu.data.mixtures import ring
from ganedu.divergences.density_ratio import moment_matching
from ganedu.divergences.kantorovich import w1_lower_bound
from ganedu.divergences.mmd import RBF, linear_terms, mmd2_biased, mmd2_unbiased, witness
from ganedu.divergences.sinkhorn import sinkhorn_divergence
from ganedu.divergences.transport import cost_1d, distance_cost, optimal_plan, sliced_cost
from ganedu.divergences.two_sample import permutation_test
from ganedu.metrics.kernel_distance import mmd2_and_error
from ganedu.metrics.modes import modes
from ganedu.metrics.neighbours import memorisation, nearest, prdc
from ganedu.rng import generator

LINES = torch.eye(3, dtype=torch.float64)
CALLS = {
    "biased": lambda x, y: mmd2_biased(x, y, RBF()),
    "unbiased": lambda x, y: mmd2_unbiased(x, y, RBF()),
    "linear": lambda x, y: linear_terms(x, y, RBF()),
    "witness": lambda x, y: witness(x, x, y, RBF()),
    "line": lambda x, y: cost_1d(x.mT, y[:20].mT),
    "sliced": lambda x, y: sliced_cost(x, y, LINES),
    "sinkhorn": lambda x, y: sinkhorn_divergence(x, y, 0.5, tolerance=1e-9),
    "matching": lambda x, y: moment_matching(x, y, y.norm(dim=1), RBF()),
    "critic": lambda x, y: w1_lower_bound(torch.nn.Flatten(0), x[:, :1], y[:, :1]),
    "nearest": lambda x, y: nearest(x, y, 3)[0],
    "copies": lambda x, y: memorisation(x, y, x + 0.1).distance,
}


def samples(device):
    draws = torch.randn(2, 30, 3, generator=generator(0), dtype=torch.float64)
    return (draws + torch.tensor([[[0.0]], [[0.4]]])).to(device)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CALLS)
def test_it_is_the_same_and_on_the_gpu(name):
    found = CALLS[name](*samples("cuda"))
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), CALLS[name](*samples("cpu")), rtol=1e-7, atol=1e-9)


@pytest.mark.gpu
def test_numbers_of_python_are_the_same():
    on, off = samples("cuda"), samples("cpu")
    assert modes(on[0][:, :2], ring(), 9.0)[:3] == modes(off[0][:, :2], ring(), 9.0)[:3]
    assert prdc(*on) == pytest.approx(prdc(*off))
    assert mmd2_and_error(*on, RBF()) == pytest.approx(mmd2_and_error(*off, RBF()))
    for rng in (generator(1), generator(1, device="cuda")):
        found = permutation_test(*on, RBF(), 99, rng)
        assert found.null.device.type == "cuda" and 0.01 <= found.p_value <= 1
        assert found.statistic == pytest.approx(float(mmd2_unbiased(*off, RBF())))


@pytest.mark.gpu
def test_the_plan_comes_back_to_the_gpu():
    pytest.importorskip("ot", reason="extra ganedu[metrics] is not installed")
    found = optimal_plan(distance_cost(*samples("cuda")))
    assert found.plan.device.type == found.cost.device.type == "cuda"
