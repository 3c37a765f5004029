"""MMD² against closed forms of Gaussians, loops over pairs, and scikit-learn's kernels.

Monte Carlo comparisons are to 5 standard errors with fixed seeds: drawn anew, one would fail by luck once in
1.7 million times.
"""

import math

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RationalQuadratic as TheirQuadratic
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from ganedu.divergences.mmd import (
    RBF,
    Features,
    Polynomial,
    RationalQuadratic,
    Sum,
    linear_terms,
    mmd2_biased,
    mmd2_linear,
    mmd2_unbiased,
    squared_distances,
    witness,
)
from ganedu.rng import generator


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


X, Y = normal(13, 3), 0.7 * normal(9, 3, seed=1) + 0.4
KERNELS = {
    "RBF": RBF(),
    "one width": RBF((0.7,)),
    "rational quadratic": RationalQuadratic(),
    "dot": Features(),
    "features": Features(lambda x: torch.cat([x, x.square()], 1)),
    "polynomial": Polynomial(),
    "sum": Sum((RationalQuadratic(), Features())),
}
THEIRS = {
    "RBF": lambda x, y: sum(rbf_kernel(x, y, gamma=0.5 / sigma**2) for sigma in (1, 2, 4, 8, 16)),
    "one width": lambda x, y: rbf_kernel(x, y, gamma=0.5 / 0.49),
    "rational quadratic": lambda x, y: sum(TheirQuadratic(1.0, alpha)(x, y) for alpha in (0.1, 1, 10)),
    "dot": lambda x, y: x @ y.T,
    "features": lambda x, y: x @ y.T + x**2 @ (y**2).T,
    "polynomial": lambda x, y: polynomial_kernel(x, y, degree=3),
    "sum": lambda x, y: sum(TheirQuadratic(1.0, alpha)(x, y) for alpha in (0.1, 1, 10)) + x @ y.T,
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_kernels_are_scikit_learns(name):
    kernel = KERNELS[name]
    expect = torch.from_numpy(THEIRS[name](X.numpy(), Y.numpy()))
    torch.testing.assert_close(kernel.gram(X, Y), expect, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(kernel.pairs(X[:9], Y), expect.diagonal(), rtol=1e-12, atol=1e-12)
    # Images are flattened, but for a feature map, which knows what it wants.
    if name != "features":
        x, y = X[:, :, None, None], Y[:, :, None, None]
        torch.testing.assert_close(kernel.gram(x, y), expect, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(kernel.pairs(x[:9], y), expect.diagonal(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_the_estimators_are_their_sums_over_pairs(name):
    """Gretton et al. 2012, eqs. 3, 5 and lemma 14, as loops."""
    kernel = KERNELS[name]

    def k(a, b):
        return float(kernel.gram(a[None], b[None]))

    n, m = len(X), len(Y)
    across = sum(k(a, b) for a in X for b in Y) / (n * m)
    biased = sum(k(a, b) for a in X for b in X) / n**2 + sum(k(a, b) for a in Y for b in Y) / m**2
    within = sum(k(X[i], X[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(k(Y[i], Y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    assert float(mmd2_biased(X, Y, kernel)) == pytest.approx(biased - 2 * across, rel=1e-10)
    assert float(mmd2_unbiased(X, Y, kernel)) == pytest.approx(within - 2 * across, rel=1e-10)
    terms = [
        k(X[i], X[i + 1]) + k(Y[i], Y[i + 1]) - k(X[i], Y[i + 1]) - k(X[i + 1], Y[i]) for i in (0, 2, 4, 6)
    ]
    found = linear_terms(X[:9], Y, kernel)
    torch.testing.assert_close(found, torch.tensor(terms, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    assert float(mmd2_linear(X[:9], Y, kernel)) == pytest.approx(sum(terms) / 4, rel=1e-10)


MEANS = torch.tensor([0.0, 0.0]).double(), torch.tensor([0.5, -0.3]).double()
COVS = torch.tensor([[1.0, 0.3], [0.3, 0.5]]).double(), torch.tensor([[0.6, -0.2], [-0.2, 1.4]]).double()


def expected_rbf(i, j, sigmas):
    """E k(x, y) of Gaussians i and j: x - y is a Gaussian, and its density's convolution with the kernel's,
    at 0, is one: |I + S/σ²|^-½ exp(-½ δᵀ (S + σ² I)⁻¹ δ), S the sum of the covariances."""
    delta, s, total = MEANS[i] - MEANS[j], COVS[i] + COVS[j], 0.0
    for sigma in sigmas:
        wide = s + sigma**2 * torch.eye(2).double()
        volume = torch.linalg.det(wide / sigma**2).sqrt()
        total += float((-0.5 * delta @ torch.linalg.solve(wide, delta)).exp() / volume)
    return total


def exact_mmd2(sigmas):
    return expected_rbf(0, 0, sigmas) + expected_rbf(1, 1, sigmas) - 2 * expected_rbf(0, 1, sigmas)


def draws(i, n, seed):
    return MEANS[i] + normal(n, 2, seed=seed) @ torch.linalg.cholesky(COVS[i]).T


def replicates(estimate, kernel, n, m, count):
    """(count,) estimates, each from n and m fresh draws."""
    x, y = draws(0, count * n, 7).view(count, n, 2), draws(1, count * m, 8).view(count, m, 2)
    return torch.stack([estimate(a, b, kernel) for a, b in zip(x, y, strict=True)])


def z_score(values, expected):
    return float((values.mean() - expected) / values.std() * math.sqrt(len(values)))


@pytest.mark.parametrize("kernel", [RBF(), RBF((0.5,))], ids=["mixture", "narrow"])
def test_the_mean_of_the_unbiased_estimators_is_the_closed_form_of_gaussians(kernel):
    exact = exact_mmd2(kernel.sigmas)
    assert exact > 0.01
    unbiased = replicates(mmd2_unbiased, kernel, 12, 8, 1500)
    assert abs(z_score(unbiased, exact)) < 5
    assert abs(z_score(linear_terms(draws(0, 80_000, 3), draws(1, 80_000, 4), kernel), exact)) < 5
    # The bias of the other one is known too: k(x, x) is the number of widths.
    k, count = len(kernel.sigmas), (12, 8)
    bias = sum((k - expected_rbf(i, i, kernel.sigmas)) / count[i] for i in (0, 1))
    biased = replicates(mmd2_biased, kernel, 12, 8, 1500)
    assert abs(z_score(biased, exact + bias)) < 5
    # Power: the biased one is no estimate of the closed form, nor is one that forgets a half.
    assert abs(z_score(biased, exact)) > 5
    half = replicates(lambda x, y, k: mmd2_unbiased(x, y, k) + kernel.gram(x, y).mean(), kernel, 12, 8, 1500)
    assert abs(z_score(half, exact)) > 5


def test_the_closed_form_is_that_of_quadrature():
    """One dimension of it, on a grid: so that two mistakes cannot cancel."""
    grid = torch.linspace(-12, 12, 1601, dtype=torch.float64)
    dx = float(grid[1] - grid[0])
    laws = [torch.distributions.Normal(MEANS[i][0], COVS[i][0, 0].sqrt()) for i in (0, 1)]
    density = [law.log_prob(grid).exp() * dx for law in laws]
    gram = RBF((0.5,)).gram(grid[:, None], grid[:, None])
    s = COVS[0][0, 0] + COVS[1][0, 0]
    expect = (0.25 / (s + 0.25)).sqrt() * (-0.5 * (MEANS[1][0]) ** 2 / (s + 0.25)).exp()
    assert float(density[0] @ gram @ density[1]) == pytest.approx(float(expect), rel=1e-9)


def test_with_a_feature_map_it_is_the_squared_distance_of_the_mean_features():
    phi = KERNELS["features"].phi
    expect = (phi(X).mean(0) - phi(Y).mean(0)).square().sum()
    torch.testing.assert_close(mmd2_biased(X, Y, KERNELS["features"]), expect)
    torch.testing.assert_close(mmd2_biased(X, Y, Features()), (X.mean(0) - Y.mean(0)).square().sum())


@pytest.mark.parametrize("name", KERNELS)
def test_the_witness_has_the_norm_and_the_gap_that_the_supremum_asks_for(name):
    """Its gap is MMD², and no function of unit norm has a larger one than MMD: 200 random ones tried."""
    kernel = KERNELS[name]
    mmd2 = mmd2_biased(X, Y, kernel)
    gap = witness(X, X, Y, kernel).mean() - witness(Y, X, Y, kernel).mean()
    torch.testing.assert_close(gap, mmd2)
    points = torch.cat([X, Y])
    gram = kernel.gram(points, points)
    own = torch.cat([torch.full((13,), 1 / 13), torch.full((9,), -1 / 9)]).double()
    for weights in (own, *normal(200, 22, seed=5)):
        norm = (weights @ gram @ weights).sqrt()
        values = gram @ weights / norm
        assert values[:13].mean() - values[13:].mean() <= mmd2.sqrt() * (1 + 1e-9)


@pytest.mark.parametrize("name", ["RBF", "rational quadratic", "sum"])
def test_gradients_and_their_gradients_are_those_of_differences(name):
    """Generators follow the first, gradient penalties of MMD-GANs need the second; also where points meet."""
    kernel = KERNELS[name]
    x, y = X[:4].clone().requires_grad_(), torch.cat([X[:1], Y[:2]]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: mmd2_unbiased(x, y, kernel), (x, y))
    assert torch.autograd.gradgradcheck(lambda x, y: mmd2_unbiased(x, y + 0.1, kernel), (x, y))
    (slope,) = torch.autograd.grad(kernel.gram(x, x).sum(), x)
    assert slope.isfinite().all()


@pytest.mark.parametrize("name", KERNELS)
def test_in_a_training_in_bfloat16_kernels_keep_their_digits(name):
    """Autocast would round the factors of each product to 3 digits, of which a difference has none. MMD-GANs
    are trained by the sum."""
    kernel, x, y = KERNELS[name], X.float() + 5, Y.float() + 5
    exact = float(mmd2_unbiased(x.double(), y.double(), kernel))
    with torch.autocast("cpu", torch.bfloat16):
        found = mmd2_unbiased(x, y, kernel)
        plain = (x @ y.mT).float()
    assert found.dtype == torch.float32 and float(found) == pytest.approx(exact, rel=1e-3, abs=1e-4)
    assert (plain - x @ y.mT).abs().max() > 0.05  # power: here products are rounded


def test_samples_of_two_precisions_meet_in_the_finer_one():
    for kernel in KERNELS.values():
        found = mmd2_biased(X.float(), Y, kernel)
        assert found.dtype == torch.float64
        expect = mmd2_biased(X.float().double(), Y, kernel)
        torch.testing.assert_close(found, expect, rtol=1e-5, atol=1e-7)
    assert mmd2_biased(X.bfloat16(), Y.bfloat16(), RBF()).dtype == torch.float32


def test_far_from_the_origin_single_precision_keeps_its_digits():
    x, y = normal(50, 4, dtype=torch.float32) + 1000, normal(40, 4, seed=1, dtype=torch.float32) + 1000
    exact = torch.cdist(x.double(), y.double()).square()
    torch.testing.assert_close(squared_distances(x, y).double(), exact, rtol=1e-5, atol=1e-5)
    naive = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T  # what the shift is there for
    assert (naive.double() - exact).abs().max() > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mmd2_biased(X[0], Y, RBF()),
            r"x: expected at least 1 points, shape \(n, d\), got shape \(3,\)",
        ),
        (lambda: mmd2_biased(X, Y[:0], RBF()), r"y: expected at least 1 points"),
        (lambda: mmd2_unbiased(X, Y[:1], RBF()), r"y: expected at least 2 points.*\(1, 3\)"),
        (lambda: mmd2_unbiased(X, Y[:, :2], RBF()), r"y: expected points of shape \(3,\), got \(2,\)"),
        (lambda: linear_terms(X, Y, RBF()), "y: expected as many points as x, 13, got 9"),
        (lambda: witness(X[:, :1], X, Y, RBF()), r"t: expected points of shape \(3,\), got \(1,\)"),
        (lambda: RBF((1.0, 0.0)), "sigmas: expected positive numbers, as a tuple, got"),
        (lambda: RBF(1.0), "sigmas: expected positive numbers, as a tuple, got 1.0"),
        (lambda: RationalQuadratic(()), "alphas: expected positive numbers, as a tuple, got"),
        (lambda: Sum(()), r"kernels: expected a tuple of at least one, got \(\)"),
        (lambda: Sum(RBF()), r"kernels: expected a tuple of at least one, got RBF\("),
        (lambda: Polynomial(-1), "degree: expected an int of at least 1, got -1"),
        (lambda: Polynomial(2.5), "degree: expected an int of at least 1, got 2.5"),
        (
            lambda: mmd2_biased(np.zeros((3, 2)), torch.zeros(3, 2), RBF()),
            r"x: expected a tensor, got ndarray; give torch.as_tensor\(x\)",
        ),
    ],
)
def test_what_is_no_sample_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("estimate", [mmd2_biased, mmd2_unbiased, mmd2_linear])
def test_where_the_origin_is_does_not_matter(estimate):
    """Products of points at 1,000 are 1e6, of which float32 has no hundredths; MMD² is 0.1 here."""
    x, y = normal(60, 4), normal(60, 4, seed=1) + 0.3
    kernel = Sum((RationalQuadratic(), Features()))
    # Points that float32 has exactly at either place.
    x, y = ((points * 1024).round() / 1024 for points in (x, y))
    expected = float(estimate(x, y, kernel))
    found = estimate((x + 1024).float(), (y + 1024).float(), kernel)
    assert found.dtype == torch.float32 and float(found) == pytest.approx(expected, rel=1e-5)


def test_a_far_point_does_not_blur_the_others():
    x = torch.cat([0.01 * normal(40, 2), torch.full((1, 2), 1e5, dtype=torch.float64)])
    far = squared_distances(x.float(), x.float())[:40, :40]
    exact = squared_distances(x[:40].float().double(), x[:40].float().double())
    torch.testing.assert_close(far.double(), exact, rtol=1e-2, atol=1e-5)


def test_a_polynomial_of_far_points_keeps_its_digits():
    """N(300, 1) and N(300.1, 1): products of 90,000 in float32 have no hundredths left."""
    rng = torch.Generator().manual_seed(0)
    x, y = (300.0 + shift + torch.randn(200, 2, generator=rng) for shift in (0.0, 0.1))
    exact = float(mmd2_unbiased(x.double(), y.double(), Polynomial(1)))
    assert float(mmd2_unbiased(x, y, Polynomial(1))) == pytest.approx(exact, rel=1e-5)
    dx, dy = x.mean(0), y.mean(0)  # degree 1: half the squared distance of means, less what points have alone
    own = (x.var(0).sum() / 200 + y.var(0).sum() / 200) / 2
    assert exact == pytest.approx(float((dx - dy).double().square().sum() / 2 - own), abs=1e-4)


def test_squared_distances_far_from_the_origin_in_double_precision_and_never_negative():
    x, y = normal(50, 4) + 1e7, normal(40, 4, seed=1) + 1e7
    exact = (x[:, None] - y).square().sum(-1)
    torch.testing.assert_close(squared_distances(x, y), exact, rtol=1e-9, atol=1e-9)
    z = 1e3 * normal(60, 4)
    assert (squared_distances(z, z) >= 0).all()


def test_the_witness_has_the_points_precision_and_wants_one_space():
    x, y = normal(6, 2), normal(5, 2, seed=1)
    for kernel in (RBF(), Polynomial()):
        assert witness(x.float(), x.float(), y.float(), kernel).dtype == torch.float32
    with pytest.raises(ValueError, match=r"y: expected points of shape \(2,\), got \(1,\)"):
        witness(x, x, x[:, :1], RBF())
    with pytest.raises(ValueError, match="x: expected at least 2 points"):
        linear_terms(x[:1], x[:1], RBF())
