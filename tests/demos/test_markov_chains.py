"""What lecture 8 says about its demos, on the numbers that they show; and every control, moved."""

import itertools
import math
from functools import cache

import pytest
import torch
from scipy.stats import chi2, norm

from ganedu import demos
from ganedu.demos import finite
from ganedu.demos.markov_chains import (
    BUDGET,
    COSTS,
    STARTS,
    apart_numbers,
    orbit_numbers,
    walk_numbers,
    walks_of,
)
from ganedu.demos.step_sizes import (
    BEST,
    GRID,
    LONG,
    MANY,
    best_step,
    bias_curve,
    bias_numbers,
    efficiency,
    limit_acceptance,
    unadjusted_variance,
)

FALSE_FAIL = 1e-6
PANELS = ("walk", "leapfrog", "chains_apart", "step_size", "unadjusted")


# --- a particle on a banana


@cache
def best_walk(name: str, dim: int) -> float:
    """Effective draws of a whole walk at the best of eight steps."""
    steps = [10 ** (0.2 * k - 0.8) for k in range(8)]  # 0.16 to 4.0, all on the slider
    return max(walk_numbers(name, dim, step, BUDGET, 0).ess for step in steps)


@pytest.mark.parametrize("name", COSTS)
def test_acceptance_falls_as_the_step_grows(name):
    rates = [walk_numbers(name, 2, step, BUDGET, 0).acceptance for step in (0.1, 0.5, 1.0, 2.0, 4.0)]
    assert all(a > b or a == b == 0 for a, b in itertools.pairwise(rates))
    assert rates[0] > 0.9 and rates[-1] < 0.2


def test_small_steps_are_accepted_and_worth_little():
    small, large = (walk_numbers("random walk", 2, step, BUDGET, 0) for step in (0.1, 10**0.4))
    assert small.acceptance > 0.9 and 1.0 <= small.ess <= 2.0
    assert large.acceptance == pytest.approx(0.3, abs=0.05)
    assert large.ess > 10 * small.ess


@pytest.mark.slow
def test_in_the_plane_long_jumps_are_worth_more_than_mala():
    assert best_walk("random walk", 2) > 1.5 * best_walk("MALA", 2)


@pytest.mark.slow
def test_in_twenty_dimensions_the_order_is_random_walk_mala_hmc():
    walk, mala, hmc = (best_walk(name, 20) for name in COSTS)
    assert walk < 2
    assert mala == pytest.approx(5, rel=0.4) and hmc == pytest.approx(30, rel=0.3)


def test_mala_stands_in_the_right_tip():
    """Twenty dimensions, step 1.0, seed 3."""
    path = walk_numbers("MALA", 20, 1.0, BUDGET, 3).path
    assert int((path[:, 0] > 5).sum()) > 40


def test_a_walk_is_a_piece_of_the_whole_one():
    short, long = (walk_numbers("HMC, 10 leapfrogs", 2, 0.5, n, 0).path for n in (200, 400))
    assert len(short) == 21 and len(long) == 41 and torch.equal(short, long[:21])
    assert walks_of("MALA", 20, 0.5, 0).shape == (BUDGET + 1, 32, 2)


# --- a leapfrog trajectory


def gained(step_size: float, steps: int) -> torch.Tensor:
    energy = orbit_numbers(step_size, steps).energy
    return energy - energy[0]


@pytest.mark.parametrize("step_size", [0.1, 0.5, 1.05, 1.5, 1.9])
def test_the_energy_error_comes_and_goes(step_size):
    """By (L8.21) the gain is ε² z²/8; z stays on an ellipse with z² of at most 1 / (1 - ε²/4)."""
    gain = gained(step_size, 400)
    most = step_size**2 / 8 / (1 - step_size**2 / 4)
    assert float(gain.max()) <= most * (1 + 1e-9) and float(gain.max()) > 0.9 * most
    assert float(gain[200:].min()) < 0.1 * most


def test_half_a_small_step_has_a_quarter_of_the_error():
    coarse, fine = (gained(step, int(40 / step)) for step in (0.2, 0.1))
    assert float(coarse.max() / fine.max()) == pytest.approx(4.0, rel=0.05)


def test_beyond_two_the_error_explodes():
    energy = orbit_numbers(2.1, 40).energy
    assert float(energy[-1]) > 1e15 and bool((energy[1:] > energy[:-1]).all())


# --- chains that do not meet


@pytest.mark.parametrize("seed", range(0, 10, 3))
def test_chains_in_two_modes_disagree_and_are_worth_one_draw_each(seed):
    found = apart_numbers(8.0, STARTS[0], 600, seed)
    assert float(found.rhat[-1]) > 5 and found.ess == pytest.approx(4, abs=1)
    assert found.share == 0.5 and found.truth == pytest.approx(0.67, abs=0.01)


@pytest.mark.parametrize("seed", range(0, 10, 3))
def test_chains_in_one_mode_agree_and_have_seen_nothing_of_the_other(seed):
    found = apart_numbers(8.0, STARTS[1], 600, seed)
    assert float(found.rhat[-1]) < 1.03 and 100 < found.ess < 400
    assert found.share == 0.0


