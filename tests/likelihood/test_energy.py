"""Energies beside linear algebra and scikit-learn, and the two losses beside the distances that they are
of: Gaussians for score matching, tables of bits for ratio matching."""

import math

import pytest
import torch
from torch import nn

from ganedu.likelihood.energy import PCA, KMeans, ratio_matching, score_matching


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


X = normal(60, 4) @ normal(4, 4, seed=1) + torch.tensor([5.0, -1.0, 0.0, 2.0])


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_mean_energy_of_pca_is_the_sum_of_the_variances_left_out(k):
    """Eckart and Young; and no other plane of that dimension has less, 20 of them tried."""
    pca = PCA.fit(X, k)
    spectrum = torch.linalg.eigvalsh(torch.cov(X.T, correction=0))
    assert float(pca(X).mean()) == pytest.approx(float(spectrum[: 4 - k].sum()), abs=1e-10)
    for seed in range(20):
        other = torch.linalg.qr(normal(4, k, seed=seed)).Q.T
        assert PCA(pca.mean, other)(X).mean() > pca(X).mean() - 1e-9


def test_the_energy_of_pca_is_that_of_scikit_learn_and_zero_on_its_plane():
    from sklearn.decomposition import PCA as Reference

    pca, reference = PCA.fit(X, 2), Reference(2).fit(X.numpy())
    restored = torch.tensor(reference.inverse_transform(reference.transform(X.numpy())))
    torch.testing.assert_close(pca(X), (X - restored).square().sum(1))
    assert pca(pca.mean + normal(9, 2) @ pca.components).abs().max() < 1e-20
    # Power: without the mean, as on the slide, this data is restored otherwise.
    assert (PCA(torch.zeros(4).double(), pca.components)(X) - pca(X)).abs().max() > 0.1


CLUSTERS = torch.cat([0.1 * normal(30, 2, seed=i) + 4 * torch.tensor([i, i % 2]) for i in range(3)])


def test_kmeans_finds_what_scikit_learn_finds():
    from sklearn.cluster import KMeans as Reference

    fits = [KMeans.fit(CLUSTERS, 3, rng(seed)) for seed in range(5)]
    best = min(fits, key=lambda fit: float(fit(CLUSTERS).sum()))
    reference = Reference(3, n_init=10, random_state=0).fit(CLUSTERS.numpy())
    assert float(best(CLUSTERS).sum()) == pytest.approx(reference.inertia_, rel=1e-9)
    torch.testing.assert_close(
        best.centres.sort(0).values, torch.tensor(reference.cluster_centers_).sort(0).values
    )


def test_the_energy_of_kmeans_is_the_squared_distance_to_the_nearest_centre():
    energy = KMeans(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    assert energy(torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, 0.0]])).tolist() == [1.0, 1.0, 0.0]


def test_clusters_far_from_the_origin_are_found_in_single_precision():
    """Squares of 1e4 have a spacing of 8 there, and the clusters are 4 apart."""
    far = (CLUSTERS + 1e4).float()
    fits = [KMeans.fit(far, 3, rng(seed)) for seed in range(5)]
    best = min(float(fit(far).mean()) for fit in fits)
    near = min(float(KMeans.fit(CLUSTERS, 3, rng(seed))(CLUSTERS).mean()) for seed in range(5))
    assert best == pytest.approx(near, rel=0.05)


def test_lloyds_steps_never_raise_the_mean_energy():
    sums = [float(KMeans.fit(X, 5, rng(3), n_steps=n)(X).sum()) for n in range(1, 12)]
    assert all(a >= b - 1e-9 for a, b in zip(sums, sums[1:], strict=False)) and sums[0] > sums[-1]


def test_a_centre_without_rows_stays_where_it_is():
    """Of two equal centres the first has all the rows."""
    x = torch.full((4, 1), 3.0)
    assert KMeans.fit(x, 2, rng()).centres.tolist() == [[3.0], [3.0]]


# P = N(M, S), q = N(B, K⁻¹), and draws that have the moments of P exactly.
M = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
ROOT = normal(3, 3, seed=4) + 2 * torch.eye(3)
S = ROOT @ ROOT.T
B = normal(3, seed=5)
K = (lambda a: a @ a.T + torch.eye(3))(normal(3, 3, seed=6))


def exact_draws(n=40):
    x = normal(n, 3, seed=7)
    x = x - x.mean(0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(x.T @ x / n)).T
    return M + x @ whiten @ ROOT.T


