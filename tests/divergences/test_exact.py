"""Exact values: quadrature against closed forms, sums over atoms against the definition, and table 3."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize
from scipy.special import rel_entr
from scipy.stats import norm
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from ganedu.data import GaussianMixture
from ganedu.divergences import (
    F_DIVERGENCES,
    GAN,
    KL,
    Alpha,
    Gaussian,
    JensenShannon,
    TotalVariation,
    WeightedJensenShannon,
    best_gaussian,
    discrete_f_divergence,
    f_divergence,
    gaussian_f_divergence,
    gaussian_kl,
    log_gaussian_integral,
)
from ganedu.divergences.exact import _starts
from ganedu.rng import generator

CLOSED = ["KL", "reverse KL", "Pearson", "Neyman", "squared Hellinger", "Jeffrey", "alpha < 1", "alpha > 1"]
LOW, HIGH = -30.0, 30.0


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def line(mean: float, std: float):
    return lambda x: torch.distributions.Normal(tensor(mean), tensor(std)).log_prob(x)


def one_dim(mean: float, std: float) -> Gaussian:
    return Gaussian(tensor(mean), tensor(std**2)[None])


MIXTURE = GaussianMixture(tensor(-1.0, 2.0)[:, None], tensor(0.255, 1.415), tensor(0.33, 0.67))


def log_p(x: torch.Tensor) -> torch.Tensor:
    return MIXTURE.log_prob(x[:, None])


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("q", [(0.4, 1.1), (-0.7, 0.95)])
def test_quadrature_is_the_closed_form_between_gaussians(name, q):
    divergence = F_DIVERGENCES[name]
    closed = gaussian_f_divergence(divergence, one_dim(0.0, 1.0), one_dim(*q))
    found = f_divergence(divergence, line(0.0, 1.0), line(*q), LOW, HIGH)
    torch.testing.assert_close(found, closed, rtol=1e-9, atol=1e-9)
    # Power: P and Q exchanged, where that makes a difference.
    if name not in ("squared Hellinger", "Jeffrey", "alpha < 1"):
        assert abs(gaussian_f_divergence(divergence, one_dim(*q), one_dim(0.0, 1.0)) - closed) > 1e-3


@pytest.mark.parametrize("alpha", [-1.5, -0.3, 0.2, 0.8, 1.3, 2.5])
def test_quadrature_of_alpha_divergences(alpha):
    p, q = (0.0, 1.0), (0.3, 1.15 if alpha > 1 else 0.9)
    closed = gaussian_f_divergence(Alpha(alpha), one_dim(*p), one_dim(*q))
    torch.testing.assert_close(f_divergence(Alpha(alpha), line(*p), line(*q), LOW, HIGH), closed)


BOUNDED = {"Jensen-Shannon": 2 * math.log(2), "GAN": 0.0, "squared Hellinger": 2.0, "total variation": 1.0}


@pytest.mark.parametrize("apart", [30.0, 60.0, 200.0])
@pytest.mark.parametrize("name", BOUNDED)
def test_far_apart_a_bounded_divergence_is_at_its_bound(name, apart):
    """p/q goes up to e^20,000 there. And the gradient in the distance is 0: what a GAN suffers from."""
    at = tensor(apart)[0].requires_grad_()
    found = f_divergence(
        F_DIVERGENCES[name], line(0, 1), lambda x: -0.5 * (x - at).square() - 0.9189385332, -10, apart + 10
    )
    assert float(found.detach()) == pytest.approx(BOUNDED[name], abs=1e-8)
    (slope,) = torch.autograd.grad(found, at)
    assert abs(float(slope)) < 1e-8


def test_gradients_are_numbers_where_p_has_died_out_before_q():
    """d KL(N(0, ½²) || N(m, 1)) / dm = m, where p/q is e^-1,350 at the ends."""
    mean = tensor(0.7)[0].requires_grad_()
    value = f_divergence(KL(), line(0, 0.5), lambda x: -0.5 * (x - mean).square() - 0.9189385332, LOW, HIGH)
    value.backward()
    assert float(mean.grad) == pytest.approx(0.7, abs=1e-6)


def test_boxes_have_densities_that_are_zero():
    """Uniform on [0, 1] and [s, 1 + s]: TV is s, 2 JSD 2 s log 2; the trapezoid rule pays its step."""

    def box(low):
        return lambda x: torch.where((x > low) & (x < low + 1), 0.0, -math.inf).double()

    for s in (0.25, 0.6):
        for name, expect in (("Jensen-Shannon", 2 * s * math.log(2)), ("total variation", s)):
            found = f_divergence(F_DIVERGENCES[name], box(0.0), box(s), -1, 3, points=40_001)
            assert float(found) == pytest.approx(expect, abs=5e-4)
    with pytest.raises(ValueError, match="low, high: expected an interval with p/q within float64"):
        f_divergence(KL(), box(0.0), box(0.25), -1, 3)


def test_where_f_is_slow_to_arrive_nothing_is_made_up():
    """α = 0.99 is still 10% from its limit at the largest ratio of float64."""
    with pytest.raises(ValueError, match="low, high: expected an interval"):
        f_divergence(Alpha(0.99), line(0, 1), line(60, 1), -10, 70)


def test_an_atom_that_p_lacks_leaves_the_gradient_a_number():
    """∂/∂q of Σ p log(p/q) is -p/q, also where p is 0; of 2 JSD it is log(2q/(p + q))."""
    p, q = tensor(0.5, 0.5, 0.0), tensor(0.4, 0.4, 0.2).requires_grad_()
    for divergence, expect in ((KL(), -p / q), (JensenShannon(), (2 * q / (p + q)).log())):
        (slope,) = torch.autograd.grad(discrete_f_divergence(divergence, p, q), q)
        torch.testing.assert_close(slope, expect.detach())


def test_total_variation_of_shifted_gaussians():
    """2 Φ(δ / 2σ) - 1; the quadrature pays (step)² for the kink."""
    closed = gaussian_f_divergence(TotalVariation(), one_dim(0.0, 1.3), one_dim(0.8, 1.3))
    assert float(closed) == pytest.approx(2 * norm.cdf(0.8 / 2.6) - 1, abs=1e-14)
    found = f_divergence(TotalVariation(), line(0.0, 1.3), line(0.8, 1.3), LOW, HIGH)
    assert float(found) == pytest.approx(float(closed), abs=1e-6)


def test_closed_forms_in_three_dimensions():
    """KL by torch's own; ∫ p^α q^(1-α) in a basis that makes both covariances diagonal, as a product of
    integrals on lines, each by quadrature."""
    draw = torch.Generator().manual_seed(1)
    a, b = (torch.randn(3, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    means = torch.randn(2, 3, generator=draw, dtype=torch.float64)
    p = Gaussian(means[0], torch.eye(3, dtype=torch.float64) + 0.2 * a @ a.T)
    q = Gaussian(means[1], torch.eye(3, dtype=torch.float64) + 0.2 * b @ b.T)
    expected = kl_divergence(MultivariateNormal(*p), MultivariateNormal(*q))
    torch.testing.assert_close(gaussian_kl(p, q), expected)
    torch.testing.assert_close(gaussian_f_divergence(F_DIVERGENCES["reverse KL"], q, p), expected)
    # x = L y makes p's covariance I; an orthogonal basis then makes q's diagonal.
    root = torch.linalg.inv(torch.linalg.cholesky(p.cov))
    values, basis = torch.linalg.eigh(root @ q.cov @ root.T)
    shift = basis.T @ root @ (q.mean - p.mean)
    x = torch.linspace(-40, 40, 20_001, dtype=torch.float64)
    for alpha in (0.5, 0.2):
        factors = [
            torch.trapezoid((alpha * line(0, 1)(x) + (1 - alpha) * line(float(m), float(s))(x)).exp(), x)
            for m, s in zip(shift, values.sqrt(), strict=True)
        ]
        torch.testing.assert_close(log_gaussian_integral(p, q, alpha), torch.stack(factors).log().sum())


def test_a_chi_squared_beyond_its_range_is_infinite():
    """∫ p²/q of N(0, 1) and N(0, s²) is finite for s² > ½ only."""
    pearson = F_DIVERGENCES["Pearson"]
    assert gaussian_f_divergence(pearson, one_dim(0, 1), one_dim(0, 0.71)).isfinite()
    assert gaussian_f_divergence(pearson, one_dim(0, 1), one_dim(0, 0.70)).isinf()


@pytest.mark.parametrize("name", ["Jensen-Shannon", "GAN", "JS-weighted", "total variation"])
def test_where_there_is_no_closed_form_it_says_so(name):
    with pytest.raises(ValueError, match="divergence: expected one with a closed form"):
        gaussian_f_divergence(F_DIVERGENCES[name], one_dim(0, 1), one_dim(0, 2))


def test_jensen_shannon_and_gan_from_entropies():
    """2 JSD = 2 H(M) - H(P) - H(Q), the entropies of P and Q in closed form; π-weighted likewise."""
    p, q, x = line(0.0, 1.0), line(1.5, 2.0), torch.linspace(LOW, HIGH, 20_001, dtype=torch.float64)
    h_p, h_q = (0.5 * math.log(2 * math.pi * math.e * s**2) for s in (1.0, 2.0))
    for pi, divergence, scale in (
        (0.5, JensenShannon(), 2),
        (0.3, WeightedJensenShannon(0.3), 1),
        (0.9, WeightedJensenShannon(0.9), 1),
    ):
        mean = pi * p(x).exp() + (1 - pi) * q(x).exp()
        entropy = torch.trapezoid(-torch.xlogy(mean, mean), x)
        found = f_divergence(divergence, p, q, LOW, HIGH)
        assert float(found) == pytest.approx(float(scale * (entropy - pi * h_p - (1 - pi) * h_q)), abs=1e-9)
    # Seed slide 003 prints JSD, half of it, in the line of this f, and GAN's f is -log 4 off.
    gan = f_divergence(GAN(), p, q, LOW, HIGH)
    assert float(gan) == pytest.approx(
        float(f_divergence(JensenShannon(), p, q, LOW, HIGH)) - math.log(4), abs=1e-9
    )


def test_the_integrals_of_the_slide_that_do_not_belong_to_their_f():
    """Seed slide 003, table 5, by quadrature: Pearson's and Neyman's are exchanged, α's is that of 1-α."""
    p, q, x = line(0.0, 1.0), line(0.4, 1.1), torch.linspace(LOW, HIGH, 20_001, dtype=torch.float64)
    density_p, density_q = p(x).exp(), q(x).exp()

    def slide(integrand):
        return float(torch.trapezoid(integrand, x))

    true = {name: float(f_divergence(d, p, q, LOW, HIGH)) for name, d in F_DIVERGENCES.items()}
    pearson = slide((density_q - density_p).square() / density_p)
    neyman = slide((density_p - density_q).square() / density_q)
    assert pearson == pytest.approx(true["Neyman"], abs=1e-9) and abs(pearson - true["Pearson"]) > 0.01
    assert neyman == pytest.approx(true["Pearson"], abs=1e-9) and abs(neyman - true["Neyman"]) > 0.01
    ratio = q(x) - p(x)
    alpha = slide(density_p * (1.5 * ratio).expm1() - 1.5 * (density_q - density_p)) / (1.5 * 0.5)
    assert alpha == pytest.approx(float(f_divergence(Alpha(-0.5), p, q, LOW, HIGH)), abs=1e-9)
    assert abs(alpha - true["alpha > 1"]) > 1e-3