def test_near_modes_are_visited_by_all():
    rhat = {
        d: [float(apart_numbers(d, STARTS[0], 600, s).rhat[-1]) for s in (0, 3, 6, 9)] for d in (2.0, 4.0)
    }
    assert max(rhat[2.0]) < 1.07
    assert min(rhat[4.0]) > 1.07 and max(rhat[4.0]) < 1.5


@pytest.mark.parametrize("distance", [1.0, 4.0, 10.0])
def test_the_true_share_on_the_right_is_that_of_exact_draws(distance):
    """P(x > 0) of a mixture, by another library's normal law."""
    expected = norm.cdf(-distance / 2) / 3 + 2 * norm.cdf(distance / 2, scale=0.5) / 3
    assert apart_numbers(distance, STARTS[1], 50, 0).truth == pytest.approx(expected, abs=1e-12)


# --- how large a step


def test_mala_peaks_near_its_acceptance_in_theory():
    found = efficiency("MALA", 50)
    assert bool((found.acceptance[1:] < found.acceptance[:-1]).all())
    best = int(found.ess.argmax())
    assert 0.5 < float(found.acceptance[best]) < 0.66
    assert bool((found.ess[1 : best + 1] > found.ess[:best]).all())
    assert bool((found.ess[best + 1 :] < found.ess[best:-1]).all())


def test_a_chain_that_accepts_98_percent_is_worth_less_than_a_fifth():
    found = efficiency("MALA", 50)
    assert float(found.ess[found.acceptance > 0.975].max()) < 0.2 * float(found.ess.max())


def test_the_peak_is_flat():
    found = efficiency("MALA", 50)
    near = (found.acceptance > 0.4) & (found.acceptance < 0.8)
    assert int(near.sum()) >= 2
    assert float(found.ess[near].min()) > 2 / 3 * float(found.ess.max())


@pytest.mark.slow
def test_the_random_walk_peaks_near_a_quarter_and_higher_in_the_plane():
    """The peak is flat: what is asserted is which acceptances are worth 85% of the best."""
    many, plane = efficiency("random walk", 50), efficiency("random walk", 2)
    good = many.acceptance[many.ess > 0.85 * many.ess.max()]
    assert float(good.min()) < 0.27 and float(good.max()) < 0.45
    good = plane.acceptance[plane.ess > 0.85 * plane.ess.max()]
    assert 0.28 < float(good.mean()) < 0.45


def test_hmc_peaks_above_its_acceptance_in_theory():
    found = efficiency("HMC", 50)
    best = float(found.acceptance[found.ess.argmax()])
    assert 0.70 < best < 0.82
    # The lecture's account of it: ℓ α / (2 - α) instead of ℓ α, with α = 2 Φ(-ℓ²).
    size = torch.linspace(0.01, 3, 30_000, dtype=torch.float64)
    alpha = 2 * torch.special.ndtr(-size.square())
    assert float(alpha[(size * alpha).argmax()]) == pytest.approx(0.651, abs=1e-3)
    assert float(alpha[(size * alpha / (2 - alpha)).argmax()]) == pytest.approx(0.757, abs=1e-3)


@pytest.mark.parametrize("kernel", [pytest.param("random walk", marks=pytest.mark.slow), "MALA", "HMC"])
def test_the_limit_is_met_in_fifty_dimensions(kernel):
    """In steps up to the best, which are small: beyond, HMC's finite steps add to the error."""
    found = efficiency(kernel, 50)
    small = found.step <= 1.01 * best_step(kernel, 50)
    assert float((found.acceptance - found.limit)[small].abs().max()) < 0.04
    at_best = limit_acceptance(kernel, torch.tensor(best_step(kernel, 50), dtype=torch.float64), 50)
    assert float(at_best) == pytest.approx(BEST[kernel], abs=1e-6)


def test_trajectories_of_hmc_are_three_quarters_of_a_turn():
    """A leapfrog step of size ε on N(0, 1) turns by 2 asin(ε/2)."""
    turns = 2 * torch.asin(efficiency("HMC", 10).step.double() / 2)
    counts = 1.5 * math.pi / turns
    assert counts.tolist() == pytest.approx(counts.round().tolist(), abs=1e-4)


# --- unadjusted and adjusted


def rejected(draws: torch.Tensor, variance: float, tests: int) -> bool:
    """Is N(0, variance) rejected for independent draws (n,)? n S²/σ² is χ² with n degrees of freedom.

    With ``tests`` of them together, right laws fail with probability 1e-6 at most.
    """
    statistic = float(draws.double().square().sum()) / variance
    tail = FALSE_FAIL / (2 * tests)
    return not chi2.ppf(tail, len(draws)) < statistic < chi2.isf(tail, len(draws))