def quadratic(mean, precision):
    return lambda x: 0.5 * torch.einsum("ni,ij,nj->n", x - mean, precision, x - mean)


def fisher(mean, precision):
    """½ E_P |∇log p - ∇log q|², by hand: the difference is affine in x."""
    inverse = torch.linalg.inv(S)
    slope = precision - inverse
    offset = precision @ (M - mean)
    return 0.5 * (torch.trace(slope @ S @ slope.T) + offset @ offset)


def without_half(energy, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x)
    return score_matching(energy, x) + 0.5 * slope.square().sum(1)


def curvature_added(energy, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x)
    return slope.square().sum(1) - score_matching(energy, x)


def one_curvature(energy, x):
    """ΔE by one backward pass through the sum of the slope: the whole Hessian's sum, not its trace."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    (rows,) = torch.autograd.grad(slope.sum(), x)
    return 0.5 * slope.square().sum(1) - rows.sum(1)


def spread(loss):
    """loss - Fisher's distance, which has to be one constant over 20 q: the largest difference."""
    x = exact_draws()
    gaps = []
    for seed in range(20):
        mean = normal(3, seed=seed)
        a = normal(3, 3, seed=100 + seed)
        precision = a @ a.T / 3 + 0.2 * torch.eye(3)
        value = loss(quadratic(mean, precision), x).mean() - fisher(mean, precision)
        gaps.append(float(value.detach()))
    return max(gaps) - min(gaps), gaps[0]


def test_score_matching_is_fishers_distance_but_for_a_constant():
    """And the constant is -½ E |∇log p|² = -½ tr S⁻¹ (Hyvärinen 2005, theorem 1)."""
    difference, constant = spread(score_matching)
    assert difference < 1e-9
    assert constant == pytest.approx(-0.5 * float(torch.trace(torch.linalg.inv(S))), abs=1e-9)
    for wrong in (without_half, curvature_added, one_curvature):
        assert spread(wrong)[0] > 0.1, wrong.__name__


def test_score_matching_does_not_see_the_normaliser():
    x = exact_draws()
    plain, shifted = (score_matching(lambda x, c=c: quadratic(B, K)(x) + c, x) for c in (0.0, 77.0))
    torch.testing.assert_close(plain, shifted)


def test_the_best_gaussian_by_score_matching_is_that_of_maximum_likelihood():
    """The gradient of the mean loss is 0 at q = P and nowhere near it at another."""
    x = exact_draws()
    for mean, precision, at_rest in ((M, torch.linalg.inv(S), True), (B, K, False)):
        mean, precision = mean.clone().requires_grad_(), precision.clone().requires_grad_()
        loss = score_matching(quadratic(mean, precision), x).mean()
        size = max(float(g.abs().max()) for g in torch.autograd.grad(loss, [mean, precision]))
        assert (size < 1e-9) == at_rest


def test_score_matching_of_a_network_against_differences():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).double()
    x, h = normal(5, 3), 1e-4
    with torch.no_grad():
        shifts = h * torch.eye(3).double()
        slope = torch.stack([(net(x + s) - net(x - s)) / (2 * h) for s in shifts], 1)
        curvature = sum((net(x + s) + net(x - s) - 2 * net(x)) / h**2 for s in shifts)
    loss = score_matching(net, x)
    torch.testing.assert_close(loss.detach(), 0.5 * slope.square().sum(1) - curvature, atol=1e-6, rtol=0)
    loss.mean().backward()
    assert net[0].weight.grad.abs().max() > 0


def test_a_linear_energy_has_no_curvature_and_one_that_ignores_an_axis_none_along_it():
    w = normal(3, seed=2)
    torch.testing.assert_close(score_matching(lambda x: x @ w, normal(4, 3)), (w @ w / 2).expand(4))
    x = normal(4, 3)
    torch.testing.assert_close(
        score_matching(lambda x: 0.5 * x[:, 0].square(), x), 0.5 * x[:, 0].square() - 1
    )
    v = w.clone().requires_grad_()  # a graph of the parameters alone
    torch.testing.assert_close(score_matching(lambda x: x @ v, x).detach(), (w @ w / 2).expand(4))


BITS = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
CODES = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
WEIGHTS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
LAW = WEIGHTS.double() / WEIGHTS.sum()
DATA = BITS.repeat_interleave(WEIGHTS, 0)


def table(values):
    return lambda x: values[(x @ CODES).long()]