def test_parallel_lines():
    """Seed slide 002: P on {0} x [0, 1], Q on {θ} x [0, 1]: no common point, whatever θ ≠ 0 is."""
    p, q = tensor(1, 0), tensor(0, 1)
    assert float(discrete_f_divergence(JensenShannon(), p, q)) / 2 == pytest.approx(math.log(2), abs=1e-15)
    assert float(discrete_f_divergence(KL(), p, q)) == float(discrete_f_divergence(KL(), q, p)) == math.inf
    assert float(discrete_f_divergence(TotalVariation(), p, q)) == 1.0
    assert float(discrete_f_divergence(GAN(), p, q)) == pytest.approx(0.0, abs=1e-15)
    for name, divergence in F_DIVERGENCES.items():  # θ = 0
        at_equality = -math.log(4) if name == "GAN" else 0.0
        assert float(discrete_f_divergence(divergence, p, p)) == pytest.approx(at_equality, abs=1e-15), name


def test_the_same_values_of_two_boxes_that_drift_apart():
    """Uniform on [0, 1] and [s, 1 + s], whose overlap 1 - s is what atoms and cells see: TV is s."""
    for s in (0.0, 0.25, 1.0):
        p, q = tensor(s, 1 - s, 0), tensor(0, 1 - s, s)
        assert float(discrete_f_divergence(TotalVariation(), p, q)) == pytest.approx(s)
        assert float(discrete_f_divergence(JensenShannon(), p, q)) == pytest.approx(2 * s * math.log(2))
        assert float(discrete_f_divergence(F_DIVERGENCES["squared Hellinger"], p, q)) == pytest.approx(2 * s)
        assert float(discrete_f_divergence(KL(), p, q)) == (math.inf if s else 0.0)


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_sums_over_atoms_are_the_limit_of_positive_ones(name):
    """An atom that P or Q lacks costs what one of mass e costs as e falls to 0, divergent or not."""
    divergence = F_DIVERGENCES[name]
    p, q = tensor(0.5, 0.5, 0.0), tensor(0.0, 0.6, 0.4)

    def near(e: float) -> float:
        return float(discrete_f_divergence(divergence, (p + e) / (1 + 3 * e), (q + e) / (1 + 3 * e)))

    exact = float(discrete_f_divergence(divergence, p, q))
    if math.isinf(exact):
        assert near(1e-30) > 1.5 * near(1e-10) > 10
    else:
        assert near(1e-13) == pytest.approx(exact, abs=1e-4)


