"""The kernel distance against torchmetrics, moments in closed form, and leaving points out by hand."""

import math
import sys

import pytest
import torch

from ganedu.data import Images, to_float
from ganedu.divergences.mmd import RBF, Polynomial, mmd2_unbiased
from ganedu.metrics import fingerprint
from ganedu.metrics.kernel_distance import image_features, kernel_distance, mmd2_and_error
from ganedu.rng import generator
from tests.metrics.features import Features


@pytest.fixture
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Features().eval()


def pixels(n, seed, brightness=256):
    return torch.randint(0, brightness, (n, 3, 8, 8), generator=generator(seed), dtype=torch.uint8)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_it_is_torchmetrics_on_the_same_features(net):
    """Their subset is all of the images here: a permutation, which changes nothing."""
    kid = pytest.importorskip("torchmetrics.image.kid", reason="extra ganedu[metrics] is not installed")
    real, fake = pixels(300, 1), pixels(300, 2, brightness=200)
    with torch.no_grad():
        theirs = kid.poly_mmd(net(real).double(), net(fake).double())
    metric = kid.KernelInceptionDistance(feature=net, subsets=1, subset_size=300)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    with torch.random.fork_rng():
        mean, _ = metric.compute()
    found = kernel_distance(to_float(fake), net, image_features(to_float(real), net))
    assert found.value > 0.01 and found.value > 3 * found.standard_error
    assert found.value == pytest.approx(float(theirs), rel=1e-6)
    assert found.value == pytest.approx(float(mean), rel=1e-3)  # theirs is in single precision


@pytest.mark.parametrize("entries", [2**22, 40])
@pytest.mark.parametrize("kernel", [Polynomial(), RBF()])
def test_in_blocks_it_is_the_unbiased_mmd(kernel, entries, monkeypatch):
    monkeypatch.setattr(sys.modules[mmd2_and_error.__module__], "ENTRIES", entries)
    x, y = normal(33, 4), normal(21, 4, seed=1) + 0.3
    assert mmd2_and_error(x, y, kernel)[0] == pytest.approx(float(mmd2_unbiased(x, y, kernel)), rel=1e-10)


def test_the_error_is_the_jackknifes():
    """Every point left out in turn, by hand; the two samples are independent, so their variances add up."""
    x, y, kernel = normal(12, 3), normal(9, 3, seed=1) + 0.5, Polynomial()

    def variance(values):
        n = len(values)
        values = torch.stack(values)
        return float((values - values.mean()).square().sum()) * (n - 1) / n

    without_x = [mmd2_unbiased(torch.cat([x[:i], x[i + 1 :]]), y, kernel) for i in range(12)]
    without_y = [mmd2_unbiased(x, torch.cat([y[:i], y[i + 1 :]]), kernel) for i in range(9)]
    expect = math.sqrt(variance(without_x) + variance(without_y))
    assert mmd2_and_error(x, y, kernel)[1] == pytest.approx(expect, rel=1e-9)
    assert mmd2_and_error(x[:2], y, kernel)[1] == math.inf


def test_its_mean_is_known_by_moments_and_its_error_is_its_spread():
    """On the line (xy + 1)³ compares moments: MMD² = Δm₃² + 3 Δm₂² + 3 Δm₁². N(0, 1) against N(0.4, 1.2²):
    1,000 replicates of 60 and 40 points, the mean to 5 standard errors (one false alarm in 1.7 million), the
    stated error to 15% of the spread. Power: the biased estimate, and a variance of one sample alone."""
    m, s, count = 0.4, 1.2, 1000
    moments = [m, m**2 + s**2 - 1, m**3 + 3 * m * s**2]
    exact = moments[2] ** 2 + 3 * moments[1] ** 2 + 3 * moments[0] ** 2
    x, y = normal(count, 60, 1), m + s * normal(count, 40, 1, seed=1)
    found = torch.tensor([mmd2_and_error(a, b, Polynomial()) for a, b in zip(x, y, strict=True)]).double()
    value, error = found[:, 0], found[:, 1]
    spread = float(value.std())
    assert abs(float(value.mean()) - exact) < 5 * spread / math.sqrt(count)
    diagonal = sum(float(((z.square() + 1) ** 3).mean()) / n for z, n in ((x, 60), (y, 40)))
    assert diagonal / 2 > 5 * spread / math.sqrt(count)  # the bias, of which at least half is left
    assert float(error.square().mean().sqrt()) == pytest.approx(spread, rel=0.15)


def test_it_carries_what_it_depends_on(net):
    net.name = "toy"
    reference = image_features(Images(pixels(50, 1)), net)
    assert reference["n"] == 50 and reference["features"].shape == (50, 6)
    found = kernel_distance(to_float(pixels(40, 2)), net, reference)
    assert found.n == 40 and found.sha256 == fingerprint(net) == reference["sha256"]
    assert str(found).startswith("Kernel distance") and "± " in str(found) and "(n = 40, toy " in str(found)


def test_features_of_another_network_are_refused(net):
    reference = image_features(to_float(pixels(20, 1)), net)
    with torch.no_grad():
        net.body[0].bias[0] += 1
    with pytest.raises(ValueError, match="reference: expected features of Features .*, got Features"):
        kernel_distance(to_float(pixels(20, 2)), net, reference)


def test_one_image_is_refused(net):
    reference = image_features(to_float(pixels(20, 1)), net)
    with pytest.raises(ValueError, match="x: expected at least 2 points"):
        kernel_distance(to_float(pixels(1, 2)), net, reference)


def test_of_two_points_on_a_side_the_error_is_unknown():
    assert mmd2_and_error(normal(5, 2), normal(2, 2, seed=1), Polynomial())[1] == math.inf


def test_float32_features_are_summed_in_double_precision():
    x, y = normal(33, 4).float(), (normal(21, 4, seed=1) + 0.3).float()

    def gram(a, b):
        return (-0.5 * (a.double()[:, None] - b.double()).square().sum(-1)).exp()

    xx, yy = gram(x, x), gram(y, y)
    within = (xx.sum() - xx.trace()) / (33 * 32) + (yy.sum() - yy.trace()) / (21 * 20)
    exact = float(within - 2 * gram(x, y).mean())
    assert mmd2_and_error(x, y, RBF((1.0,)))[0] == pytest.approx(exact, rel=1e-10)


def test_a_block_has_a_row_at_least(monkeypatch):
    monkeypatch.setattr(sys.modules[mmd2_and_error.__module__], "ENTRIES", 10)
    x, y = normal(33, 4), normal(21, 4, seed=1) + 0.3
    assert mmd2_and_error(x, y, RBF())[0] == pytest.approx(float(mmd2_unbiased(x, y, RBF())), rel=1e-10)


@pytest.mark.parametrize("lost", ["network", "sha256"])
def test_features_that_do_not_say_whose_they_are_are_refused(net, lost):
    reference = image_features(to_float(pixels(20, 1)), net)
    with pytest.raises(ValueError, match=f"reference: expected features with .*, got no {lost}"):
        kernel_distance(to_float(pixels(20, 2)), net, {k: v for k, v in reference.items() if k != lost})
