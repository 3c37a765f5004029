"""Warm-up finds the step and the scales, then freezes; `sample` gives the draws it was asked for."""

import math

import pytest
import torch

from ganedu.samplers import (
    NUTS,
    Barker,
    CrankNicolson,
    EllipticalSlice,
    Ex2,
    Gibbs,
    Hamiltonian,
    Langevin,
    MetropolisHastings,
    Preconditioned,
    RandomWalk,
    Tempering,
    sample,
)
from ganedu.samplers.adaptation import DualAveraging, spread, windows, with_step_size
from ganedu.samplers.diagnostics import ess, rhat
from ganedu.targets.toys import Gaussian
from tests.samplers.contract import COV, MEAN, Correlated

MH = MetropolisHastings
DEVIATION = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
STRETCHED = Gaussian(torch.zeros(3, dtype=torch.float64), torch.diag(DEVIATION**2))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def starts(chains=32):
    return 2 * DEVIATION * torch.randn(chains, 3, generator=rng(9), dtype=torch.float64)


def test_dual_averaging_finds_the_step_that_is_accepted_as_often_as_wanted():
    """Against a made-up acceptance e^{-ε}, whose root is known: ε = -log 0.6."""
    tuner = DualAveraging.start(1e-3)
    for _ in range(500):
        tuner = tuner.update(math.exp(-math.exp(tuner.log_step)), 0.6)
    assert math.exp(tuner.log_average) == pytest.approx(-math.log(0.6), rel=0.02)


@pytest.mark.parametrize("steps", [0, 1, 7, 40, 149, 150, 300, 1000, 2500])
def test_windows_cover_the_warm_up_once(steps):
    schedule = windows(steps)
    covered = [t for window in schedule for t in range(window.first, window.last)]
    assert covered == list(range(steps))
    assert not schedule or not schedule[-1].scaled or steps < 10


@pytest.mark.parametrize("warm_up", [3, 10, 15, 20, 39, 40, 60])
def test_a_short_warm_up_does_not_ruin_the_step(warm_up):
    """From a step that is accepted at 85%: no better than luck, but nowhere near 0 or 1."""
    z = 2 * torch.randn(64, 2, generator=rng(3), dtype=torch.float64)
    found = sample(MH(Langevin(0.5)), Correlated(), z, 500, warm_up=warm_up, rng=rng())
    assert 0.25 < float(found.trace.accept_rate.mean()) < 0.95


def test_a_step_stays_in_bounds_however_long_it_is_pushed():
    for accept in (0.0, 1.0):
        tuner = DualAveraging.start(0.5, largest=1.0)
        for _ in range(20_000):
            tuner = tuner.update(accept, 0.5)
        assert 0.0 < math.exp(tuner.log_average) <= 1.0 and math.exp(tuner.log_step) <= 1.0


def test_windows_of_a_long_warm_up_are_stans():
    borders = [(window.first, window.last) for window in windows(1000)]
    assert borders == [(0, 75), (75, 100), (100, 150), (150, 250), (250, 450), (450, 950), (950, 1000)]


def test_the_spread_of_a_window_is_its_standard_deviation_and_never_zero():
    draws = torch.randn(200, 50, 3, generator=rng(), dtype=torch.float64) * DEVIATION
    assert torch.allclose(spread(draws), draws.flatten(0, 1).std(0), rtol=0.02)
    assert (spread(torch.zeros(20, 4, 3)) > 0.003).all()


TUNED = {
    "random_walk": (MH(RandomWalk(1e-3)), 0.234),
    "mala": (MH(Langevin(1e-4)), 0.574),
    "barker": (MH(Barker(1e-3)), 0.4),
    "hmc": (MH(Hamiltonian(0.01, 5)), 0.8),
    "nuts": (NUTS(0.01), 0.8),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "nuts")) for name in TUNED]
)
def test_warm_up_tunes_the_step_and_the_scales(name):
    kernel, wanted = TUNED[name]
    found = sample(kernel, STRETCHED, starts(), 1000, warm_up=300, rng=rng())
    assert isinstance(found.kernel, Preconditioned)
    assert torch.allclose(found.kernel.scale, DEVIATION, rtol=0.35)
    if name != "nuts":  # whose acceptance is that of its trajectory, not of its moves
        assert float(found.trace.accept_rate.mean()) == pytest.approx(wanted, abs=0.12)
    assert torch.allclose(found.z.std(0), DEVIATION, rtol=0.15)


