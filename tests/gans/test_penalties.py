"""Penalties beside slopes written down by hand, and the traps of public code, each of which is caught."""

import math

import pytest
import torch
from torch import nn

from ganedu.gans import minimax, non_saturating
from ganedu.gans.dynamics import dirac_minimax, dirac_non_saturating, with_consensus
from ganedu.gans.penalties import consensus, gradient_penalty, input_gradient, r1, r2
from tests.gans.tables import Formula


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def number(scalar):
    return float(scalar.detach())


SHAPES = [(6, 2), (6, 3, 4, 5), (6, 1, 8, 8), (6, 7)]


def linear(shape):
    """A critic <w, x> and its w."""
    w = normal(*shape[1:], seed=9).requires_grad_()
    return Formula(lambda x: (x * w).flatten(1).sum(1)), w


@pytest.mark.parametrize("shape", SHAPES)
def test_the_penalty_of_a_linear_critic_is_its_norm_less_one_squared(shape):
    critic, w = linear(shape)
    value = gradient_penalty(critic, normal(*shape, seed=1), normal(*shape, seed=2), uniform(6))
    norm = float(w.detach().square().sum().sqrt())
    assert number(value) == pytest.approx((norm - 1) ** 2, abs=1e-12)
    (gradient,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(gradient, 2 * (norm - 1) * w.detach() / norm)


@pytest.mark.parametrize("shape", SHAPES)
def test_r1_and_r2_of_a_linear_critic_are_half_its_squared_norm(shape):
    critic, w = linear(shape)
    squared = float(w.detach().square().sum())
    for penalty in (r1, r2):
        value = penalty(critic, normal(*shape, seed=1), normal(*shape, seed=2))
        assert number(value) == pytest.approx(0.5 * squared)
        (gradient,) = torch.autograd.grad(value, w)
        torch.testing.assert_close(gradient, w.detach())
        assert abs(float(squared) / number(value) - 1) > 0.5  # the trap: without the ½


# A critic whose slope A x differs from point to point, and rows to look at one by one.
A = torch.tensor([[2.0, 0.5], [0.5, -1.0]], dtype=torch.float64)
BENT = Formula(lambda x: 0.5 * torch.einsum("ni,ij,nj->n", x, A, x))
REAL, FAKE, MIXING = normal(5, 2, seed=1), 2 + normal(5, 2, seed=2), uniform(5)


def one_by_one(weights):
    total = 0.0
    for x, y, weight in zip(REAL.tolist(), FAKE.tolist(), weights, strict=True):
        point = [weight * a + (1 - weight) * b for a, b in zip(x, y, strict=True)]
        slope = [sum(float(A[i, j]) * point[j] for j in range(2)) for i in range(2)]
        total += (math.hypot(*slope) - 1) ** 2
    return total / len(REAL)


def per_pixel(critic, real, fake):
    """The trap: a weight for every number."""
    alpha = uniform(*real.shape)
    slope = input_gradient(critic, alpha * real + (1 - alpha) * fake)
    return (slope.norm(dim=1) - 1).square().mean()


def one_for_all(critic, real, fake):
    return gradient_penalty(critic, real, fake, MIXING[:1].expand(5))


def of_the_batch(critic, real, fake):
    """The norm over the whole batch, not a sample."""
    slope = input_gradient(critic, MIXING[:, None] * real + (1 - MIXING[:, None]) * fake)
    return (slope.norm() - 1).square()


def other_end(critic, real, fake):
    return gradient_penalty(critic, fake, real, MIXING)


def at_data(critic, real, fake):
    return gradient_penalty(critic, real, real, MIXING)


def test_the_penalty_of_a_bent_critic_is_that_of_each_row_by_hand():
    value = number(gradient_penalty(BENT, REAL, FAKE, MIXING))
    assert value == pytest.approx(one_by_one(MIXING.tolist()), abs=1e-12)
    for wrong in (per_pixel, one_for_all, of_the_batch, other_end, at_data):
        assert abs(number(wrong(BENT, REAL, FAKE)) / value - 1) > 0.01, wrong.__name__


def test_points_lie_between_a_real_and_its_fake():
    """Each on its own line, the weight as given; a weight a pixel leaves the line."""
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = normal(4, 3, 5, 5, seed=3), normal(4, 3, 5, 5, seed=4)
    gradient_penalty(Formula(critic), real, fake, uniform(4))
    share = (seen[0] - fake) / (real - fake)
    torch.testing.assert_close(share, uniform(4)[:, None, None, None].expand_as(share))


def test_r1_looks_at_the_data_alone_and_r2_at_the_fakes():
    expected = [0.5 * float((x @ A).square().sum(1).mean()) for x in (REAL, FAKE)]
    assert number(r1(BENT, REAL, FAKE)) == pytest.approx(expected[0])
    assert number(r2(BENT, REAL, FAKE)) == pytest.approx(expected[1])
    assert abs(expected[0] / expected[1] - 1) > 0.1


def test_the_slope_is_the_sum_over_a_column_of_scores_too():
    column = Formula(lambda x: BENT(x)[:, None])
    torch.testing.assert_close(input_gradient(column, REAL), REAL @ A)


def test_a_flat_critic_has_a_penalty_of_one_and_no_gradient_that_is_not_a_number():
    """|w| has no derivative at 0: by the root of a sum of squares it is NaN, which stays in the weights."""
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    flat = Formula(lambda x: x @ w)
    value = gradient_penalty(flat, REAL, FAKE, MIXING)
    (gradient,) = torch.autograd.grad(value, w)
    assert number(value) == 1 and gradient.isfinite().all()
    root = (input_gradient(flat, REAL).square().sum(1).sqrt() - 1).square().mean()
    assert torch.autograd.grad(root, w)[0].isnan().all()


@pytest.mark.parametrize("penalty", [lambda c, x, y: gradient_penalty(c, x, y, MIXING), r1, r2])
def test_gradients_of_a_penalty_are_those_of_differences(penalty):
    """By the critic's parameters, and by the fakes where they have a graph: an unrolled critic needs both."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    fake = FAKE.clone().requires_grad_()
    value = penalty(net, REAL, fake)
    gradients = torch.autograd.grad(value, [net[0].weight, fake], allow_unused=True)
    for tensor, gradient in zip([net[0].weight, fake], gradients, strict=True):
        for place in [(0, 0), (4, 1)]:
            ends = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    tensor[place] += step
                ends.append(number(penalty(net, REAL, fake)))
                with torch.no_grad():
                    tensor[place] -= step
            expected = (ends[0] - ends[1]) / 2e-5
            found = 0.0 if gradient is None else float(gradient[place])
            assert found == pytest.approx(expected, abs=1e-7)
    assert (gradients[1] is None) == (penalty is r1)


def test_fakes_that_are_a_view_of_the_generators_weights_have_slopes():
    """Made without gradients such a view is a leaf that says it needs one, and that no critic uses."""
    weight = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        fake = weight.expand(5, 2)
    assert fake.requires_grad and fake.is_leaf
    expected = 0.5 * float((weight.detach() @ A).square().sum())
    assert number(r2(BENT, REAL, fake)) == pytest.approx(expected)
    assert gradient_penalty(BENT, REAL, fake, MIXING).isfinite()


def test_penalties_leave_the_inputs_as_they_were():
    real, fake = REAL.clone(), FAKE.clone()
    for penalty in (lambda c, x, y: gradient_penalty(c, x, y, MIXING), r1, r2):
        penalty(BENT, real, fake)
    assert not real.requires_grad and not fake.requires_grad
    assert torch.equal(real, REAL) and torch.equal(fake, FAKE)


def test_consensus_of_the_bilinear_game_is_half_the_squared_distance():
    """Losses xy and -xy: gradients y and -x, so ½ (x² + y²), with gradient (x, y)."""
    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, -1.2))
    value = consensus([-x * y, x * y], [[y], [x]])
    assert number(value) == pytest.approx(0.5 * (0.49 + 1.44))
    gradient = torch.autograd.grad(value, [x, y])
    assert [float(g) for g in gradient] == pytest.approx([0.7, -1.2])


def dirac_losses(x, y, generator_loss):
    """The library's own losses for data at 0, one fake at x, and the critic y s."""
    critic = Formula(lambda s: y * s)
    real = torch.zeros(1, dtype=torch.float64)
    return minimax.critic_loss(critic, real, x[None]), generator_loss(critic, x[None])


@pytest.mark.parametrize(
    ("objective", "field"), [(minimax, dirac_minimax), (non_saturating, dirac_non_saturating)]
)
def test_consensus_of_the_dirac_gan_is_that_of_its_field(objective, field):
    """Networks and vector fields, two ways to the same velocity: v_i = -∇_i (loss_i + γ consensus)."""
    start = torch.tensor([0.8, -1.1], dtype=torch.float64)
    x, y = (value.clone().requires_grad_() for value in start)
    critic, generator = dirac_losses(x, y, objective.generator_loss)
    shared = 0.4 * consensus([critic, generator], [[y], [x]])
    velocity = torch.stack(
        [
            -torch.autograd.grad(generator + shared, x, retain_graph=True)[0],
            -torch.autograd.grad(critic + shared, y, retain_graph=True)[0],
        ]
    )
    torch.testing.assert_close(velocity, with_consensus(field, 0.4)(start), rtol=1e-6, atol=1e-7)
    # Power: without the ½ in it.
    assert (velocity - with_consensus(field, 0.8)(start)).abs().max() > 1e-2


def test_a_parameter_that_no_loss_reaches_counts_as_nothing():
    x, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    assert number(consensus([x.square().sum()], [[x, unused]])) == 0.5 * 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient_penalty(BENT, REAL, FAKE[:4], MIXING), "real, fake: expected one shape"),
        (
            lambda: gradient_penalty(BENT, REAL, FAKE, uniform(5, 2)),
            r"mixing: expected a weight a sample, \(5,\), got shape \(5, 2\)",
        ),
        (lambda: gradient_penalty(BENT, REAL, FAKE, uniform(1)), "mixing: expected a weight a sample"),
        (lambda: consensus([MIXING.sum()], []), "parameters: expected those of 1 players"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
