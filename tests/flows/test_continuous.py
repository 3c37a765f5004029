"""Continuous flows against closed forms, autograd's Jacobian, differences and zuko."""

import math
import sys

import pytest
import torch
from torch import nn

from ganedu.flows import continuous
from ganedu.flows.base import Flow
from ganedu.flows.continuous import CNF, HutchinsonLikelihood, Velocity, rademacher
from ganedu.rng import generator
from ganedu.targets import StandardNormal
from tests.flows.fields import GAUSSIANS, Linear

TIGHT = {"rtol": 1e-7, "atol": 1e-7}
MATRIX = torch.tensor([[0.3, -1.0, 0.2], [0.8, -0.5, 0.0], [0.4, 0.1, 0.6]], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def bent(dim=2, seed=3):
    """A random field with weights twice those of nn.Linear, so that it bends."""
    torch.manual_seed(seed)
    velocity = Velocity(dim).double()
    with torch.no_grad():
        for parameter in velocity.parameters():
            parameter.mul_(2.0)
    return velocity


def flow(velocity, dim=2, **options):
    return Flow(StandardNormal(dim, torch.float64), [CNF(velocity, **TIGHT | options)])


def test_a_linear_field_is_the_matrix_exponential_and_its_log_determinant_the_trace():
    z = normal(50, 3)
    x, log_det = CNF(Linear(MATRIX), **TIGHT)(z)
    torch.testing.assert_close(x, z @ torch.linalg.matrix_exp(MATRIX).T, rtol=0, atol=1e-6)
    torch.testing.assert_close(log_det, MATRIX.trace().expand(50), rtol=0, atol=1e-6)


def test_inverse_and_log_determinant_are_those_of_autograds_jacobian():
    cnf, z = CNF(bent(), **TIGHT), normal(20, 2)
    with torch.no_grad():
        x, log_det = cnf(z)
        back, log_det_back = cnf.inverse(x)
    jacobian = torch.autograd.functional.jacobian(lambda z: cnf(z)[0].sum(0), z).movedim(1, 0)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_det_back, -log_det, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet, rtol=0, atol=1e-5)
    assert log_det.std() > 0.1, "a field that does not bend would prove nothing"


def density_error(velocity, cnf=CNF):
    """The largest error of the log density among 200 draws, where the velocity is that between Gaussians."""
    x = GAUSSIANS.end.mean + GAUSSIANS.end.stddev * normal(200, 2)
    model = Flow(StandardNormal(2, torch.float64), [cnf(velocity, **TIGHT)])
    with torch.no_grad():
        return float((model.log_prob(x) - GAUSSIANS.end.log_prob(x).sum(-1)).abs().max())


class WrongSign(CNF):
    def inverse(self, x, noise=None):
        z, log_det = super().inverse(x, noise)
        return z, -log_det


class OneDimensionLost(CNF):
    def _probes(self, z, noise):
        return super()._probes(z, noise)[1:]


def test_the_exact_velocity_between_gaussians_gives_the_gaussian_density():
    assert density_error(GAUSSIANS) < 1e-5


@pytest.mark.parametrize(
    ("velocity", "cnf"),
    [
        (GAUSSIANS, WrongSign),
        (GAUSSIANS, OneDimensionLost),
        (lambda t, x: GAUSSIANS(1.0 - t, x), CNF),
        (lambda t, x: -GAUSSIANS(t, x), CNF),
    ],
    ids=["wrong sign of the trace", "one dimension lost", "time reversed", "direction reversed"],
)
def test_the_same_comparison_rejects_a_planted_error(velocity, cnf):
    assert density_error(velocity, cnf) > 0.1


def test_the_density_integrates_to_one():
    """A trapezoid on a smooth function that is 1e-14 of its peak at the edge; here the tolerance decides."""
    model = flow(bent(), rtol=1e-5, atol=1e-5)
    side = torch.linspace(-9, 9, 121, dtype=torch.float64)
    with torch.no_grad():
        total = model.log_prob(torch.cartesian_prod(side, side)).exp().sum() * 0.15**2
    assert abs(float(total) - 1) < 1e-3


def test_zukos_flow_with_the_same_field_has_the_same_density():
    zuko = pytest.importorskip("zuko")
    torch.manual_seed(0)
    theirs = zuko.flows.CNF(2, hidden_features=(32, 32), atol=1e-10, rtol=1e-10).double().eval()
    # Their t = 0 is where the data are. They allow the log determinant a hundred times the tolerance.
    ours = flow(lambda t, x: -theirs.transform.f((1.0 - t).to(x), x))
    x = normal(100, 2)
    with torch.no_grad():
        torch.testing.assert_close(ours.log_prob(x), theirs().log_prob(x), rtol=0, atol=1e-5)