OPTIMA = {  # D, μ*, σ*: of table 3 of the f-GAN paper, and the further ones, to the digits of the design
    "KL": (0.28297, 1.0100, 1.8311),
    "reverse KL": (0.24811, 1.5779, 1.6318),
    "Jensen-Shannon": (0.12804, 1.3068, 1.7545),
    "Jeffrey": (0.57057, 1.3215, 1.7034),
    "Pearson": (0.64565, 0.5736, 1.9277),
    "squared Hellinger": (0.13463, 1.3129, 1.7331),
    "Neyman": (0.40507, 1.8246, 1.5193),
}
PAPER = {  # the paper's own optima, of a target that it does not print
    "KL": (0.2831, 1.0100, 1.8308),
    "reverse KL": (0.2480, 1.5782, 1.6319),
    "Jensen-Shannon": (0.1280, 1.3070, 1.7542),
    "Jeffrey": (0.5705, 1.3218, 1.7034),
    "Pearson": (0.6457, 0.5737, 1.9274),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_the_optimal_gaussians_of_table_3(name):
    found = best_gaussian(F_DIVERGENCES[name], log_p, -20.0, 24.0)
    value, mean, std = OPTIMA[name]
    assert found.value == pytest.approx(value, abs=6e-6)
    assert (found.mean, found.std) == pytest.approx((mean, std), abs=6e-5)
    if name in PAPER:
        assert found == pytest.approx(PAPER[name], abs=4e-4)


def test_the_nearest_gaussian_in_kl_has_the_moments_of_the_mixture():
    mean = 0.33 * -1 + 0.67 * 2
    std = math.sqrt(0.33 * (0.255**2 + 1) + 0.67 * (1.415**2 + 4) - mean**2)
    found = best_gaussian(KL(), log_p, -20.0, 24.0)
    assert (found.mean, found.std) == pytest.approx((mean, std), abs=1e-8)


def total_variation(mean: float, std: float) -> float:
    """Of the mixture and N(mean, std²), from distribution functions between the points where they cross."""

    def difference(x):
        mixture = 0.33 * norm.pdf(x, -1, 0.255) + 0.67 * norm.pdf(x, 2, 1.415)
        return mixture - norm.pdf(x, mean, std)

    x = torch.linspace(-8, 12, 2001, dtype=torch.float64).numpy()
    sign = difference(x) > 0
    roots = [brentq(difference, x[i], x[i + 1], xtol=1e-13) for i in (sign[1:] != sign[:-1]).nonzero()[0]]
    mixture = 0.33 * norm.cdf(roots, -1, 0.255) + 0.67 * norm.cdf(roots, 2, 1.415)
    rises = [0.0, *(mixture - norm.cdf(roots, mean, std)), 0.0]
    return 0.5 * sum(abs(b - a) for a, b in zip(rises, rises[1:], strict=False))


def test_the_nearest_gaussian_in_total_variation():
    """The integrand has kinks, so against scipy's search on the exact integral: 1.3378, 1.8796."""
    exact = minimize(
        lambda at: total_variation(at[0], math.exp(at[1])),
        (1.3, 0.6),
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-14},
    )
    found = best_gaussian(TotalVariation(), log_p, -12.0, 14.0, points=200_001)
    assert (found.value, 0.23959) == pytest.approx((exact.fun, exact.fun), abs=5e-6)
    assert found.mean == pytest.approx(exact.x[0], abs=1e-4)
    assert found.std == pytest.approx(math.exp(exact.x[1]), abs=1e-4)


