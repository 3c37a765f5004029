"""Diagnostics are arviz's to 1e-6 on every kind of trace, and right where the answer is known."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from ganedu.samplers import diagnostics
from ganedu.samplers.diagnostics import (
    autocorrelation,
    autocorrelation_time,
    ess,
    ess_bulk,
    ess_per_gradient,
    ess_tail,
    mcse_mean,
    rhat,
    split_rhat,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ar1(rho: float, draws: int, *shape: int, seed: int = 0) -> Tensor:
    """Stationary from the first draw, of variance 1: x' = ρ x + sqrt(1 - ρ²) ξ."""
    noise = normal(draws, *shape, seed=seed)
    x = [noise[0]]
    for xi in noise[1:]:
        x.append(rho * x[-1] + math.sqrt(1 - rho**2) * xi)
    return torch.stack(x)


def rejecting(draws: int, chains: int, seed: int = 0) -> Tensor:
    """Four of five proposals are rejected, so that most draws are ties."""
    rng = torch.Generator().manual_seed(seed)
    uniform = torch.rand(draws, chains, generator=rng, dtype=torch.float64)
    proposals = torch.randn(draws, chains, generator=rng, dtype=torch.float64)
    x = [proposals[0]]
    for u, new in zip(uniform[1:], proposals[1:], strict=True):
        x.append(torch.where(u < 0.8, x[-1], new))
    return torch.stack(x)


def stuck(value: float) -> Tensor:
    x = normal(500, 4)
    x[:, 2] = value
    return x


TRACES = {
    "iid": normal(1000, 4),
    "iid, 64 chains": normal(300, 64),
    "one chain": normal(1000, 1),
    "two chains": ar1(0.5, 1000, 2),
    "AR(1) 0.5": ar1(0.5, 1000, 4),
    "AR(1) 0.9": ar1(0.9, 1000, 4),
    "AR(1) 0.99, shorter than its memory": ar1(0.99, 200, 4),
    "antithetic -0.3": ar1(-0.3, 1000, 4),
    "antithetic -0.95": ar1(-0.95, 1000, 4),
    "alternating": torch.tensor([1.0, -1.0]).repeat(50)[:, None] + 1e-3 * normal(100, 3),
    "two values": (normal(400, 4) > 0).double() * 2 - 1,
    "few values": ar1(0.7, 400, 4).round(),
    "chains of different means": ar1(0.5, 500, 4) + torch.arange(4.0),
    "chains of different scales": normal(500, 4) * torch.tensor([1.0, 1.0, 1.0, 4.0]),
    "a drift": normal(500, 4) + torch.linspace(0, 1, 500)[:, None],
    "one chain stuck in the middle": stuck(0.1),
    "one chain stuck far away": stuck(7.7),
    "all draws the same": torch.full((100, 4), 0.25, dtype=torch.float64),
    "heavy tails": normal(1000, 4) / normal(1000, 4, seed=1),
    "heavier tails": (5 * normal(500, 4)).exp(),
    "rejections": rejecting(501, 6),
    "rejections, and a quantile among ties": rejecting(100, 3, seed=26),
    "far from the origin": 1e5 + normal(500, 4),
    "very small": 1e-9 * normal(500, 4),
    "an infinity": normal(100, 4).masked_fill(torch.arange(400).reshape(100, 4) == 17, math.inf),
    "NaN": normal(100, 4).masked_fill(torch.arange(400).reshape(100, 4) == 17, math.nan),
    "float32": normal(501, 4).float(),
    **{f"{n} draws": ar1(0.3, n, 3, seed=n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 101, 999)},
}


COUNTERPARTS = {
    split_rhat: ("rhat", "split"),
    rhat: ("rhat", "rank"),
    ess: ("ess", "mean"),
    ess_bulk: ("ess", "bulk"),
    ess_tail: ("ess", "tail"),
    mcse_mean: ("mcse", "mean"),
}