def test_gradients_are_those_of_differences():
    model, x, step = flow(bent(), rtol=1e-9, atol=1e-9), normal(5, 2), 1e-4
    x.requires_grad_()
    model.log_prob(x).sum().backward()
    weight = model.transforms[0].velocity.net[2].weight
    for tensor, index in ((weight, (3, 5)), (weight, (60, 1)), (x, (0, 1)), (x, (4, 0))):
        values = []
        with torch.no_grad():
            for shift in (step, -step):
                tensor[index] += shift
                values.append(float(model.log_prob(x).sum()))
                tensor[index] -= shift
        expect = (values[0] - values[1]) / (2 * step)
        assert float(tensor.grad[index]) == pytest.approx(expect, rel=1e-3, abs=1e-6)


def test_a_field_that_starts_at_zero_is_the_identity_and_learns():
    velocity = bent()
    nn.init.zeros_(velocity.net[-1].weight)
    nn.init.zeros_(velocity.net[-1].bias)
    x = normal(5, 2)
    model = flow(velocity)
    torch.testing.assert_close(model.log_prob(x), model.base.log_prob(x))
    model.log_prob(x).sum().backward()
    assert velocity.net[-1].weight.grad.isfinite().all() and velocity.net[-1].weight.grad.abs().max() > 0


def off_in_errors(estimates, exact):
    """How many standard errors the mean of independent estimates is off."""
    return abs(float((estimates.mean() - exact) / (estimates.std() / math.sqrt(len(estimates)))))


def estimates(velocity, z, n, signs=None):
    """n Hutchinson estimates of the log determinant at one point z (d,), one a row."""
    z = z.expand(n, -1).contiguous()
    with torch.no_grad():
        return CNF(velocity, noise_seed=0)(z, signs)[1]


def test_hutchinsons_estimate_is_unbiased_over_its_noise():
    """Six standard errors: by luck once in 10⁸ runs. Power: noise with E[ε εᵀ] = 0.8 I is rejected."""
    velocity, z, n = bent(5), normal(5), 20_000
    with torch.no_grad():
        exact = CNF(velocity, **TIGHT)(z[None])[1].item()
    assert off_in_errors(estimates(velocity, z, n), exact) < 6
    small = math.sqrt(0.8) * rademacher(z.expand(n, -1), generator(1))
    assert off_in_errors(estimates(velocity, z, n, small), exact) > 8


def test_hutchinsons_variance_is_that_of_random_signs():
    """εᵀ A ε has variance 2 Σ_{i≠j} S_ij², S = (A + Aᵀ)/2 (Hutchinson 1990); Gaussian noise would add
    2 Σ S_ii². The sample variance of n values has relative standard error below √(2/n) here: six of them."""
    field, n = Linear(MATRIX), 20_000
    symmetric = (MATRIX + MATRIX.T) / 2
    signs = 2 * float(symmetric.square().sum() - symmetric.diagonal().square().sum())
    found = estimates(field, torch.ones(3, dtype=torch.float64), n)
    assert abs(float(found.var()) / signs - 1) < 6 * math.sqrt(2 / n)
    gaussian = estimates(field, torch.ones(3, dtype=torch.float64), n, normal(n, 3))
    assert abs(float(gaussian.var()) / signs - 1) > 0.5


def test_a_noise_seed_makes_the_estimate_a_pure_function():
    velocity, x = bent(), normal(30, 2)
    first = flow(velocity, noise_seed=1)
    torch.manual_seed(0)
    with torch.no_grad():
        values = first.log_prob(x)
        torch.manual_seed(1)
        assert torch.equal(values, first.log_prob(x))
        assert not torch.allclose(values, flow(velocity, noise_seed=2).log_prob(x))
        # The draws do not depend on the noise, their density from one pass agrees with the inverse's.
        draws, log_prob = first.rsample_and_log_prob(30, generator(5))
        torch.testing.assert_close(draws, flow(velocity).sample(30, generator(5)), rtol=0, atol=1e-5)
        torch.testing.assert_close(log_prob, first.log_prob(draws), rtol=0, atol=1e-5)