def test_gradients_reach_the_model():
    """d KL(N(0, 1) || N(m, 1)) / dm = m."""
    mean = tensor(0.7)[0].requires_grad_()
    value = f_divergence(KL(), line(0, 1), lambda x: -0.5 * (x - mean).square() - 0.9189385, LOW, HIGH)
    value.backward()
    assert float(mean.grad) == pytest.approx(0.7, abs=1e-6)


def test_bad_input_is_named():
    p = line(0, 1)
    with pytest.raises(ValueError, match="low, high: expected low < high, got 1 and 1"):
        f_divergence(KL(), p, p, 1, 1)
    with pytest.raises(ValueError, match="points: expected at least 3, got 2"):
        f_divergence(KL(), p, p, 0, 1, points=2)
    with pytest.raises(ValueError, match="low, high: expected an interval with p/q within float64"):
        f_divergence(KL(), line(0, 9), line(0, 0.1), -30, 30)
    unit, scalars = one_dim(0, 1), Gaussian(torch.zeros(()), torch.ones(()))
    with pytest.raises(ValueError, match=r"p: expected .* shapes \(d,\) and \(d, d\), got \(\) and \(\)"):
        gaussian_kl(scalars, scalars)
    for wrong in (torch.diag(tensor(1, -1)), torch.diag(tensor(-1, -1)), tensor(1, 0.5, 0, 1).view(2, 2)):
        with pytest.raises(ValueError, match="q: expected a positive definite covariance, got"):
            gaussian_kl(Gaussian(tensor(0, 0), torch.eye(2).double()), Gaussian(tensor(0, 0), wrong))
    with pytest.raises(ValueError, match="p: expected a mean and a covariance"):
        log_gaussian_integral(Gaussian(tensor(0, 0), torch.eye(2).double()), unit, 0.5)
    with pytest.raises(ValueError, match="q: expected the shape of p"):
        discrete_f_divergence(KL(), tensor(1), tensor(0.5, 0.5))
    with pytest.raises(ValueError, match="p: expected probabilities that sum to 1"):
        discrete_f_divergence(KL(), tensor(0.5, 0.6), tensor(0.5, 0.5))