def hyvarinens(q):
    """½ E_P Σ_i [g(P(x)/P(x')) - g(q(x)/q(x'))]² + [g(P(x')/P(x)) - g(q(x')/q(x))]², g(u) = 1/(1+u), as the
    sum that it is defined as (Hyvärinen 2007)."""

    def g(u):
        return 1 / (1 + u)

    total = 0.0
    for i, x in enumerate(BITS):
        for bit in range(3):
            y = x.clone()
            y[bit] = 1 - y[bit]
            j = int(y @ CODES)
            one = g(LAW[i] / LAW[j]) - g(q[i] / q[j])
            two = g(LAW[j] / LAW[i]) - g(q[j] / q[i])
            total += 0.5 * float(LAW[i] * (one**2 + two**2))
    return total


def gaps(loss):
    found = []
    for seed in range(20):
        q = normal(8, seed=seed).softmax(0)
        found.append(float(loss(table(-q.log()), DATA).mean()) - hyvarinens(q))
    return max(found) - min(found)


def unsquared(energy, x):
    neighbours = (x[:, None] - torch.eye(3)).abs().reshape(-1, 3)
    return torch.sigmoid(energy(x)[:, None] - energy(neighbours).reshape(-1, 3)).sum(1)


def wrong_sign(energy, x):
    return ratio_matching(lambda x: -energy(x), x)


def one_bit(energy, x):
    neighbours = (x - torch.tensor([1.0, 0, 0])).abs()
    return torch.sigmoid(energy(x) - energy(neighbours)).square()


def test_ratio_matching_is_the_distance_between_odds_but_for_a_constant():
    assert gaps(ratio_matching) < 1e-12
    for wrong in (unsquared, wrong_sign, one_bit):
        assert gaps(wrong) > 1e-2, wrong.__name__


def test_energies_in_a_column_are_those_in_a_row():
    energy = table(-LAW.log())
    torch.testing.assert_close(
        ratio_matching(lambda x: energy(x)[:, None], DATA), ratio_matching(energy, DATA)
    )


def test_ratio_matching_is_least_at_the_law_of_the_data():
    values = (-LAW.log()).requires_grad_()
    (gradient,) = torch.autograd.grad(ratio_matching(table(values), DATA).mean(), values)
    assert gradient.abs().max() < 1e-15
    start = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    for _ in range(400):
        (slope,) = torch.autograd.grad(ratio_matching(table(start), DATA).mean(), start)
        start = (start - 8 * slope).detach().requires_grad_()
    torch.testing.assert_close((-start).softmax(0).detach(), LAW, atol=1e-4, rtol=0)


def test_ratio_matching_does_not_see_the_normaliser_and_stays_finite():
    values = normal(8)
    torch.testing.assert_close(
        ratio_matching(table(values), DATA), ratio_matching(table(values + 55.0), DATA)
    )
    assert ratio_matching(table(1e4 * values), DATA).isfinite().all()
    worst = ratio_matching(table(torch.tensor([0.0] * 7 + [math.inf])), BITS[7:])
    assert float(worst) == 3.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PCA.fit(X, 5), r"k: expected at most 4 for x of shape \(60, 4\), got 5"),
        (lambda: PCA.fit(X, 0), "k: expected an int of at least 1, got 0"),
        (lambda: KMeans.fit(X[:3], 4, rng()), "k: expected at most 3 for as many rows of x, got 4"),
        (lambda: ratio_matching(table(LAW), 2 * DATA), "x: expected zeros and ones, got 2 among them"),
        (lambda: ratio_matching(table(LAW), DATA[0]), r"x: expected .* shape \(n, d\), got shape \(3,\)"),
        (
            lambda: ratio_matching(lambda x: x, BITS),
            r"energy: expected values of shape \(8,\), got \(8, 3\)",
        ),
        (
            lambda: score_matching(lambda x: x.square().sum(-1).mean(), X),
            r"energy: expected values of shape \(60,\), got \(\)",
        ),
        (lambda: score_matching(table(LAW), X[0]), r"x: expected floats of shape \(n, d\), got .*\(4,\)"),
        (
            lambda: PCA.fit(X[0], 1),
            r"x: expected floats of shape \(n, d\), got .* of shape \(4,\)",
        ),
        (lambda: PCA.fit(X.long(), 1), "x: expected floats of shape .n, d., got torch.int64"),
        (lambda: KMeans.fit(X[:, 0], 2, rng()), r"x: expected floats of shape \(n, d\), got .*\(60,\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
