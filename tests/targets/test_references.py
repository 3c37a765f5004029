"""The reference moments: remade, and found again from the library's own densities and draws.

Moments are compared within six standard errors: a right number fails falsely twice in 10⁹, so all of
a test's together at most once in a million.
"""

import math

import numpy as np
import pytest
import torch

from benchmarks import references as making
from ganedu.targets import TARGETS, EightSchools, references

DOUBLE = torch.float64
LIMIT = 6.0
CLOSED = ("banana", "far_modes", "gaussian_100", "ring", "twenty_five_gaussians")


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_moments_with_errors(name):
    found = references(name)
    for part in found[:4]:
        assert part.shape == (TARGETS[name]().dim,) and part.dtype == DOUBLE and part.isfinite().all()
    assert (found.sd > 0).all() and (found.mean_error > 0).all() and (found.sd_error > 0).all()
    assert math.isfinite(found.log_evidence) and found.log_evidence_error >= 0 and found.how


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="name: expected one of banana, .*, got 'nine_schools'"):
        references("nine_schools")


@pytest.mark.parametrize("name", making.CHEAP)
def test_the_file_is_what_its_program_makes(name):
    made, kept = making.CHEAP[name](), references(name)
    for part in ("mean", "sd", "log_evidence"):
        error = torch.as_tensor(getattr(kept, f"{part}_error"))
        gap = torch.as_tensor(np.asarray(getattr(made, part))) - getattr(kept, part)
        assert (gap.abs() <= 10 * error).all()
    assert made.how == kept.how


def test_the_program_makes_all_but_one_of_them_in_no_time():
    assert set(making.CHEAP) == set(TARGETS) - {"logistic_regression"}


def gaps(z, weight, known):
    """How many standard errors mean and sd of weighted draws z (n, d), weights summing to 1, are off.

    Standard errors by the delta method, the reference's own added.
    """
    mean = weight @ z
    centred = z - mean
    var = weight @ centred.square()
    mean_error = (weight.square() @ centred.square()).sqrt()
    sd_error = (weight.square() @ (centred.square() - var).square()).sqrt() / (2 * var.sqrt())
    return torch.cat(
        [
            (mean - known.mean).abs() / (mean_error.square() + known.mean_error.square()).sqrt(),
            (var.sqrt() - known.sd).abs() / (sd_error.square() + known.sd_error.square()).sqrt(),
        ]
    )


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_are_those_of_exact_draws(name):
    n, known = 100_000, references(name)
    z = TARGETS[name](dtype=DOUBLE).sample(n, rng(1))
    weight = torch.full((n,), 1.0 / n, dtype=DOUBLE)
    assert gaps(z, weight, known).max() < LIMIT
    assert gaps(z, weight, known._replace(sd=1.03 * known.sd)).max() > LIMIT  # power


def test_the_funnels_variance_is_that_of_the_mixture():
    """E e^v by quadrature: draws would not find it."""
    v = torch.linspace(-60, 60, 20_001, dtype=DOUBLE)
    density = (-v.square() / 18).exp() / (3 * math.sqrt(2 * math.pi)) * 0.006
    known = references("funnel")
    assert torch.allclose(known.sd[1:].square(), (density @ v.exp()).expand(9), rtol=1e-10)
    assert torch.equal(known.sd[:1], torch.tensor([3.0], dtype=DOUBLE)) and not known.mean.any()


def test_linear_regression_has_the_moments_of_its_posterior():
    target, known = TARGETS["bayesian_linear"](dtype=DOUBLE), references("bayesian_linear")
    posterior = target.posterior()
    assert torch.allclose(posterior.mean, known.mean, rtol=1e-9, atol=1e-12)
    assert torch.allclose(posterior.cov.diagonal().sqrt(), known.sd, rtol=1e-9)
    assert math.isclose(target.log_evidence(), known.log_evidence, rel_tol=1e-10)


def t_draws(mean, cov, n, freedom=8.0):
    """(draws (n, d), log density (n,)) of a t law with that mean and about that covariance."""
    factor, d = torch.linalg.cholesky(cov), len(mean)
    noise = torch.randn(n, d, generator=rng(2), dtype=DOUBLE)
    half = torch.randn(n, int(freedom), generator=rng(3), dtype=DOUBLE).square().mean(1, keepdim=True)
    t = noise / half.sqrt()
    log_norm = (
        math.lgamma((freedom + d) / 2) - math.lgamma(freedom / 2) - 0.5 * d * math.log(freedom * math.pi)
    )
    log_q = log_norm - factor.diagonal().log().sum()
    return mean + t @ factor.T, log_q - 0.5 * (freedom + d) * torch.log1p(t.square().sum(-1) / freedom)


def test_eight_schools_by_importance_sampling_has_the_moments_of_the_quadrature():
    """Draws in ten dimensions, weighted by the library's density, against two that are integrated out.

    The centred form is not sampled (a funnel); its draws are those of the other one, mapped.
    """
    known, centred = references("eight_schools"), references("eight_schools_centred")
    z, log_q = t_draws(known.mean, known.sd.square().diag(), 400_000)
    log_w = EightSchools(DOUBLE).log_prob(z) - log_q
    theta = torch.cat([z[:, :2], z[:, :1] + z[:, 1:2].exp() * z[:, 2:]], dim=1)

    def check(log_w):
        weight = log_w.softmax(0)
        return max(gaps(z, weight, known).max(), gaps(theta, weight, centred).max())

    ratio = (log_w - log_w.max()).exp()
    assert ratio.sum().square() / ratio.square().sum() > 20_000  # the draws are worth something
    assert check(log_w) < LIMIT
    assert check(log_w - z[:, 1]) > LIMIT  # power: the Jacobian of log tau dropped
    log_evidence = float(log_w.logsumexp(0)) - math.log(len(z))
    error = float(ratio.std() / ratio.mean()) / math.sqrt(len(z))
    assert abs(log_evidence - known.log_evidence) < LIMIT * error < 0.1


def test_logistic_regression_by_other_draws_has_the_moments_of_the_file():
    """From the Hessian at the reference's mean, and with the library's density."""
    target, known = TARGETS["logistic_regression"](dtype=DOUBLE), references("logistic_regression")
    p = torch.sigmoid(target.x @ known.mean)
    hessian = (target.x.T * (p * (1 - p))) @ target.x + torch.eye(target.dim, dtype=DOUBLE)
    z, log_q = t_draws(known.mean, torch.linalg.inv(hessian), 50_000)
    log_w = torch.cat([target.log_prob(part) for part in z.split(5_000)]) - log_q
    ratio = (log_w - log_w.max()).exp()
    assert ratio.sum().square() / ratio.square().sum() > 5_000
    weight = log_w.softmax(0)
    assert gaps(z, weight, known).max() < LIMIT
    log_evidence = float(log_w.logsumexp(0)) - math.log(len(z))
    error = float(ratio.std() / ratio.mean()) / math.sqrt(len(z))
    assert abs(log_evidence - known.log_evidence) < LIMIT * error < 0.2
    # Power: the same draws weighted for a prior twice as wide.
    wide = type(target)(target.x, target.y, prior_std=2.0)
    other = torch.cat([wide.log_prob(part) for part in z.split(5_000)]) - log_q
    assert gaps(z, other.softmax(0), known).max() > LIMIT