MIXTURES = {
    "uneven": ((0.8, -2.0, 0.4), (0.2, 2.5, 0.6)),
    "even": ((0.5, -1.0, 0.5), (0.5, 1.0, 0.5)),
    "wide and narrow": ((0.7, -1.5, 0.5), (0.3, 1.5, 0.8)),
}


@pytest.mark.parametrize("of", MIXTURES)
@pytest.mark.parametrize("name", ["KL", "reverse KL", "Neyman", "Jensen-Shannon", "Jeffrey"])
def test_no_gaussian_of_a_lattice_is_nearer_than_the_nearest(name, of):
    """Some divergences would rather have one mode than both, which no descent from the moments finds."""
    share, mean, std = (torch.tensor(part, dtype=torch.float64) for part in zip(*MIXTURES[of], strict=True))

    def log_p(x):
        return (Normal(mean, std).log_prob(x[:, None]) + share.log()).logsumexp(1)

    divergence = F_DIVERGENCES[name]
    found = best_gaussian(divergence, log_p, -12.0, 12.0, points=4001)
    for m in torch.linspace(-3.0, 3.0, 13).tolist():
        for s in (0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5):
            try:
                at = float(f_divergence(divergence, log_p, Normal(m, s).log_prob, -12.0, 12.0, 4001))
            except ValueError:  # p/q beyond float64: far from near
                continue
            assert found.value <= at + 1e-9, (m, s)


def test_ratios_beyond_float64_between_atoms():
    """As of a softmax. With a finite f'(∞) the limit is taken; KL's value would be finite, f(p/q) is not."""
    p, q = tensor(0.5, 0.5), torch.tensor([0.0, -720.0], dtype=torch.float64).softmax(0)
    assert float(p[1] / q[1]) == math.inf
    assert float(discrete_f_divergence(TotalVariation(), p, q)) == pytest.approx(0.5, abs=1e-15)
    hellinger = discrete_f_divergence(F_DIVERGENCES["squared Hellinger"], p, q)
    assert float(hellinger) == pytest.approx(float((p.sqrt() - q.sqrt()).square().sum()), abs=1e-15)
    mean = (p + q) / 2
    shannon = torch.xlogy(p, p / mean).sum() + torch.xlogy(q, q / mean).sum()
    assert float(discrete_f_divergence(JensenShannon(), p, q)) == pytest.approx(float(shannon), abs=1e-14)
    q.requires_grad_()
    (slope,) = torch.autograd.grad(discrete_f_divergence(JensenShannon(), p, q), q)
    q = q.detach()
    assert float(slope[0]) == pytest.approx(math.log(q[0] / mean[0])) and slope.isfinite().all()
    reverse = torch.xlogy(q, q / p).sum()
    assert float(discrete_f_divergence(F_DIVERGENCES["reverse KL"], p, q)) == pytest.approx(float(reverse))
    for name in ("KL", "Pearson"):
        with pytest.raises(ValueError, match="p, q: expected p/q within float64"):
            discrete_f_divergence(F_DIVERGENCES[name], p, q)


