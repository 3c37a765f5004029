"""Objectives beside the theory of each: the best critic, its value, and where the generator then goes.

On a finite space means are exact. For the generator P = N(0, 1) and Q = N(θ, 1), x = θ + noise, noise on a
grid of equal weights: by the envelope theorem the gradient of the saddle's loss at the best critic is that
of the divergence, which for Gaussians is known.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import relu, softplus

from ganedu.divergences import F_DIVERGENCES
from ganedu.gans import hinge, minimax, non_saturating, ratio_matching, wasserstein
from ganedu.gans.f_gan import FGAN, NonSaturatingFGAN
from ganedu.gans.least_squares import PEARSON, LeastSquares
from ganedu.gans.scores import scores
from tests.gans.tables import FAKE, NOISE, REAL, Formula, P, Q, Table, slope

R = P / Q
THETA = 0.7
LOG_R = Formula(lambda x: THETA**2 / 2 - THETA * x)  # log p/q for N(0, 1) and N(θ, 1)
JSD = float(((P * (2 * P / (P + Q)).log()) + (Q * (2 * Q / (P + Q)).log())).sum() / 2)

# Name -> the best raw output v, from g(v) = f'(r) by hand, and the divergence as its own sum.
F = {
    "KL": (1 + R.log(), P * R.log()),
    "reverse KL": (R.log(), -Q * R.log()),
    "Jensen-Shannon": (R.log(), P * (2 * P / (P + Q)).log() + Q * (2 * Q / (P + Q)).log()),
    "Jeffrey": (R.log() + 1 - 1 / R, (P - Q) * R.log()),
    "Pearson": (2 * (R - 1), (P - Q) ** 2 / Q),
    "Neyman": (2 * R.log(), (P - Q) ** 2 / P),
    "squared Hellinger": (R.log() / 2, (P.sqrt() - Q.sqrt()) ** 2),
    "GAN": (R.log(), P * (P / (P + Q)).log() + Q * (Q / (P + Q)).log()),
}


def named(name):
    """The divergence of that name, whatever its spelling in the table."""
    key = {k.lower().replace("-", " ").replace("_", " "): k for k in F_DIVERGENCES}
    return F_DIVERGENCES[key[name.lower().replace("-", " ")]]


# Objective -> its best critic on the three points, and its loss there.
BEST = {
    "minimax": (minimax, R.log(), math.log(4) - 2 * JSD),
    "non-saturating": (non_saturating, R.log(), math.log(4) - 2 * JSD),
    "least squares": (LeastSquares(), P / (P + Q), float((P * Q / (P + Q)).sum() / 2)),
    "Pearson": (PEARSON, (P - Q) / (P + Q), float((4 * P * Q / (P + Q)).sum() / 2)),
    "hinge": (hinge, (P - Q).sign(), 2 - float((P - Q).abs().sum())),
    "ratio matching": (ratio_matching, R, -0.5 - float(((P - Q) ** 2 / Q).sum()) / 2),
    **{f"f-GAN {name}": (FGAN(named(name)), v, -float(d.sum())) for name, (v, d) in F.items()},
}


def loss_and_gradient(objective, values):
    critic = Table(values)
    critic.values.requires_grad_()
    loss = objective.critic_loss(critic, REAL, FAKE)
    (gradient,) = torch.autograd.grad(loss, critic.values)
    return float(loss.detach()), gradient


@pytest.mark.parametrize("name", BEST)
def test_the_best_critic_and_its_loss_are_those_of_the_theory(name):
    """A hinge has kinks at its best critic: there losses of neighbours are compared alone."""
    objective, values, expected = BEST[name]
    loss, gradient = loss_and_gradient(objective, values)
    assert loss == pytest.approx(expected, abs=1e-12)
    assert name == "hinge" or gradient.abs().max() < 1e-12
    for i in range(3):
        for step in (-0.3, 0.3):
            other = values.clone()
            other[i] += step
            assert loss_and_gradient(objective, other)[0] > expected + 1e-4


@pytest.mark.parametrize("name", BEST)
def test_the_same_test_rejects_data_and_fakes_exchanged(name):
    objective, values, expected = BEST[name]
    assert abs(float(objective.critic_loss(Table(values), FAKE, REAL)) - expected) > 0.1


@pytest.mark.parametrize("objective", [minimax, FGAN(named("GAN"))], ids=["minimax", "f-GAN"])
def test_where_p_is_q_the_best_discriminator_gives_minus_log_4(objective):
    loss, gradient = loss_and_gradient(objective, torch.zeros(3))
    assert loss == pytest.approx(math.log(4), abs=1e-12)
    assert float(objective.critic_loss(Table(torch.zeros(3)), REAL, REAL)) == pytest.approx(math.log(4))
    assert gradient.abs().max() > 0.1  # as P is not Q here
    assert float(minimax.generator_loss(Table(torch.zeros(3)), FAKE)) == pytest.approx(-math.log(2))


def generator_slope(objective, critic):
    """d/dθ of the generator's loss at θ = THETA, the critic held."""
    return slope(lambda theta: objective.generator_loss(critic, theta + NOISE), THETA)