@pytest.fixture(scope="module")
def expected() -> dict[tuple, float]:
    """What arviz makes of every trace."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # among others, that version 1 will be another library
        az = pytest.importorskip("arviz", reason="extra ganedu[diagnostics] is not installed")
        return {
            (ours, name): float(getattr(az, theirs)(x.double().T.numpy(), method=method))
            for ours, (theirs, method) in COUNTERPARTS.items()
            for name, x in TRACES.items()
        }


def agree(ours: float, theirs: float) -> bool:
    return ours == pytest.approx(theirs, rel=1e-6, abs=0, nan_ok=True)


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("ours", COUNTERPARTS, ids=lambda f: f.__name__)
def test_every_diagnostic_is_that_of_arviz(expected, ours, name):
    value = ours(TRACES[name])
    assert value.dtype == torch.float64
    assert agree(value.item(), expected[ours, name]), (value.item(), expected[ours, name])


def ordinal_scores(x: Tensor) -> Tensor:
    ranks = 1 + x.flatten(1).argsort(dim=1, stable=True).argsort(dim=1)
    return torch.special.ndtri((ranks.double() - 3 / 8) / (x[0].numel() + 1 / 4)).reshape(x.shape)


def lerped_quantile(ordered: Tensor, p: float) -> Tensor:
    return ordered.quantile(p, dim=1)


@pytest.mark.parametrize(
    ("planted", "error", "caught_by"),
    [
        ("_halves", lambda x: torch.cat([x, x], dim=1), [split_rhat, rhat, ess, ess_bulk, ess_tail]),
        ("_median", lambda x: x.flatten(1).median(1).values[:, None, None], [rhat]),
        ("_normal_scores", ordinal_scores, [rhat, ess_bulk]),
        ("_quantile", lerped_quantile, [ess_tail]),
        ("_constant", lambda x: torch.zeros(len(x), dtype=torch.bool), [ess, ess_bulk, ess_tail]),
    ],
)
def test_planted_errors_are_not_those_of_arviz(expected, monkeypatch, planted, error, caught_by):
    """Chains left whole, the lower median, ties ranked by their place, a quantile of ties that is the tie."""
    monkeypatch.setattr(diagnostics, planted, error)
    for ours in caught_by:
        assert not all(agree(ours(x).item(), expected[ours, name]) for name, x in TRACES.items())


@pytest.mark.parametrize(("rho", "tolerance"), [(-0.5, 0.05), (0.5, 0.05), (0.9, 0.1)])
def test_the_autocorrelation_time_of_an_autoregression(rho, tolerance):
    """τ = (1 + ρ)/(1 - ρ), ESS = N/τ and the standard error of the mean sqrt(τ/N).

    Over 60 runs of a fifth of this length τ had a relative standard error of 1.1%, 1.1% and 3.5%, and was 2%
    too short for ρ = -0.5: here 0.5%, 0.5% and 1.6%. So the tolerances are six of them, less than 1e-6, with
    room for that. Each lag counted once, 1 + Σ ρ_t, is rejected by the same test.
    """
    x = ar1(rho, 20_000, 64)
    tau = (1 + rho) / (1 - rho)
    assert autocorrelation_time(x).item() == pytest.approx(tau, rel=tolerance)
    assert (x.numel() / ess(x)).item() == pytest.approx(tau, rel=tolerance)
    assert mcse_mean(x).square().item() * x.numel() == pytest.approx(tau, rel=tolerance + 0.01)
    assert (1 + tau) / 2 != pytest.approx(tau, rel=tolerance)


def test_autocorrelation_is_the_sum_that_defines_it():
    x = ar1(0.6, 37, 3, 2)
    centred = x - x.mean(0)
    direct = torch.stack([(centred[t:] * centred[: 37 - t]).sum(0) for t in range(37)])
    torch.testing.assert_close(autocorrelation(x), direct / direct[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(autocorrelation(x[:, :, 1]), autocorrelation(x)[:, :, 1])


def test_what_never_moves_has_no_autocorrelation_and_no_scale():
    """1/3 has no exact mean in floats: the mean of copies of it may differ from it."""
    x = torch.full((77, 3, 2), 1 / 3, dtype=torch.float64)
    x[:, :, 1] = normal(77, 3)
    for diagnostic in (split_rhat, rhat, autocorrelation_time):
        assert diagnostic(x).isnan().tolist() == [True, False]
    assert autocorrelation(x)[..., 0].isnan().all() and not autocorrelation(x)[..., 1].isnan().any()
    assert ess(x)[0] == 2 * 38 * 3 and mcse_mean(x)[0] == 0


def test_chains_that_stand_still_apart_never_agree():
    x = torch.tensor([0.1, 0.7, 1 / 3]).expand(50, 3)
    assert rhat(x) > 1e6 and split_rhat(x) > 1e6
    assert ess(x) < 4 and autocorrelation_time(x) > 40


@pytest.mark.parametrize("diagnostic", [*COUNTERPARTS, autocorrelation_time], ids=lambda f: f.__name__)
def test_coordinates_are_judged_apart_and_in_blocks_of_any_size(diagnostic, monkeypatch):
    x = torch.stack(
        [TRACES[name] for name in ("AR(1) 0.5", "iid", "heavy tails", "antithetic -0.95")], dim=-1
    )
    together = diagnostic(x)
    assert together.shape == (4,)
    apart = torch.stack([diagnostic(part) for part in x.unbind(-1)])
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=0)
    monkeypatch.setattr(diagnostics, "BLOCK", 3 * 4000)
    torch.testing.assert_close(diagnostic(x), apart, rtol=1e-12, atol=0)
    torch.testing.assert_close(diagnostic(x.unflatten(2, (2, 2))), apart.reshape(2, 2), rtol=1e-12, atol=0)


def test_a_nan_in_one_coordinate_leaves_the_others_alone():
    x = normal(100, 4, 3)
    x[5, 1, 1] = math.nan
    for diagnostic in (*COUNTERPARTS, autocorrelation_time):
        assert diagnostic(x).isnan().tolist() == [False, True, False]


def test_ranks_see_no_monotone_transformation_and_nothing_sees_the_order_of_chains():
    x = ar1(0.8, 400, 5)
    for diagnostic in (ess_bulk, ess_tail):
        assert diagnostic((3 * x).exp()) == diagnostic(x)
    for diagnostic in (*COUNTERPARTS, autocorrelation_time):
        torch.testing.assert_close(diagnostic(x[:, [3, 0, 4, 2, 1]]), diagnostic(x), rtol=1e-12, atol=0)


def test_folding_sees_a_chain_that_is_too_narrow_where_the_split_alone_does_not():
    """The first example of Vehtari et al. (2021, fig. 1): one chain of four has a third of the variance."""
    x = ar1(0.3, 1000, 4) * torch.tensor([1.0, 1.0, 1.0, 1 / math.sqrt(3)])
    assert split_rhat(x) < 1.01 < rhat(x)


def test_ess_per_gradient_divides_the_bulk():
    x = ar1(0.5, 500, 4, 2)
    assert torch.equal(ess_per_gradient(x, 3000), ess_bulk(x) / 3000)
    for gradients in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"gradients: expected a positive number.*got {gradients}"):
            ess_per_gradient(x, gradients)


@pytest.mark.gpu
@pytest.mark.parametrize("diagnostic", [*COUNTERPARTS, autocorrelation_time], ids=lambda f: f.__name__)
def test_on_a_gpu_the_values_are_the_same_and_stay_there(diagnostic):
    for name, x in TRACES.items():
        value = diagnostic(x.cuda())
        assert value.device.type == "cuda" and value.dtype == torch.float64
        assert agree(value.item(), diagnostic(x).item()), name


def test_inputs_with_a_graph_are_judged_without_one():
    x = normal(50, 4).requires_grad_()
    assert not rhat(x).requires_grad and not autocorrelation_time(x).requires_grad


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (torch.zeros(10), r"float32 \(10,\)"),
        (torch.zeros(0, 4), r"float32 \(0, 4\)"),
        (torch.zeros(10, 0, 2), r"float32 \(10, 0, 2\)"),
        (torch.zeros(10, 4, 0), r"float32 \(10, 4, 0\)"),
        (torch.zeros(10, 4, dtype=torch.complex64), r"complex64 \(10, 4\)"),
        (np.zeros((10, 4)), "ndarray"),
    ],
)
@pytest.mark.parametrize("diagnostic", [rhat, ess_tail, autocorrelation], ids=lambda f: f.__name__)
def test_other_shapes_are_refused(diagnostic, x, got):
    with pytest.raises(ValueError, match=rf"x: expected real draws \(draws, chains\).*got .*{got}"):
        diagnostic(x)
