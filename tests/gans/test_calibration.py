"""Calibration of a discriminator: against a closed form, and against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from torch import nn

from ganedu.gans.calibration import (
    Identity,
    Isotonic,
    Logistic,
    fit_isotonic,
    fit_logistic,
    held_out_logits,
    reliability_curve,
)
from ganedu.gans.pair import GAN
from ganedu.rng import generator
from ganedu.targets import LatentTarget


def logits(n_real=4000, n_fake=3000, overconfidence=3.0, seed=0):
    """Draws of N(1, 1) and N(-1, 1): the true logit of x is 2x; D says ``overconfidence`` times it."""
    rng = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(n_real, generator=rng) + 1.0, torch.randn(n_fake, generator=rng) - 1.0
    return 2.0 * overconfidence * real, 2.0 * overconfidence * fake


def test_the_fit_finds_the_scale_of_an_overconfident_discriminator():
    fit = fit_logistic(*logits(200_000, 100_000), ceiling_quantile=None)
    assert fit.scale == pytest.approx(1 / 3, rel=0.02)
    assert fit.offset == pytest.approx(0.0, abs=0.02)  # though there are twice as many real ones


def test_the_fit_equals_scikit_learns_with_balanced_classes():
    real, fake = logits()
    peer = LogisticRegression(C=np.inf, class_weight="balanced", solver="newton-cholesky", tol=1e-12)
    peer.fit(torch.cat([real, fake]).numpy()[:, None], [1] * len(real) + [0] * len(fake))
    fit = fit_logistic(real, fake, ceiling_quantile=None)
    assert fit.scale == pytest.approx(peer.coef_.item(), rel=1e-5)
    assert fit.offset == pytest.approx(peer.intercept_.item(), abs=1e-5)


def test_the_ceiling_is_the_quantile_of_real_images_and_is_never_exceeded():
    real, fake = logits()
    fit = fit_logistic(real, fake)
    assert fit.ceiling == pytest.approx(float(np.quantile(fit.uncapped(real.double()).numpy(), 0.9)))
    far = torch.tensor([-200.0, 0.0, 1e4], dtype=torch.float64)
    assert (fit(far) <= fit.ceiling).all() and torch.isfinite(fit(far)).all()
    assert fit(far)[0] == pytest.approx(float(fit.uncapped(far)[0]))  # far below it changes nothing
    assert fit.without_ceiling()(far)[2] == fit.uncapped(far)[2]


def test_the_capped_logit_is_smooth_and_increasing():
    fit = Logistic(2.0, 0.5, ceiling=1.0)
    x = torch.linspace(-5, 5, 101, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(fit(x).sum(), x)
    # d/dx [c - softplus(c - y)] = 2 sigmoid(c - y): from the full slope to none.
    assert torch.allclose(slope, 2.0 * torch.sigmoid(1.0 - (2.0 * x + 0.5)).detach())


def test_isotonic_equals_scikit_learns_and_is_clipped():
    real, fake = logits(300, 200)
    fit = fit_isotonic(real, fake)
    x = torch.cat([real, fake]).double().numpy()
    weight = np.r_[np.full(300, 0.5 / 300), np.full(200, 0.5 / 200)]
    peer = IsotonicRegression(out_of_bounds="clip").fit(x, [1] * 300 + [0] * 200, weight)
    grid = torch.linspace(-30, 30, 400, dtype=torch.float64)
    expected = np.clip(peer.predict(grid.numpy()), 1 / 502, 1 - 1 / 502)
    # Interpolating logits instead of probabilities differs between knots, not at them.
    at_knots = fit(fit.knots)
    assert torch.allclose(
        torch.sigmoid(at_knots),
        torch.from_numpy(np.clip(peer.predict(fit.knots.numpy()), 1 / 502, 501 / 502)),
    )
    assert (fit(grid).diff() >= 0).all()
    assert torch.sigmoid(fit(grid))[[0, -1]].tolist() == pytest.approx(expected[[0, -1]].tolist())
    assert fit.ceiling == pytest.approx(math.log(501)) and not fit.differentiable


def test_knots_that_collide_in_the_logits_precision_give_no_nan():
    close = Isotonic(torch.tensor([1.0, 1.0 + 1e-9], dtype=torch.float64), torch.tensor([0.0, 1.0]).double())
    assert torch.isfinite(close(torch.tensor([1.0]))).all()


def test_data_that_barely_overlap_have_a_finite_scale():
    real = torch.cat([torch.linspace(1, 1000, 2500), torch.tensor([-1.0])])
    fit = fit_logistic(real, -real, ceiling_quantile=None)
    x = torch.cat([real, -real]).numpy()[:, None]
    peer = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=10_000)
    assert fit.scale == pytest.approx(peer.fit(x, [1] * 2501 + [0] * 2501).coef_.item(), rel=1e-3)


def test_isotonic_with_one_knot_is_constant():
    one = Isotonic(torch.tensor([0.0]), torch.tensor([0.3]))
    assert one(torch.tensor([-1.0, 5.0])).tolist() == pytest.approx([0.3, 0.3])


def test_reliability_is_on_the_diagonal_only_when_calibrated():
    real, fake = logits(50_000, 50_000)
    fit = fit_logistic(real, fake, ceiling_quantile=None)
    good, bad = reliability_curve(fit, real, fake), reliability_curve(Identity(), real, fake)
    # Hoeffding over all bins together, at a false-fail rate of 1e-6.
    error = (good.predicted - good.observed).abs()
    assert (error < (math.log(2 * len(error) / 1e-6) / (2 * good.count)).sqrt()).all()
    assert (bad.predicted - bad.observed).abs().max() > 0.1
    assert good.count.sum() == 100_000


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (torch.zeros(3, 1), torch.zeros(3), r"real: expected logits of shape \(n,\), n > 0, got \(3, 1\)"),
        (torch.zeros(3), torch.zeros(0), "fake: expected logits of shape"),
        (torch.tensor([1.0, math.nan]), torch.zeros(3), "real: expected finite logits"),
        (torch.arange(1.0, 50.0), -torch.arange(1.0, 50.0), "separate the classes"),
        (-logits()[0], -logits()[1], "ranks fakes above real"),
        (-torch.arange(1.0, 50.0), torch.arange(1.0, 50.0), "ranks every fake above"),
    ],
)
def test_logits_that_cannot_be_calibrated_are_refused(real, fake, message):
    with pytest.raises(ValueError, match=message):
        fit_logistic(real, fake)


@pytest.mark.parametrize("ceiling", [-math.inf, math.nan])
def test_a_ceiling_that_makes_no_sense_is_refused(ceiling):
    with pytest.raises(ValueError, match="ceiling: expected a number or"):
        Logistic(1.0, 0.0, ceiling)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_makes_no_sense_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        Logistic(scale)


def test_held_out_rows_are_taken_as_images_are_and_a_quantile_has_to_be_one():
    gan = GAN(nn.Identity(), nn.Linear(2, 1), 2).frozen()
    rows = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    real, fake = held_out_logits(gan, rows, torch.Generator().manual_seed(1), batch_size=3)
    torch.testing.assert_close(real, gan.logit(rows))
    torch.testing.assert_close(fake, gan.logit(gan.prior(7, torch.Generator().manual_seed(1))))
    with pytest.raises(ValueError, match="ceiling_quantile: expected a number from 0 to 1, got 1.5"):
        fit_logistic(real, fake, 1.5)
    with pytest.raises(ValueError, match="calibration: expected one of gans.calibration, got <function"):
        LatentTarget(gan, lambda logit: logit)


@pytest.mark.parametrize("seed", range(8))
def test_one_wild_logit_does_not_stop_the_fit(seed):
    real, fake = logits(200, 200, seed=seed)
    wild = fake.clone()
    wild[0] = -1e5
    fit, without = fit_logistic(real, wild, None), fit_logistic(real, fake[1:], None)
    assert (fit.scale, fit.offset) == pytest.approx((without.scale, without.offset), rel=0.02, abs=0.02)


def test_a_map_that_falls_or_stands_on_one_place_is_refused():
    numbers = torch.tensor
    with pytest.raises(ValueError, match="knots: expected each to be larger"):
        Isotonic(numbers([0.0, 0.0]), numbers([-1.0, 1.0]))
    with pytest.raises(ValueError, match="values: expected none to be smaller"):
        Isotonic(numbers([0.0, 1.0]), numbers([1.0, -1.0]))
    with pytest.raises(
        ValueError, match=r"knots, values: expected shapes \(k,\) and \(k,\), k > 0, got \(2,\) and"
    ):
        Isotonic(numbers([0.0, 1.0]), numbers([1.0]))
    with pytest.raises(ValueError, match="expected logits that differ"):
        fit_logistic(torch.zeros(10), torch.zeros(10))
    with pytest.raises(ValueError, match="bins: expected at least 1, got 0"):
        reliability_curve(Logistic(1.0, 0.0), torch.randn(9), torch.randn(9), bins=0)


def test_a_reliability_curve_by_hand():
    """Two real ones and a fake one in [0.5, 0.6), one real at p = 1: a real one weighs 1/6, the fake 1/2."""
    real = torch.cat([torch.logit(torch.tensor([0.56, 0.58]).double()), torch.tensor([60.0]).double()])
    fake = torch.logit(torch.tensor([0.52]).double())
    found = reliability_curve(Identity(), real, fake)
    mass = 2 / 6 + 1 / 2
    assert found.predicted.tolist() == pytest.approx([(0.56 / 6 + 0.58 / 6 + 0.52 / 2) / mass, 1.0])
    assert found.observed.tolist() == pytest.approx([(2 / 6) / mass, 1.0])
    assert found.count.tolist() == [3, 1]


def test_beyond_its_knots_an_isotonic_map_is_flat():
    steps = Isotonic(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([-1.0, 0.0, 1.0]))
    got = steps(torch.tensor([-9.0, 0.0, 0.25, 2.0, 3.0, 99.0]))
    assert got.tolist() == pytest.approx([-1.0, -1.0, -0.75, 0.5, 1.0, 1.0]) and steps.ceiling == 1.0


def test_held_out_logits_are_of_a_frozen_gan():
    with pytest.raises(ValueError, match="pass gan.frozen"):
        held_out_logits(GAN(nn.Identity(), nn.Linear(2, 1), 2), torch.zeros(7, 2), generator(0))


def test_the_ceiling_may_be_the_least_or_the_largest_logit_of_all():
    real, fake = torch.tensor([1.0, 3.0, -0.5]), torch.tensor([-1.0, 0.5, -3.0])
    low, high = (fit_logistic(real, fake, q) for q in (0.0, 1.0))
    y = high.uncapped(real.double())
    assert high.ceiling == pytest.approx(float(y.max())) and low.ceiling == pytest.approx(float(y.min()))


def test_classes_that_touch_in_one_logit_are_separate():
    with pytest.raises(ValueError, match="separate the classes, so no"):
        fit_logistic(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, -1.0, -2.0]))
    with pytest.raises(ValueError, match="ranks every fake above"):
        fit_logistic(torch.tensor([0.0, -1.0, -2.0]), torch.tensor([0.0, 1.0, 2.0]))
