"""The Frechet distance against closed forms, scipy's matrix root and torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import nn

from ganedu.data import Images, to_float
from ganedu.metrics import Measurement, feature_statistics, fingerprint, frechet, frechet_distance
from ganedu.rng import generator, initial_weights
from tests.metrics.features import Features


@pytest.fixture
def net() -> Features:
    return seeded(0)


def seeded(seed: int) -> Features:
    with initial_weights(seed):
        return Features().eval()


def pixels(n: int, seed: int, brightness: int = 256) -> torch.Tensor:
    return torch.randint(0, brightness, (n, 3, 8, 8), generator=generator(seed), dtype=torch.uint8)


def gaussian(d: int, seed: int, rank: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    rng = generator(seed)
    root = torch.randn(d, rank or d, generator=rng, dtype=torch.float64)
    return torch.randn(d, generator=rng, dtype=torch.float64), root @ root.T


@given(
    means=st.lists(st.floats(-5, 5), min_size=2, max_size=2),
    std=st.lists(st.floats(0, 3), min_size=2, max_size=2),
)
def test_in_one_dimension_it_is_the_squared_difference_of_means_and_of_widths(means, std):
    parts = [(torch.tensor([m]), torch.tensor([[s**2]])) for m, s in zip(means, std, strict=True)]
    expect = (means[0] - means[1]) ** 2 + (std[0] - std[1]) ** 2
    # Single precision in, so the variances carry a relative error of 6e-8.
    assert frechet(*parts[0], *parts[1]) == pytest.approx(expect, rel=1e-5, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(d=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_it_is_scipys_matrix_root(d, seed):
    (m, c), (k, e) = gaussian(d, seed), gaussian(d, seed + 1)
    cross = np.trace(sqrtm((c @ e).numpy()).real)
    expect = float((m - k).square().sum() + c.trace() + e.trace()) - 2 * cross
    assert frechet(m, c, k, e) == pytest.approx(expect, rel=1e-7, abs=1e-7)


@settings(max_examples=20, deadline=None)
@given(d=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_it_is_symmetric_and_blind_to_rotations_and_shifts(d, seed):
    p, q = gaussian(d, seed), gaussian(d, seed + 1)
    turn, _ = torch.linalg.qr(gaussian(d, seed + 2)[1])
    moved = [(turn @ mean + 3.0, turn @ cov @ turn.T) for mean, cov in (p, q)]
    value = frechet(*p, *q)
    assert value >= 0
    assert frechet(*q, *p) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert frechet(*moved[0], *moved[1]) == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_two_scales_of_one_singular_covariance_differ_by_the_square_of_roots():
    mean, cov = gaussian(64, 0, rank=5)
    assert abs(frechet(mean, cov, mean, cov)) < 1e-11 * float(cov.trace())
    assert frechet(mean, cov, mean, 9 * cov) == pytest.approx(4 * float(cov.trace()), rel=1e-12)


def test_orthogonal_supports_have_no_overlap():
    cov = torch.diag(torch.tensor([1.0, 0.0])), torch.diag(torch.tensor([0.0, 4.0]))
    assert frechet(torch.zeros(2), cov[0], torch.zeros(2), cov[1]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_q": torch.zeros(3)}, r"mean_q: expected \(2,\).*got \(3,\)"),
        ({"cov_p": torch.eye(3)}, r"cov_p: expected shape \(2, 2\), got \(3, 3\)"),
        ({"cov_q": torch.tensor([[1.0, 0.5], [0.0, 1.0]])}, "cov_q: expected a finite symmetric matrix"),
        ({"cov_q": torch.full((2, 2), torch.nan)}, "cov_q: expected a finite symmetric matrix"),
        ({"cov_p": torch.tensor([[1.0, 2.0], [2.0, 1.0]])}, "cov_p: expected no negative eigenvalue, got -1"),
    ],
)
def test_what_is_no_gaussian_is_named(change, message):
    good = dict(mean_p=torch.zeros(2), cov_p=torch.eye(2), mean_q=torch.zeros(2), cov_q=torch.eye(2))
    with pytest.raises(ValueError, match=message):
        frechet(**(good | change))


def test_statistics_are_numpys_whatever_the_batches(net, monkeypatch):
    x = to_float(pixels(1203, 0))
    features = net.features(x).detach().double().numpy()
    for batch in (500, 7, 5000):
        monkeypatch.setattr("ganedu.metrics.networks.BATCH", batch)
        found = feature_statistics(x, net)
        np.testing.assert_allclose(found["mean"], features.mean(0), rtol=0, atol=1e-6)
        np.testing.assert_allclose(found["cov"], np.cov(features.T), rtol=0, atol=1e-6)
    assert found["n"] == 1203 and found["mean"].dtype == found["cov"].dtype == torch.float64


def test_a_large_mean_costs_no_digits():
    class Far(nn.Module):
        def features(self, x):
            return x.flatten(1)[:, :4].double() + 1e7

    x = to_float(pixels(2000, 0))
    expect = np.cov(x.flatten(1)[:, :4].double().numpy().T)
    np.testing.assert_allclose(feature_statistics(x, Far().eval())["cov"], expect, rtol=1e-6, atol=1e-7)


def test_images_as_bytes_and_as_floats_give_the_same(net):
    raw = pixels(1000, 0)
    by_bytes, by_floats = feature_statistics(Images(raw), net), feature_statistics(to_float(raw), net)
    assert torch.equal(by_bytes["cov"], by_floats["cov"])


def test_it_is_torchmetrics_on_the_same_features(net):
    fid = pytest.importorskip("torchmetrics.image.fid", reason="extra ganedu[metrics] is not installed")
    real, fake = pixels(1500, 1), pixels(1100, 2, brightness=200)
    theirs = fid.FrechetInceptionDistance(feature=net, input_img_size=(3, 8, 8))
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    ours = frechet_distance(to_float(fake), net, feature_statistics(to_float(real), net))
    assert ours.value > 0.01
    assert ours.value == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_it_carries_what_it_depends_on(net):
    net.name = "toy"
    statistics = feature_statistics(to_float(pixels(1000, 1)), net)
    found = frechet_distance(to_float(pixels(1000, 2)), net, statistics)
    assert found.sha256 == fingerprint(net) == statistics["sha256"]
    assert str(found) == f"Frechet distance {found.value:.4g} (n = 1000, toy {fingerprint(net)[:8]})"


def test_the_fingerprint_tells_weights_apart_and_nothing_else(net):
    before = fingerprint(net)
    twin = seeded(1)
    assert fingerprint(twin) != before
    twin.load_state_dict(net.state_dict())
    assert fingerprint(twin.to(memory_format=torch.channels_last)) == before
    with torch.no_grad():
        twin.body[0].bias[3] += 1e-6
    assert fingerprint(twin) != before


def test_a_network_from_the_zoo_is_known_by_its_file(net):
    net.name, net.sha256, net.fingerprint = "cifar10-classifier", "1a2b3c4d" * 8, fingerprint(net)
    found = frechet_distance(
        to_float(pixels(1000, 2)), net, feature_statistics(to_float(pixels(1000, 1)), net)
    )
    assert str(found).endswith("(n = 1000, cifar10-classifier 1a2b3c4d)")
    statistics = feature_statistics(to_float(pixels(1000, 1)), net)
    with torch.no_grad():
        next(net.parameters()).mul_(1.5)  # no longer the file's
    with pytest.raises(
        ValueError, match="statistics: expected features of .*, got cifar10-classifier 1a2b3c"
    ):
        frechet_distance(to_float(pixels(1000, 2)), net, statistics)


def test_it_is_refused_below_a_thousand_images(net):
    statistics = feature_statistics(to_float(pixels(1000, 1)), net)
    with pytest.raises(ValueError, match="x: a Frechet distance needs at least 1,000 images, got 999"):
        frechet_distance(to_float(pixels(999, 2)), net, statistics)
    with pytest.raises(ValueError, match="statistics: .* got 999"):
        frechet_distance(to_float(pixels(1000, 2)), net, statistics | {"n": 999})


def test_statistics_of_another_network_are_refused(net):
    statistics = feature_statistics(to_float(pixels(1000, 1)), net)
    with pytest.raises(ValueError, match="statistics: expected features of Features .*, got Features"):
        frechet_distance(to_float(pixels(1000, 2)), seeded(1), statistics)


@pytest.mark.parametrize("part", ["whole", "one layer"])
def test_a_network_in_train_mode_is_refused(net, part):
    (net if part == "whole" else net.body[1]).train()
    with pytest.raises(ValueError, match="net: expected eval mode"):
        feature_statistics(to_float(pixels(4, 0)), net)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (pixels(4, 0), "images: expected floats.*uint8"),
        (torch.zeros(3, 8, 8), r"images: expected floats \(n, C, H, W\).*\(3, 8, 8\)"),
        (pixels(4, 0).float(), r"images: expected values in \[-1, 1\], got 0 to 255"),
        (torch.full((4, 3, 8, 8), torch.nan), r"images: expected values in \[-1, 1\], got nan"),
        (torch.zeros(1, 3, 8, 8), "images: a covariance needs at least 2, got 1"),
    ],
)
def test_what_is_no_set_of_images_is_named(net, x, message):
    with pytest.raises(ValueError, match=message):
        feature_statistics(x, net)


def test_a_broken_network_is_named(net):
    with torch.no_grad():
        net.body[0].bias[0] = torch.nan
    with pytest.raises(ValueError, match="net: expected finite outputs, got NaN or infinity from Features"):
        feature_statistics(to_float(pixels(4, 0)), net)


def test_covariances_without_full_rank_are_exact():
    """Two orthogonal projections of 200 dimensions each: |m|² + tr A + tr B, for √A B √A = 0."""
    d = 400
    basis = torch.linalg.qr(torch.randn(d, d, generator=generator(0), dtype=torch.float64)).Q
    one, two = (part @ part.T for part in (basis[:, :200], basis[:, 200:]))
    mean = torch.zeros(d, dtype=torch.float64)
    assert frechet(mean, one, mean, two) == pytest.approx(400.0, abs=1e-9)
    assert frechet(mean, one, mean, one) == pytest.approx(0.0, abs=1e-9)


def test_n_is_that_of_the_smaller_side(net):
    reference = feature_statistics(to_float(pixels(1001, 1)), net)
    assert frechet_distance(to_float(pixels(1000, 2)), net, reference).n == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_p": torch.tensor([0.0, torch.nan])}, "mean_p: expected .* finite, got NaN or infinity"),
        ({"mean_q": torch.tensor([0.0, torch.inf])}, "mean_q: expected .* finite, got NaN or infinity"),
        (
            {"mean_p": torch.zeros(2, 1), "mean_q": torch.zeros(2, 1)},
            r"mean_p: expected shape \(d,\), got \(2, 1\)",
        ),
    ],
)
def test_means_that_are_none_are_named(change, message):
    good = dict(mean_p=torch.zeros(2), cov_p=torch.eye(2), mean_q=torch.zeros(2), cov_q=torch.eye(2))
    with pytest.raises(ValueError, match=message):
        frechet(**good | change)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_what_is_symmetric_and_positive_is_relative_to_its_size(scale):
    zero, eye = torch.zeros(2), torch.eye(2, dtype=torch.float64)

    def skew(by):
        return scale * torch.tensor([[1.0, 0.5 + by], [0.5, 1.0]], dtype=torch.float64)

    def negative(by):
        return scale * torch.diag(torch.tensor([1.0, -by], dtype=torch.float64))

    for off, message in ((skew, "a finite symmetric"), (negative, "no negative eigenvalue")):
        assert frechet(zero, off(1e-8), zero, off(0.0)) == pytest.approx(0.0, abs=1e-6 * scale)
        with pytest.raises(ValueError, match=f"cov_q: expected {message}"):
            frechet(zero, eye, zero, off(1e-4))


def test_statistics_in_float32_are_compared_in_double_precision():
    """Of diagonal covariances: |Δm|² + Σ (√a - √b)²."""
    mean, var = torch.tensor([[0.1, 0.7], [0.3, 1.9]]), torch.tensor([[0.1, 12.3], [0.7, 3.3]])
    exact = mean.double().diff(dim=0).square().sum() + var.double().sqrt().diff(dim=0).square().sum()
    found = frechet(mean[0], torch.diag(var[0]), mean[1], torch.diag(var[1]))
    assert found == pytest.approx(float(exact), rel=1e-12)


class Named(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, value in parts.items():
            self.register_buffer(name, value)


def test_the_fingerprint_is_of_names_kinds_shapes_and_values_in_any_order(net):
    one, two = torch.zeros(4), torch.ones(4)
    whole = fingerprint(Named(a=one, b=two))
    assert fingerprint(Named(b=two, a=one)) == whole
    for other in (
        Named(a=one, c=two),
        Named(a=one.view(2, 2), b=two),
        Named(a=one.view(torch.int32), b=two),
        Named(a=two, b=one),
    ):
        assert fingerprint(other) != whole
    before = fingerprint(net)
    net.body[1].running_mean += 0.5  # of BatchNorm: no parameter
    assert fingerprint(net) != before


def test_images_below_minus_one_and_features_that_are_maps_are_refused(net):
    x = torch.zeros(4, 3, 8, 8)
    low = x.clone()
    low[0, 0, 0, 0] = -3.0
    with pytest.raises(ValueError, match=r"images: expected values in \[-1, 1\], got -3 to 0"):
        feature_statistics(low, net)
    net.features = lambda images: images
    with pytest.raises(ValueError, match=r"net: expected outputs \(n, k\), got shape \(4, 3, 8, 8\)"):
        feature_statistics(x, net)


def test_an_error_of_nothing_is_still_an_error():
    assert "± 0 (n = 3" in str(Measurement(1.0, 3, "Score", "toy", "a" * 64, standard_error=0.0))