def test_total_variation_has_a_slope_of_0_where_the_means_are_equal():
    mean = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    eye = torch.eye(2, dtype=torch.float64)
    gaussian_f_divergence(
        TotalVariation(), Gaussian(mean, eye), Gaussian(torch.zeros_like(mean), eye)
    ).backward()
    assert mean.grad.tolist() == [0.0, 0.0]


def test_sums_over_atoms_are_scipys_row_by_row_and_in_double_precision():
    p, q = (torch.randn(2, 3, 4, generator=generator(s), dtype=torch.float64).softmax(-1) for s in (1, 2))
    p[0, 0] = tensor(0.5, 0.5, 0.0, 0.0)
    found = discrete_f_divergence(KL(), p, q)
    np.testing.assert_allclose(found, rel_entr(p.numpy(), q.numpy()).sum(-1), rtol=1e-12)
    p, q = torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.3, 0.3, 0.4])
    found = discrete_f_divergence(KL(), p, q)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(rel_entr(p.double().numpy(), q.double().numpy()).sum(), rel=1e-12)


@pytest.mark.parametrize(("wrong", "other"), [("p", "q"), ("q", "p")])
@pytest.mark.parametrize("row", [(1.5, -0.5), (0.5, 0.6)])
def test_what_is_no_distribution_over_atoms_is_refused(wrong, other, row):
    with pytest.raises(ValueError, match=f"{wrong}: expected probabilities that sum to 1"):
        discrete_f_divergence(KL(), **{wrong: tensor(*row), other: tensor(0.5, 0.5)})


def test_gradients_reach_the_parameters_of_p():
    """d KL(N(m, 1) || N(0, 1)) / dm = m; over atoms d KL / dp = log(p/q) + 1."""
    mean = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def law(m):
        return lambda x: -0.5 * (x - m).square() - 0.5 * math.log(2 * math.pi)

    (slope,) = torch.autograd.grad(f_divergence(KL(), law(mean), law(0.0), LOW, HIGH), mean)
    assert float(slope) == pytest.approx(0.7, abs=1e-9)
    p, q = tensor(0.5, 0.3, 0.2).requires_grad_(), tensor(0.4, 0.4, 0.2)
    (slope,) = torch.autograd.grad(discrete_f_divergence(KL(), p, q), p)
    torch.testing.assert_close(slope, (p / q).log().detach() + 1)


def test_gaussians_of_other_precisions_shapes_or_without_a_mean_are_refused():
    law, eye = one_dim(0.0, 1.0), torch.eye(2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"p, q: expected one precision, got torch.float32, torch.float64"):
        gaussian_kl(law, Gaussian(torch.zeros(1), torch.ones(1, 1)))
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="q: expected a finite mean"):
            gaussian_f_divergence(KL(), law, Gaussian(tensor(value), law.cov))
    for mean in (tensor(0.0), torch.zeros(2, 1, dtype=torch.float64)):
        with pytest.raises(ValueError, match="p: expected a mean and a covariance of shapes"):
            gaussian_kl(Gaussian(mean, eye), Gaussian(tensor(0.0, 0.0), eye))


def test_an_integral_that_is_infinite_has_the_precision_of_its_laws():
    found = log_gaussian_integral(one_dim(0.0, 1.0), one_dim(0.0, 0.4**0.5), 2.0)
    assert found.dtype == torch.float64 and float(found) == math.inf


def test_a_mode_half_way_between_two_points_of_the_grid_is_a_start():
    x = torch.linspace(-6.0, 6.0, 1000, dtype=torch.float64)
    starts = _starts(x, -0.5 * x.square() - 0.5 * math.log(2 * math.pi))
    assert len(starts) == 2 and float(starts[1][0]) == pytest.approx(0.0, abs=0.01)
