"""Posteriors: densities against loops written from the definitions, mini-batches against the whole."""

import itertools
import math

import pytest
import torch

from ganedu.targets import (
    BayesianLinear,
    EightSchools,
    EightSchoolsCentred,
    LogisticRegression,
    breast_cancer,
    diabetes,
)

DOUBLE = torch.float64
SCHOOLS = [(28, 15), (8, 10), (-3, 16), (7, 11), (-1, 9), (1, 11), (18, 10), (12, 18)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def log_normal(x: float, mean: float, std: float) -> float:
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)


def slow_schools(row, centred: bool) -> float:
    """log p(y, mu, log tau, theta or eta), one chain and one school after the other."""
    mu, log_tau, *schools = row
    tau = math.exp(log_tau)
    total = log_normal(mu, 0, 5)
    total += math.log(2 / (math.pi * 5 * (1 + (tau / 5) ** 2)) * tau)  # half-Cauchy, and d tau / d log tau
    for (y, s), own in zip(SCHOOLS, schools, strict=True):
        theta = own if centred else mu + tau * own
        total += log_normal(own, mu, tau) if centred else log_normal(own, 0, 1)
        total += log_normal(y, theta, s)
    return total


@pytest.mark.parametrize(("make", "centred"), [(EightSchools, False), (EightSchoolsCentred, True)])
def test_eight_schools_is_the_model_as_written(make, centred):
    z = normal(20, 10) * torch.tensor([5.0, 2.0] + [3.0] * 8)
    expected = torch.tensor([slow_schools(row, centred) for row in z.tolist()], dtype=DOUBLE)
    assert torch.allclose(make(DOUBLE).log_prob(z), expected, rtol=1e-12)


def test_the_two_forms_of_eight_schools_are_one_law():
    """theta = mu + tau eta has the Jacobian tau⁸."""
    z = normal(20, 10)
    theta = z.clone()
    theta[:, 2:] = z[:, :1] + z[:, 1:2].exp() * z[:, 2:]
    centred = EightSchoolsCentred(DOUBLE).log_prob(theta) + 8 * z[:, 1]
    assert torch.allclose(EightSchools(DOUBLE).log_prob(z), centred, rtol=1e-12)


@pytest.mark.parametrize("log_tau", [-80.0, 60.0])
def test_eight_schools_stays_finite_where_tau_is_extreme(log_tau):
    z = torch.zeros(1, 10)
    z[0, 1] = log_tau
    assert EightSchools().log_prob(z).isfinite().all()


def regressions():
    x, rows = normal(6, 3, seed=1), 6
    labels = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0], dtype=DOUBLE)
    return x, labels, normal(rows, seed=2)


def slow_logistic(row, x, y, prior_std):
    total = sum(log_normal(weight, 0, prior_std) for weight in row)
    for features, label in zip(x.tolist(), y.tolist(), strict=True):
        p = 1 / (1 + math.exp(-sum(a * b for a, b in zip(features, row, strict=True))))
        total += math.log(p if label == 1 else 1 - p)
    return total


def slow_linear(row, x, y, noise_std, prior_std):
    total = sum(log_normal(weight, 0, prior_std) for weight in row)
    for features, value in zip(x.tolist(), y.tolist(), strict=True):
        total += log_normal(value, sum(a * b for a, b in zip(features, row, strict=True)), noise_std)
    return total


def test_logistic_regression_is_the_model_as_written():
    x, labels, _ = regressions()
    z = 2 * normal(20, 3, seed=3)
    expected = [slow_logistic(row, x, labels, 1.7) for row in z.tolist()]
    got = LogisticRegression(x, labels, prior_std=1.7).log_prob(z)
    assert torch.allclose(got, torch.tensor(expected, dtype=DOUBLE), rtol=1e-12)


def test_linear_regression_is_the_model_as_written():
    x, _, values = regressions()
    z = 2 * normal(20, 3, seed=3)
    expected = [slow_linear(row, x, values, 0.4, 1.7) for row in z.tolist()]
    got = BayesianLinear(x, values, noise_std=0.4, prior_std=1.7).log_prob(z)
    assert torch.allclose(got, torch.tensor(expected, dtype=DOUBLE), rtol=1e-12)