@pytest.mark.parametrize(
    "kernel",
    [
        MH(CrankNicolson(0.1)),
        EllipticalSlice(),
        Gibbs(),
        Tempering(MH(Langevin(0.1))),
        Ex2(MH(Langevin(0.1))),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_kernels_with_a_prior_or_without_a_step_are_sampled_too(kernel):
    found = sample(
        kernel, Correlated(), 2 * torch.randn(32, 2, generator=rng(), dtype=torch.float64), 2000, rng=rng()
    )
    assert found.ess >= 2000 and found.rhat <= 1.05
    # Five standard errors of a mean and of a variance of 2,000 draws.
    assert ((found.z.mean(0) - MEAN) / (COV.diagonal() / 2000).sqrt()).abs().max() < 5
    assert (found.z.var(0) / COV.diagonal() - 1).abs().max() < 5 * math.sqrt(2 / 2000)


def test_the_step_of_an_unadjusted_kernel_is_left_alone():
    """It accepts everything, and tuning would let its step grow until nothing is left of the target."""
    kernel = Langevin(0.2)
    found = sample(kernel, Correlated(), torch.zeros(16, 2, dtype=torch.float64), 300, rng=rng())
    assert found.kernel == kernel


def test_a_coordinate_that_never_changes_is_no_reason_to_go_on_for_ever():
    class Half:
        """The second coordinate is 1, whatever anybody proposes."""

        def log_prob(self, z):
            return Correlated().log_prob(z)

        def conditional(self, i, z, rng):
            return Correlated().conditional(i, z, rng) if i == 0 else torch.ones_like(z[:, 1])

    found = sample(Gibbs(), Half(), torch.ones(16, 2, dtype=torch.float64), 500, rng=rng())
    assert found.ess >= 500 and found.rhat <= 1.05 and (found.z[:, 1] == 1).all()


def test_it_gives_as_many_effective_draws_as_asked_for_and_says_what_they_are_worth():
    found = sample(
        MH(RandomWalk(0.5)), Correlated(), torch.zeros(16, 2, dtype=torch.float64), 3000, rng=rng()
    )
    everything = torch.cat([found.trace.z, found.trace.log_prob[:, :, None]], dim=-1)
    assert found.ess == float(ess(everything).min()) >= 3000
    assert found.rhat == float(rhat(everything).max()) <= 1.05
    assert found.z.shape == (len(found.trace) * 16, 2)
    # Neighbours that are worth little are thinned away, and no more than that.
    assert found.thin > 1 and 0.4 < found.ess / len(found.z) <= 1.2


def test_more_draws_begin_with_the_same_warm_up():
    arguments = (MH(Langevin(0.1)), Correlated(), torch.zeros(16, 2, dtype=torch.float64))
    few, many = (sample(*arguments, n, rng=rng(4)) for n in (500, 5000))
    assert few.kernel.kernel == many.kernel.kernel and torch.equal(few.kernel.scale, many.kernel.scale)
    assert many.steps > few.steps


@pytest.mark.parametrize("stopped_at", [5, 60, 130, 290])
@pytest.mark.parametrize(
    "kernel",
    [MH(Langevin(0.1)), Tempering(MH(Langevin(0.1)), (1.0, 0.3), n_moves=1)],
    ids=["mala", "tempering"],
)
def test_a_stopped_search_goes_on_as_if_nobody_had_stopped_it(kernel, stopped_at, tmp_path, monkeypatch):
    path = tmp_path / "sample.safetensors"
    z = torch.randn(8, 2, generator=rng(1), dtype=torch.float64)
    arguments = dict(warm_up=120, rng=None)
    whole = sample(kernel, Correlated(), z, 1500, **arguments | {"rng": rng(2)})

    class Stop(Exception):
        pass

    calls, step = [0], type(kernel).step

    def stopping(self, *given):
        calls[0] += 1
        if calls[0] == stopped_at:
            raise Stop
        return step(self, *given)

    monkeypatch.setattr(type(kernel), "step", stopping)
    with pytest.raises(Stop):
        sample(kernel, Correlated(), z, 1500, **arguments | {"rng": rng(2)}, checkpoint=path)
    monkeypatch.undo()
    resumed = sample(kernel, Correlated(), z, 1500, **arguments | {"rng": rng(2)}, checkpoint=path)
    assert torch.equal(resumed.trace.z, whole.trace.z) and resumed.thin == whole.thin
    assert torch.equal(resumed.trace.accept_rate, whole.trace.accept_rate)
    assert resumed.steps == whole.steps and resumed.ess == whole.ess


def test_where_the_steps_are_not_enough_it_warns_and_gives_what_it_has():
    with pytest.warns(UserWarning, match=r"of 1000000 effective draws and R-hat .* after max_steps = 100"):
        found = sample(
            MH(RandomWalk(0.1)),
            Correlated(),
            torch.zeros(8, 2, dtype=torch.float64),
            10**6,
            max_steps=100,
            rng=rng(),
        )
    assert 0 < found.ess < 10**6 and found.steps >= 100


def test_a_step_never_grows_beyond_what_the_move_allows():
    assert with_step_size(MH(CrankNicolson(0.1)), 7.0).proposal.step_size == 1.0
    assert with_step_size(Tempering(MH(Langevin(0.1))), 7.0).kernel.proposal.step_size == 7.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(n=0), "n: expected an int of at least 1, got 0"),
        (dict(warm_up=-1), "warm_up: expected an int of at least 0, got -1"),
        (dict(max_steps=0), "max_steps: expected an int of at least 1"),
        (dict(max_rhat=1.0), "max_rhat: expected a number above 1, got 1.0"),
        (dict(z=torch.zeros(2)), "z: expected starts of shape"),
        (dict(z=torch.zeros(1, 2)), "z: expected two chains or more"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = dict(z=torch.zeros(4, 2, dtype=torch.float64), n=10, rng=rng())
    with pytest.raises(ValueError, match=message):
        sample(MH(RandomWalk(0.1)), Correlated(), **{**good, **arguments})