def test_the_stochastic_objective_has_the_likelihood_as_its_mean():
    """Six standard errors over 20,000 draws of the signs at one point."""
    model, objective = flow(bent(3), dim=3), HutchinsonLikelihood()
    x = normal(1, 3)
    rows = objective.draw(x.expand(20_000, -1), generator(0))
    assert torch.equal(rows[1].abs(), torch.ones(20_000, 3, dtype=torch.float64))
    with torch.no_grad():
        losses, exact = objective.loss(model, *rows), -model.log_prob(x).item()
    assert off_in_errors(losses, exact) < 6
    assert off_in_errors(losses, exact * 1.05) > 8


def test_single_precision_agrees_with_double():
    """At the default tolerance, to 100 times it, over 200 rows wider than the base."""
    model, x = flow(bent()), 1.5 * normal(200, 2)
    with torch.no_grad():
        exact = model.log_prob(x)
        single = Flow(StandardNormal(2), [CNF(bent().float())])
        found = single.log_prob(x.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-3)


def test_a_solution_to_less_than_its_tolerance_is_further_off():
    z = normal(50, 2)
    errors = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        cnf = CNF(GAUSSIANS, rtol=tolerance, atol=tolerance)
        exact = GAUSSIANS.end.mean + GAUSSIANS.end.stddev * z
        errors.append(float((cnf(z)[0] - exact).abs().max().detach()))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CNF(GAUSSIANS, rtol=0.0), "rtol: expected a positive number, got 0.0"),
        (lambda: CNF(GAUSSIANS, atol=math.nan), "atol: expected a positive number, got nan"),
        (lambda: CNF(GAUSSIANS)(torch.zeros(3)), r"z, x: expected finite rows of shape \(n, d\)"),
        (lambda: CNF(GAUSSIANS)(torch.full((3, 2), math.inf)), "z, x: expected finite rows"),
        (
            lambda: CNF(GAUSSIANS)(torch.zeros(3, 2), torch.ones(2, 2)),
            r"noise: expected shape \(3, 2\), got \(2, 2\)",
        ),
        (lambda: HutchinsonLikelihood().loss(nn.Linear(2, 2), None, None), "model: expected a Flow of one"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_field_that_is_not_finite_is_named():
    with pytest.raises(FloatingPointError, match="CNF: the velocity"):
        CNF(lambda t, z: z * math.nan)(normal(3, 2))


def test_a_solution_that_does_not_end_is_stopped_without_torchdiffeqs_assertions(monkeypatch):
    """python -O takes those out, and a solver whose steps vanish goes on for ever."""
    monkeypatch.setattr(continuous, "MAX_EVALUATIONS", 20)
    with pytest.raises(FloatingPointError, match="CNF: the velocity is too steep: 20 evaluations") as caught:
        CNF(bent(), **TIGHT)(normal(3, 2))
    assert caught.value.__cause__ is None


def test_a_draw_is_where_the_point_goes_and_takes_no_trace(monkeypatch):
    model, n = flow(bent()), 50
    x, _ = model.rsample_and_log_prob(n, generator(0))
    monkeypatch.setattr(continuous.torch.autograd, "grad", None)
    torch.testing.assert_close(model.sample(n, generator(0)), x, rtol=0, atol=1e-5)
    draws = model.rsample(n, generator(0))
    with pytest.raises(TypeError):
        model.log_prob(x)
    monkeypatch.undo()
    weight = model.transforms[0].velocity.net[0].weight
    (ours,), (theirs,) = (torch.autograd.grad(part.square().sum(), weight) for part in (draws, x))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_under_autocast_the_solver_stays_in_full_precision():
    model, x = Flow(StandardNormal(2), [CNF(bent().float())]), normal(20, 2).float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.log_prob(x)
        assert model.transforms[0].velocity(torch.zeros(()), x).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(found, model.log_prob(x))


def test_without_torchdiffeq_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    with pytest.raises(ImportError, match=r"pip install 'ganedu\[flows\]'"):
        CNF(GAUSSIANS)(normal(3, 2))


@pytest.mark.gpu
def test_on_a_gpu_the_density_is_that_of_a_cpu():
    model, x = flow(bent()), normal(20, 2)
    with torch.no_grad():
        here, seeded = model.log_prob(x), flow(bent(), noise_seed=0)
        there = model.cuda().log_prob(x.cuda())
        assert there.is_cuda and seeded.cuda().log_prob(x.cuda()).is_cuda
        assert model.sample(3, torch.Generator("cuda").manual_seed(0)).is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-5)