def test_logistic_regression_does_not_overflow_where_it_is_sure():
    z = torch.tensor([[1e4, 0.0, 0.0]])
    x, labels, _ = regressions()
    target = LogisticRegression(x.float(), labels)
    assert target.log_prob(z).isfinite().all()


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("kind", ["logistic", "linear"])
def test_the_mean_over_all_mini_batches_is_the_whole(kind, replacement):
    """Exactly: every batch of 2 of the 6 rows counts once."""
    x, labels, values = regressions()
    target = LogisticRegression(x, labels) if kind == "logistic" else BayesianLinear(x, values, 0.4)
    rows = range(target.size)
    pairs = itertools.product(rows, rows) if replacement else itertools.combinations(rows, 2)
    batches = torch.tensor(list(pairs))
    z = normal(1, 3, seed=4)
    estimates = target.log_prob(z.expand(len(batches), 3), batches)
    full = target.log_prob(z)
    assert torch.allclose(estimates.mean(), full, rtol=1e-12)
    assert estimates.std() > 0.1  # and yet they differ
    # Power: without the factor size / m the mean is another.
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    assert not torch.allclose((estimates - prior).mean() / 3 + prior, full, rtol=0.1)


def test_each_chain_has_the_rows_of_its_own_mini_batch():
    x, labels, _ = regressions()
    target, z = LogisticRegression(x, labels), normal(4, 3, seed=5)
    batch = torch.tensor([[0, 1], [2, 2], [5, 3], [4, 0]])
    for i, rows in enumerate(batch.tolist()):
        alone = LogisticRegression(x[rows].repeat(3, 1), labels[rows].repeat(3))
        assert torch.allclose(target.log_prob(z, batch)[i], alone.log_prob(z)[i], rtol=1e-12)
    other = batch.clone()
    other[1] = 4
    before, after = target.log_prob(z, batch), target.log_prob(z, other)
    assert torch.equal(before[[0, 2, 3]], after[[0, 2, 3]]) and before[1] != after[1]


def test_the_posterior_of_a_linear_model_times_its_evidence_is_the_joint_density():
    x, _, values = regressions()
    for target in (BayesianLinear(x, values, noise_std=0.4, prior_std=1.7), diabetes(DOUBLE)):
        posterior = target.posterior()
        z = posterior.mean + 3 * normal(30, target.dim)
        gap = target.log_prob(z) - posterior.log_prob(z)
        assert torch.allclose(gap, torch.full_like(gap, target.log_evidence()), rtol=1e-10)


def test_the_bundled_sets_are_standardised_and_as_large_as_said():
    logistic, linear = breast_cancer(DOUBLE), diabetes(DOUBLE)
    assert (logistic.size, logistic.dim) == (569, 31) and (linear.size, linear.dim) == (442, 10)
    assert torch.equal(logistic.x[:, 0], torch.ones(569, dtype=DOUBLE))
    for x in (logistic.x[:, 1:], linear.x, linear.y[:, None]):
        assert torch.allclose(x.mean(0), torch.zeros(x.shape[1], dtype=DOUBLE), atol=1e-12)
        assert torch.allclose(x.square().mean(0), torch.ones(x.shape[1], dtype=DOUBLE))
    assert logistic.y.sum() == 357  # benign
    residual = linear.y - linear.x @ torch.linalg.lstsq(linear.x, linear.y[:, None]).solution[:, 0]
    assert abs(residual.square().mean().sqrt() - linear.noise_std) < 0.01


X, Y = torch.zeros(4, 2), torch.zeros(4)
TARGET = LogisticRegression(X, Y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: LogisticRegression(Y, Y),
            r"x: expected finite numbers of shape \(rows, dim\), got shape \(4,\)",
        ),
        (lambda: LogisticRegression(X / 0, Y), "x: expected finite numbers"),
        (lambda: LogisticRegression(X, X), r"y: expected finite numbers of shape \(4,\), got shape \(4, 2\)"),
        (lambda: LogisticRegression(X, 2 + Y), r"y: expected labels 0 and 1, got \[2.0\]"),
        (lambda: LogisticRegression(X, Y, 0.0), "prior_std: expected a positive number, got 0.0"),
        (lambda: BayesianLinear(X, Y / 0), "y: expected finite numbers"),
        (lambda: BayesianLinear(X, Y, noise_std=-1.0), "noise_std: expected a positive number, got -1.0"),
        (lambda: TARGET.log_prob(X, torch.zeros(4, 1)), "batch: expected row indices .* got torch.float32"),
        (lambda: TARGET.log_prob(X, torch.tensor([0, 1])), r"batch: .* of shape \(4, m\), got .* \(2,\)"),
        (
            lambda: TARGET.log_prob(X, torch.zeros(4, 0).long()),
            r"batch: .* of shape \(4, m\), got .* \(4, 0\)",
        ),
        (
            lambda: TARGET.log_prob(X, torch.full((4, 1), 4)),
            "batch: expected indices from 0 to 3, got 4 to 4",
        ),
        (
            lambda: TARGET.log_prob(X, torch.full((4, 1), -1)),
            "batch: expected indices from 0 to 3, got -1 to -1",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