def by_quadrature(density):
    """d/dθ ∫ density(p, q_θ) dx at THETA, on a grid, q_θ by its formula."""
    x = torch.linspace(-12, 12, 24_001, dtype=torch.float64)

    def normal(at):
        return (-0.5 * (x - at).square()).exp() / math.sqrt(2 * math.pi)

    return slope(lambda theta: density(normal(0.0), normal(theta)).sum() * 1e-3, THETA)


def js(p, q):
    return p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()


def ratio(change):
    return Formula(lambda x: change(LOG_R(x)))


SADDLES = {  # the best critic of log r, and dD/dθ
    "minimax": (minimax, LOG_R, by_quadrature(js)),
    "Wasserstein": (wasserstein, Formula(lambda x: -x), 1.0),  # W1 = |θ|
    "ratio matching": (ratio_matching, ratio(lambda t: t.exp()), THETA * math.exp(THETA**2)),
    "f-GAN KL": (FGAN(named("KL")), ratio(lambda t: 1 + t), THETA),
    "f-GAN reverse KL": (FGAN(named("reverse KL")), LOG_R, THETA),
    "f-GAN Jeffrey": (FGAN(named("Jeffrey")), ratio(lambda t: t + 1 - (-t).exp()), 2 * THETA),
    "f-GAN Pearson": (FGAN(named("Pearson")), ratio(lambda t: 2 * t.expm1()), 2 * THETA * math.exp(THETA**2)),
    "f-GAN Neyman": (FGAN(named("Neyman")), ratio(lambda t: 2 * t), 2 * THETA * math.exp(THETA**2)),
    "f-GAN squared Hellinger": (
        FGAN(named("squared Hellinger")),
        ratio(lambda t: t / 2),
        THETA / 2 * math.exp(-(THETA**2) / 8),
    ),
    "f-GAN Jensen-Shannon": (FGAN(named("Jensen-Shannon")), LOG_R, by_quadrature(js)),
    "f-GAN GAN": (FGAN(named("GAN")), LOG_R, by_quadrature(js)),
}


@pytest.mark.parametrize("name", SADDLES)
def test_at_the_best_critic_the_generator_descends_the_divergence(name):
    """To 1%: the grid of noise cuts the tails, which weigh most in Pearson's and Neyman's χ²."""
    objective, critic, expected = SADDLES[name]
    assert generator_slope(objective, critic) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    "name", ["minimax", "f-GAN Jeffrey", "f-GAN reverse KL", "f-GAN Pearson", "f-GAN Jensen-Shannon"]
)
def test_the_same_test_rejects_the_non_saturating_loss(name):
    """The trap: public code's minimax generator is the non-saturating one."""
    objective, critic, expected = SADDLES[name]
    wrong = non_saturating if objective is minimax else NonSaturatingFGAN(objective.divergence)
    assert abs(generator_slope(wrong, critic) / expected - 1) > 0.03


def test_the_non_saturating_generator_descends_another_thing():
    """∇ E_Q[-log D*] = ∇ (KL(Q||P) - 2 JSD) (Arjovsky and Bottou 2017, theorem 2.5)."""
    expected = THETA - by_quadrature(js)
    for objective in (non_saturating, NonSaturatingFGAN(named("GAN"))):
        assert generator_slope(objective, LOG_R) == pytest.approx(expected, rel=1e-3)
    assert abs(generator_slope(minimax, LOG_R) / expected - 1) > 0.03


def test_with_kl_the_trick_of_f_gan_descends_the_reverse_kl():
    """Q = N(0, s²), s = 1.3: KL(P||Q) has slope 1/s - 1/s³ in s, and KL(Q||P) s - 1/s."""
    s = 1.3
    critic = Formula(lambda x: 1 + math.log(s) - x.square() / 2 * (1 - 1 / s**2))
    kl, reverse = 1 / s - 1 / s**3, s - 1 / s
    for objective, expected in ((FGAN, kl), (NonSaturatingFGAN, reverse)):
        found = slope(lambda t, o=objective: o(named("KL")).generator_loss(critic, t * NOISE), s)
        assert found == pytest.approx(expected, rel=1e-3)


