"""What lecture 9 says about its demos is so, on the pure functions; every control draws."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ganedu import demos
from ganedu.demos import density_ratio, latent_langevin
from ganedu.demos.density_ratio import (
    TEMPERATURES,
    at_temperature,
    calibrations,
    expected_error,
    held_out,
    pool,
    quality,
    rejection,
)
from ganedu.demos.latent_langevin import STEP_SIZES, VARIANTS, at_step_size, distance
from ganedu.demos.overtrained import overtrained
from ganedu.demos.toy_gans import uneven_gan, wavy_gan
from ganedu.gans.calibration import Identity, Reliability, fit_logistic, reliability_curve
from ganedu.rng import generator
from ganedu.samplers.gan.drs import log_odds
from tests.laws import worst


def torch_mixture(mixture):
    """The same law, by torch."""
    parts = Independent(Normal(mixture.means, mixture.std[:, None].expand(-1, 2)), 1)
    return MixtureSameFamily(Categorical(mixture.weights), parts)


def rejected(x, mixture):
    """Above 1: x (n, 2) is not of this law, by its two coordinates; false fails 1e-6."""
    return worst(
        {
            str(axis): (x[:, axis], lambda t, axis=axis: mixture.cdf(t.float(), axis).double())
            for axis in (0, 1)
        }
    )[0]


def test_the_uneven_generator_draws_from_its_mixture():
    toy = uneven_gan()
    x = toy.gan.generator(toy.gan.prior(100_000, generator(1)))
    assert rejected(x, toy.model) < 1
    assert rejected(x, toy.data) > 3  # power: neither equal weights
    evened = toy.model.__class__(toy.model.means, toy.model.std, torch.full((26,), 1 / 26))
    assert rejected(x, evened) > 3


def test_the_discriminators_are_optimal_by_torchs_densities():
    toy = uneven_gan()
    x = torch.cat([toy.data.sample(500, generator(2)), toy.model.sample(500, generator(3))])
    expect = torch_mixture(toy.data).log_prob(x) - torch_mixture(toy.model).log_prob(x)
    torch.testing.assert_close(toy.gan.logit(x), expect, rtol=1e-4, atol=1e-3)


def test_the_waves_law_is_that_of_a_change_of_variables():
    toy = wavy_gan()
    z = toy.gan.prior(50, generator(4)).double()
    jacobian = torch.vmap(torch.func.jacrev(lambda one: toy.gan.generator(one[None])[0]))(z)
    prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    expect = prior - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(toy.model.log_prob(toy.gan.generator(z)), expect)
    logit = toy.gan.logit(toy.gan.generator(z).float())
    truth = torch_mixture(toy.data).log_prob(toy.gan.generator(z).float()) - expect.float()
    torch.testing.assert_close(logit, truth, rtol=1e-4, atol=1e-4)


def test_quality_counts_modes_and_near_draws():
    means = uneven_gan().data.means
    found = quality(torch.cat([means, means[:5] + 0.15, means[:20] + torch.tensor([0.3, 0.0])]))
    assert found.share.tolist() == pytest.approx([3 / 50] * 5 + [2 / 50] * 15 + [1 / 50] * 5)
    assert found.recovered == 25 and found.high == pytest.approx(25 / 50)  # 0.15 √2 is just too far
    assert quality(torch.cat([means, means[:3].repeat(20, 1)])).recovered == 3


@pytest.mark.slow
def test_the_temperature_does_to_the_modes_what_the_lecture_says():
    gan = quality(pool().x)
    assert gan.recovered == 20
    for draws in at_temperature(1.0).values():
        assert quality(draws.x).recovered == 25
    assert at_temperature(1.0)["MH-GAN"].accept_rate == pytest.approx(0.26, abs=0.005)
    assert at_temperature(1.0)["DRS"].accept_rate == pytest.approx(0.04, abs=0.005)
    twice = {name: quality(draws.x) for name, draws in at_temperature(2.0).items()}
    assert {found.recovered for found in twice.values()} == {15, 16}
    liked = gan.share.argsort(descending=True)
    for found in twice.values():  # the lost are those that the GAN likes best
        lost = found.share < 0.02
        assert lost[liked[:7]].all() and not lost[liked[-7:]].any()
    for t in TEMPERATURES:
        if t >= 0.75:
            assert min(quality(draws.x).high for draws in at_temperature(t).values()) > 0.998
    thrice = {name: quality(draws.x).recovered for name, draws in at_temperature(3.0).items()}
    assert thrice == {"DRS": 10, "MH-GAN": 14}
    for name in ("DRS", "MH-GAN"):
        rates = [at_temperature(t)[name].accept_rate for t in TEMPERATURES]
        assert rates == sorted(rates, reverse=True)


def test_at_temperature_one_both_samplers_draw_the_data():
    for draws in at_temperature(1.0).values():
        assert rejected(draws.x, uneven_gan().data) < 1
        assert rejected(pool().x[: len(draws.x)], uneven_gan().data) > 1


def error(calibration, temperature, bins=10, offset=0.0):
    real, fake = (temperature * logit + offset for logit in held_out(5000, 1))
    return expected_error(reliability_curve(calibration, real, fake, bins))


def test_calibration_undoes_temperature_and_offset():
    for n in (50, 200, 1000, 5000):
        first = calibrations(0.5, 0.0, n)
        for temperature, offset in ((2.0, 0.0), (5.0, -3.0), (0.2, 3.0)):
            fits = calibrations(temperature, offset, n)
            assert fits["logistic"].scale * temperature == pytest.approx(1.0, abs=0.05)
            for name in ("logistic", "isotonic"):
                assert error(fits[name], temperature, offset=offset) == pytest.approx(
                    error(first[name], 0.5), abs=1e-3
                )


def test_the_raw_logit_is_off_the_diagonal_in_the_way_that_the_lecture_says():
    for temperature in (2.0, 0.5):
        real, fake = (temperature * logit for logit in held_out(5000, 1))
        curve = reliability_curve(Identity(), real, fake, 10)
        beyond = (curve.observed - curve.predicted) * (curve.predicted - 0.5).sign()
        # Over-confident: nearer to one half than predicted; under-confident: further away.
        outer = (curve.predicted - 0.5).abs() > 0.15
        assert (beyond[outer] < 0).all() if temperature > 1 else (beyond[outer] > 0).all()
        assert error(Identity(), temperature) > 0.08
    assert error(Identity(), 1.0) < 0.01
    real, fake = (logit + 2.0 for logit in held_out(5000, 1))
    curve = reliability_curve(Identity(), real, fake, 10)
    assert (curve.observed < curve.predicted).all()


def test_two_numbers_err_less_than_a_whole_curve():
    errors = {n: {k: error(c, 2.0) for k, c in calibrations(2.0, 0.0, n).items()} for n in (50, 1000, 5000)}
    assert all(e["logistic"] < e["isotonic"] for e in errors.values())
    assert errors[5000]["isotonic"] < errors[1000]["isotonic"]


def test_the_expected_error_is_a_weighted_mean():
    curve = Reliability(torch.tensor([0.1, 0.9]), torch.tensor([0.2, 0.5]), torch.tensor([30, 10]))
    assert expected_error(curve) == pytest.approx(0.75 * 0.1 + 0.25 * 0.4)


def test_training_for_long_on_few_points_makes_over_confident():
    slopes = [fit_logistic(*logits, ceiling_quantile=None).scale for logits in overtrained().values()]
    assert slopes == sorted(slopes, reverse=True) and slopes[-1] < 0.5
    last = reliability_curve(Identity(), *overtrained()[800])
    assert float(last.predicted[-1]) == pytest.approx(0.97, abs=0.01)
    assert float(last.observed[-1]) == pytest.approx(0.8, abs=0.03)
    first = reliability_curve(Identity(), *overtrained()[20])
    assert float(first.predicted[-1]) < 0.9
    ends = [
        float(((p := torch.sigmoid(torch.cat(x))) < 0.1).float().mean() + (p > 0.9).float().mean())
        for x in overtrained().values()
    ]
    assert ends == sorted(ends)


def test_gamma_trades_acceptance_for_bias_and_the_bound_does_too():
    exact = rejection(0.0, 0.0)
    torch.testing.assert_close(
        exact.probability, (pool().logit - pool().logit.max()).exp(), atol=1e-5, rtol=0
    )
    assert exact.variation < 1e-5 and exact.accepted == pytest.approx(0.04, abs=0.002)
    loose, strict = rejection(-4.0, 0.0), rejection(4.0, 0.0)
    assert loose.accepted == pytest.approx(0.38, abs=0.01) and loose.variation == pytest.approx(
        0.33, abs=0.005
    )
    assert loose.accepted / exact.accepted == pytest.approx(9, abs=0.5)
    assert 1 / strict.accepted == pytest.approx(900, rel=0.05)
    assert strict.variation == pytest.approx(0.17, abs=0.005)
    high, low = rejection(0.0, 2.0), rejection(0.0, -2.0)
    assert high.variation < 1e-5
    assert high.accepted / exact.accepted == pytest.approx(torch.tensor(-2.0).exp().item(), rel=1e-3)
    assert low.accepted / exact.accepted == pytest.approx(5, abs=0.6)
    assert low.variation == pytest.approx(0.18, abs=0.005)


def test_published_percentiles_make_gamma_negative():
    logit = pool().logit
    odds = log_odds(logit, float(logit.max()), 0.0)
    for percentile, gamma, accepted, variation in ((80, -2.7, 0.23, 0.24), (95, -1.5, 0.12, 0.13)):
        found = float(odds.quantile(percentile / 100))
        assert found == pytest.approx(gamma, abs=0.05)
        assert rejection(found, 0.0).accepted == pytest.approx(accepted, abs=0.006)
        assert rejection(found, 0.0).variation == pytest.approx(variation, abs=0.006)


def test_the_distance_is_scipys_statistic_of_the_worse_coordinate():
    from scipy.stats import kstest

    data = wavy_gan().data
    x = wavy_gan().gan.generator(wavy_gan().gan.prior(300, generator(5)))
    expect = max(
        kstest(x[:, a].numpy(), lambda t, a=a: data.cdf(torch.as_tensor(t), a).numpy()).statistic
        for a in (0, 1)
    )
    assert distance(x) == pytest.approx(expect, abs=1e-5)


@pytest.mark.slow
def test_the_step_size_has_a_valley_and_rejection_takes_its_wall_away():
    grid = {v: {tau: distance(at_step_size(v, tau).x) for tau in STEP_SIZES} for v in VARIANTS}
    plain, grey = grid["DDLS"], 1.63 / latent_langevin.N_CHAINS**0.5
    assert plain[0.003] == pytest.approx(0.11, abs=0.006) and plain[0.4] == pytest.approx(0.17, abs=0.006)
    assert plain[0.03] == min(plain.values()) < grey
    assert max(grid["REP-GAN: rejects"][tau] for tau in STEP_SIZES if tau >= 0.03) < 0.07
    decays = grid["DDLS, step decays"]
    assert max(decays[tau] for tau in STEP_SIZES if tau >= 0.1) < 0.06
    assert decays[0.003] > plain[0.003] and decays[0.01] > plain[0.01]
    assert all(d == pytest.approx(0.18, abs=0.006) for d in grid["DDLS, z1 held"].values())


def values(control):
    """The ends and the middle of what a control can be."""
    if hasattr(control, "options"):
        options = [o[1] if isinstance(o, tuple) else o for o in control.options]
        return [options[0], options[len(options) // 2], options[-1]]
    low, high = control.min, control.max
    if hasattr(control, "base"):
        return [control.base**x for x in (low, 0.5 * (low + high), high)]
    return [low, (low + high) // 2 if isinstance(low, int) else 0.5 * (low + high), high]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["calibration_temperature", "langevin_bias", "rejection_gamma", "reliability"]
)
def test_every_control_draws_over_its_whole_range(name):
    panel = getattr(demos, name)()
    assert panel.error is None
    for control in panel.controls.values():
        pictures = set()
        for value in values(control):
            control.value = value
            assert panel.error is None
            pictures.add(bytes(panel.picture.value))
        assert len(pictures) == 3, control.description
        panel.reset.click()


def test_a_demo_without_much_to_compute_draws(monkeypatch):
    monkeypatch.setattr(density_ratio, "TEMPERATURES", (1.0, 3.0))
    panel = demos.calibration_temperature()
    before = bytes(panel.picture.value)
    panel.controls["temperature"].value = 3.0
    assert panel.error is None and bytes(panel.picture.value) != before