@pytest.mark.parametrize("step_size", [0.5, 1.0, 2.0, 3.8])
def test_ula_loses_the_law_and_mala_keeps_it(step_size):
    """ULA's draws are Gaussian and independent of each other, with the variance of (L8.12)."""
    free, exact = bias_numbers(step_size, 0)
    rho, limit = 1 - step_size / 2, unadjusted_variance(step_size)
    variance = limit + rho ** (2 * LONG) * (1 - limit)
    assert not rejected(free, variance, tests=8) and not rejected(exact, 1.0, tests=8)
    # Power: the same test sees that ULA's law is not the target, and that MALA's is not ULA's.
    assert rejected(free, 1.0, tests=8) and rejected(exact, variance, tests=8)
    assert len(free) == MANY


def test_the_numbers_that_the_text_names():
    named = {0.5: 1.14, 1.0: 1.33, 2.0: 2.0}
    assert {tau: round(unadjusted_variance(tau), 2) for tau in named} == named


def test_variances_over_step_sizes_are_those_of_the_formula():
    """2000 draws at each of 19 τ, mean subtracted: n - 1 degrees of freedom."""
    curve, n = bias_curve(), MANY // 2
    tail = FALSE_FAIL / (4 * len(GRID))
    low, high = chi2.ppf(tail, n - 1) / (n - 1), chi2.isf(tail, n - 1) / (n - 1)
    for variance, expected in ((curve.unadjusted, unadjusted_variance(GRID)), (curve.adjusted, 1.0)):
        assert bool(((low < variance / expected) & (variance / expected < high)).all())
    assert not bool(((low < curve.unadjusted) & (curve.unadjusted < high)).all())


# --- chains on five states


def test_the_three_machines_are_what_the_lecture_says():
    law, proposal = finite.LAW, finite.ring(5, 0.7)
    metropolis, carousel = finite.metropolis_matrix(law, proposal), finite.carousel(law)
    for matrix in (metropolis, carousel, proposal):
        assert bool((matrix >= 0).all())
        torch.testing.assert_close(matrix.sum(1), torch.ones(5, dtype=torch.float64))
    flow = {"A": law[:, None] * metropolis, "B": law[:, None] * carousel, "C": law[:, None] * proposal}
    keeps = {name: torch.allclose(f.sum(0), law, atol=1e-15) for name, f in flow.items()}
    symmetric = {name: torch.allclose(f, f.T, atol=1e-15) for name, f in flow.items()}
    assert keeps == {"A": True, "B": True, "C": False}
    assert symmetric == {"A": True, "B": False, "C": False}
    assert flow["B"][range(5), [1, 2, 3, 4, 0]].tolist() == pytest.approx([0.05] * 5)


def test_metropolis_matrix_is_the_textbook_loop():
    """Written down anew, state by state, with a proposal some of whose entries are 0 only one way."""
    law = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    proposal = torch.tensor([[0.2, 0.8, 0.0], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3]], dtype=torch.float64)
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for i, j in itertools.permutations(range(3), 2):
        if proposal[i, j] > 0:
            ratio = law[j] * proposal[j, i] / (law[i] * proposal[i, j])
            expected[i, j] = proposal[i, j] * min(1.0, float(ratio))
    for i in range(3):
        expected[i, i] = 1 - expected[i].sum()
    torch.testing.assert_close(finite.metropolis_matrix(law, proposal), expected)


def test_a_and_b_forget_the_start_and_c_goes_elsewhere():
    law, start = finite.LAW, torch.eye(5, dtype=torch.float64)[0]
    matrix = finite.metropolis_matrix(law, finite.ring(5, 0.7))
    assert finite.decay_rate(matrix, law) == pytest.approx(0.61, abs=0.005)
    general = torch.linalg.eigvals(matrix).abs().sort().values[-2]
    assert finite.decay_rate(matrix, law) == pytest.approx(float(general))
    machines = (matrix, finite.carousel(law), finite.ring(5, 0.7))
    ends = [float(finite.distances(start, machine, law, 40)[-1]) for machine in machines]
    assert ends[0] < 1e-6 and 1e-6 < ends[1] < 1e-3 and ends[2] == pytest.approx(0.25, abs=0.005)


# --- the controls


@pytest.mark.slow
@pytest.mark.parametrize("name", PANELS)
def test_every_control_over_its_range_changes_the_picture(name):
    panel = getattr(demos, name)()
    assert panel.error is None
    for control in panel.controls.values():
        panel.reset.click()
        pictures = set()
        for value in positions(control):
            control.value = value
            assert panel.error is None, f"{name}: {control.description} = {value}: {panel.error}"
            pictures.add(bytes(panel.picture.value))
        assert len(pictures) >= 2, f"{name}: {control.description} changes nothing"


def positions(control) -> list:
    """Both ends and the middle of a slider, or all options."""
    if hasattr(control, "options"):
        return list(control.options)
    ends = [control.min, control.max]
    if hasattr(control, "base"):
        return [control.base**end for end in (ends[0], sum(ends) / 2, ends[1])]
    middle = sum(ends) / 2
    return [ends[0], int(middle) if isinstance(control.value, int) else middle, ends[1]]


def test_play_drives_the_evaluations():
    panel = demos.walk()
    play = panel.children[0].children[-1]
    slider = panel.controls["evaluations"]
    for name in ("min", "max", "step", "value"):
        assert getattr(play, name) == getattr(slider, name), name