def test_the_trick_of_f_gan_differs_from_the_saddle_by_the_ratio():
    """At g(v) = f'(r) the slope of f* is r: gradients with respect to each fake's g(v), one by one."""
    for name, (v, _) in F.items():
        divergence = named(name)
        gradients = []
        for objective in (FGAN(divergence), NonSaturatingFGAN(divergence)):
            critic = Table(v)
            critic.values.requires_grad_()
            (own,) = torch.autograd.grad(objective.generator_loss(critic, torch.arange(3)), critic.values)
            gradients.append(own)
        torch.testing.assert_close(gradients[0] / gradients[1], R)


def test_least_squares_with_its_constants_is_pearson_between_2q_and_p_plus_q():
    """With the term that G cannot change (Mao et al. 2017, sec. 3.2), as a sum, and its slope in θ."""
    critic = Table((P - Q) / (P + Q))
    both = PEARSON.generator_loss(critic, FAKE) + PEARSON.generator_loss(critic, REAL)
    chi = ((2 * Q - (P + Q)).square() / (P + Q)).sum()
    assert float(2 * both) == pytest.approx(float(chi), abs=1e-12)
    best = Formula(lambda x: torch.tanh(LOG_R(x) / 2))
    expected = by_quadrature(lambda p, q: (p - q).square() / (p + q) / 2)
    # ½ d/dθ E_Q d² with d held is one of two equal halves: stationarity of the critic says nothing of G's
    # other half, so the identity is checked as it stands, E_P d² moving through the critic alone.
    moved = slope(lambda t: PEARSON.generator_loss(shifted(t), t + NOISE), THETA)
    moved += slope(lambda t: PEARSON.generator_loss(shifted(t), NOISE), THETA)
    assert moved == pytest.approx(expected, rel=1e-3)
    assert float(best(torch.tensor(0.3))) == pytest.approx(float(shifted(THETA)(torch.tensor(0.3))))


def shifted(theta):
    """(p - q) / (p + q) for N(0, 1) and N(θ, 1), as a function of θ too."""
    return Formula(lambda x: torch.tanh((theta**2 / 2 - theta * x) / 2))


def test_least_squares_in_numbers():
    """a = -1, b = 2, c = 3 on two scores each, by hand."""
    objective = LeastSquares(a=-1.0, b=2.0, c=3.0)
    real, fake = torch.tensor([1.0, 4.0]), torch.tensor([0.0, -3.0])
    critic = nn.Identity()
    assert float(objective.critic_loss(critic, real, fake)) == 0.5 * (1 + 4) / 2 + 0.5 * (1 + 4) / 2
    assert float(objective.generator_loss(critic, fake)) == 0.5 * (9 + 36) / 2
    with pytest.raises(ValueError, match="a, b: expected two different scores, got 1.0 for both"):
        LeastSquares(a=1.0)


def test_the_hinge_is_one_for_every_sample():
    """Fakes at -3 and 2: 0 and 3. Of the mean, the trap, it is 1 + (-0.5)."""
    real, fake = torch.tensor([2.0, -2.0]), torch.tensor([-3.0, 2.0])
    expected = (0 + 3) / 2 + (0 + 3) / 2
    assert float(hinge.critic_loss(nn.Identity(), real, fake)) == expected
    assert float(relu(1 - real.mean()) + relu(1 + fake.mean())) != expected
    assert float(hinge.generator_loss(nn.Identity(), fake)) == 0.5


def test_the_wasserstein_critic_on_parallel_lines():
    """W1 between (0, Z) and (θ, Z) is |θ|: the critic -sign(θ) x has it, K of it has K times that, and no
    linear critic of slope 1 has more (seed slides 002, where it says θ, and 003)."""
    z = torch.linspace(0, 1, 11, dtype=torch.float64)
    real = torch.stack([torch.zeros(11, dtype=torch.float64), z], 1)
    for theta in (-0.8, 0.3):
        fake = real + torch.tensor([theta, 0.0], dtype=torch.float64)
        losses = []
        for angle in torch.linspace(0, 2 * math.pi, 73, dtype=torch.float64):
            w = torch.stack([angle.cos(), angle.sin()])
            losses.append(float(wasserstein.critic_loss(Formula(lambda x, w=w: x @ w), real, fake)))
        assert min(losses) == pytest.approx(-abs(theta), abs=1e-12)
        best = Formula(lambda x, s=theta: -math.copysign(3.0, s) * x[:, 0])
        assert float(wasserstein.critic_loss(best, real, fake)) == pytest.approx(-3 * abs(theta))


def test_the_wasserstein_critic_on_a_line_of_three_points():
    """Every 1-Lipschitz critic on a grid against ∫ |F_P - F_Q|, which W1 is in one dimension."""
    w1 = float((P.cumsum(0) - Q.cumsum(0)).abs().sum())
    steps = torch.linspace(-1, 1, 21, dtype=torch.float64)
    losses = [
        float(wasserstein.critic_loss(Table([0.0, a, a + b]), REAL, FAKE)) for a in steps for b in steps
    ]
    assert min(losses) == pytest.approx(-w1, abs=1e-12)


def test_clipping_moves_what_is_outside_and_nothing_else():
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.5, -0.005], [-2.0, 0.01]]))
        net.bias.copy_(torch.tensor([0.0, 0.02]))
    wasserstein.clip(net.parameters())
    assert net.weight.tolist() == torch.tensor([[0.01, -0.005], [-0.01, 0.01]]).tolist()
    assert net.bias.tolist() == torch.tensor([0.0, 0.01]).tolist()
    assert net.weight.requires_grad and net.weight.is_leaf
    with pytest.raises(ValueError, match="bound: expected a positive number, got 0"):
        wasserstein.clip(net.parameters(), 0.0)


OBJECTIVES = [
    minimax,
    hinge,
    wasserstein,
    ratio_matching,
    PEARSON,
    FGAN(named("KL")),
    NonSaturatingFGAN(named("KL")),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_may_be_a_column(objective):
    real, fake = torch.randn(5, 1, generator=torch.Generator().manual_seed(0)), torch.ones(7, 1)
    column, row = nn.Identity(), nn.Flatten(0)
    assert objective.critic_loss(column, real, fake) == objective.critic_loss(row, real, fake)
    assert objective.generator_loss(column, fake) == objective.generator_loss(row, fake)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_of_half_precision_are_float32_and_float64_stays(objective):
    for given, wanted in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        x = torch.ones(4, dtype=given)
        assert objective.critic_loss(nn.Identity(), x, x).dtype == wanted
        assert objective.generator_loss(nn.Identity(), x).dtype == wanted


def test_a_mean_of_bfloat16_scores_is_taken_in_float32():
    """257 scores, one of them 1 and the others 3: bfloat16 has no number between 2.98 and 3."""
    x = torch.tensor([1.0] + [3.0] * 256).bfloat16()
    assert float(scores(nn.Identity(), x).mean()) == pytest.approx(3 - 2 / 257, abs=1e-6)
    assert abs(float(x.mean()) - (3 - 2 / 257)) > 1e-3


def test_losses_are_finite_where_the_critic_is_sure():
    far = torch.tensor([-100.0, 100.0])
    for objective in (minimax, FGAN(named("GAN")), NonSaturatingFGAN(named("GAN"))):
        assert objective.critic_loss(nn.Identity(), far, far).isfinite()
        assert objective.generator_loss(nn.Identity(), far).isfinite()


def test_the_saddle_of_a_sure_critic_gives_the_generator_no_gradient():
    """-sigmoid(d) against -sigmoid(-d), at d = -20: the reason for the non-saturating loss."""
    for objective, expected in (
        (minimax, -1 / (1 + math.exp(20))),
        (non_saturating, -1 / (1 + math.exp(-20))),
    ):
        found = slope(lambda d, o=objective: o.generator_loss(nn.Identity(), d[None]), -20.0)
        assert found == pytest.approx(expected, rel=1e-6)
    assert float(softplus(torch.tensor(-20.0))) < 1e-8


def test_f_gan_with_the_gan_divergence_is_minimax():
    critic = Table([0.3, -2.0, 1.1])
    for ours, theirs in (
        (FGAN(named("GAN")), minimax),
        (NonSaturatingFGAN(named("GAN")), non_saturating),
    ):
        for a, b in (
            (ours.critic_loss(critic, REAL, FAKE), theirs.critic_loss(critic, REAL, FAKE)),
            (ours.generator_loss(critic, FAKE), theirs.generator_loss(critic, FAKE)),
        ):
            assert float(a) == pytest.approx(float(b), abs=1e-12)
