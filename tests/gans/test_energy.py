"""EBGAN and BEGAN beside their theorems on a finite space, and the traps of public code."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ganedu.gans.energy import BEGAN, EBGAN, AutoencoderEnergy, pull_away
from ganedu.gans.game import Balance, Balanced
from ganedu.likelihood.energy import PCA
from ganedu.rng import generator
from tests.gans.tables import FAKE, REAL, P, Q, Table

MARGIN = 1.5


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def test_the_best_energy_is_the_margin_where_fakes_are_likelier_and_else_zero():
    """V = margin Σ min(p, q) for it (Zhao et al. 2017, lemma 1 and theorem 1), and no less on a grid."""
    objective = EBGAN(MARGIN)
    best = torch.where(P < Q, MARGIN, 0.0)
    expected = MARGIN * float(torch.minimum(P, Q).sum())
    assert float(objective.critic_loss(Table(best), REAL, FAKE)) == pytest.approx(expected, abs=1e-12)
    grid = torch.linspace(0, 3, 13, dtype=torch.float64)
    losses = [
        float(objective.critic_loss(Table([a, b, c]), REAL, FAKE)) for a in grid for b in grid for c in grid
    ]
    assert min(losses) == pytest.approx(expected, abs=1e-12)


def test_at_equilibrium_the_critic_pays_the_margin_whatever_constant_it_is():
    objective = EBGAN(MARGIN)
    for gamma, expected in ((0.0, MARGIN), (0.4, MARGIN), (MARGIN, MARGIN), (2.0, 2.0)):
        energies = Table([gamma] * 3)
        assert float(objective.critic_loss(energies, REAL, REAL)) == pytest.approx(expected)
        assert float(objective.generator_loss(energies, REAL)) == pytest.approx(gamma)


def test_the_hinge_is_one_for_every_sample():
    """Fakes at 0 and 2m: m/2. The hinge of their mean, the trap, is 0: no push where it is needed."""
    fake = torch.tensor([0.0, 2 * MARGIN])
    loss = EBGAN(MARGIN).critic_loss(nn.Identity(), torch.zeros(1), fake)
    assert float(loss) == MARGIN / 2
    assert float(torch.relu(MARGIN - fake.mean())) == 0


def by_loops(code):
    rows = code.flatten(1).numpy()
    total, n = 0.0, len(rows)
    for i in range(n):
        for j in range(n):
            if i != j:
                cosine = rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
                total += cosine**2
    return total / (n * (n - 1))


def diagonal_kept(code):
    directions = code / code.norm(dim=1, keepdim=True)
    return (directions @ directions.T).square().mean()


def wrong_axis(code):
    return pull_away(code.T)


def normalised_over_the_batch(code):
    directions = code / code.norm(dim=0, keepdim=True)
    cosines = (directions @ directions.T).square()
    return (cosines.sum() - cosines.diagonal().sum()) / (len(code) * (len(code) - 1))


def not_squared(code):
    directions = code / code.norm(dim=1, keepdim=True)
    cosines = directions @ directions.T
    return (cosines.sum() - len(code)) / (len(code) * (len(code) - 1))


def test_pull_away_is_the_mean_squared_cosine_of_two_different_samples():
    code = normal(6, 4) * torch.tensor([1.0, 5.0, 0.2, 1.0])
    expected = by_loops(code)
    assert float(pull_away(code)) == pytest.approx(expected, abs=1e-12)
    assert float(pull_away(code.reshape(6, 2, 2))) == pytest.approx(expected, abs=1e-12)
    for wrong in (diagonal_kept, wrong_axis, normalised_over_the_batch, not_squared):
        assert abs(float(wrong(code)) - expected) > 0.01, wrong.__name__


def test_pull_away_of_known_codes():
    assert float(pull_away(torch.eye(4))) == 0
    assert float(pull_away(torch.ones(4, 3))) == pytest.approx(1)
    for angle in (0.3, 1.0, 2.5):
        two = torch.tensor([[2.0, 0.0], [3 * math.cos(angle), 3 * math.sin(angle)]])
        assert float(pull_away(two)) == pytest.approx(math.cos(angle) ** 2, abs=1e-6)
    # Of n draws of N(0, I) in d dimensions it is 1/d on average: n = 2,000 and d = 10, spread 0.0001.
    assert float(pull_away(normal(2000, 10))) == pytest.approx(0.1, abs=1e-3)


def test_pull_away_does_not_see_lengths_and_survives_a_code_of_zeros():
    code = normal(5, 3)
    assert float(pull_away(code * torch.tensor([[1.0], [9.0], [0.1], [2.0], [3.0]]))) == pytest.approx(
        float(pull_away(code))
    )
    code[0] = 0.0
    code.requires_grad_()
    (gradient,) = torch.autograd.grad(pull_away(code), code)
    assert gradient.isfinite().all()
    with pytest.raises(ValueError, match="code: expected at least 2 samples, got 1"):
        pull_away(torch.ones(1, 3))


def linear_autoencoder(dim=4, k=2):
    """Its energy is the squared distance from a plane, over dim."""
    x = normal(50, dim) @ normal(dim, dim, seed=1)
    pca = PCA.fit(x, k)
    encoder, decoder = nn.Linear(dim, k, dtype=torch.float64), nn.Linear(k, dim, dtype=torch.float64)
    nn.ModuleList([encoder, decoder]).requires_grad_(False)
    with torch.no_grad():
        encoder.weight.copy_(pca.components)
        encoder.bias.copy_(-pca.components @ pca.mean)
        decoder.weight.copy_(pca.components.T)
        decoder.bias.copy_(pca.mean)
    return encoder, decoder, pca, x


def test_the_energy_of_a_linear_autoencoder_is_that_of_pca():
    encoder, decoder, pca, x = linear_autoencoder()
    torch.testing.assert_close(AutoencoderEnergy(encoder, decoder)(x), pca(x) / 4)
    absolute = AutoencoderEnergy(encoder, decoder, power=1.0)(x)
    torch.testing.assert_close(absolute, (decoder(encoder(x)) - x).abs().sum(1) / 4)


def test_fakes_of_a_bfloat16_generator_have_energies_in_single_precision():
    """3 ± small: bfloat16 has 1/64 between two numbers there, and so has a mean of them."""
    critic = AutoencoderEnergy(nn.Identity(), lambda code: torch.zeros_like(code))
    fake = torch.linspace(1, 2, 96).reshape(4, 24).bfloat16()
    energies = critic(fake)
    assert energies.dtype == torch.float32
    torch.testing.assert_close(energies, fake.double().square().mean(1).float())
    code = normal(6, 4).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert float(pull_away(code)) == pytest.approx(by_loops(code.double()), rel=1e-5)


def test_the_pull_away_term_is_added_with_its_weight_to_the_generator_alone():
    encoder, decoder, pca, x = linear_autoencoder()
    critic = AutoencoderEnergy(encoder, decoder)
    plain, repelled = EBGAN(MARGIN), EBGAN(MARGIN, pull_away=0.1)
    expected = float(pca(x).mean()) / 4 + 0.1 * by_loops(encoder(x).detach())
    assert float(repelled.generator_loss(critic, x)) == pytest.approx(expected, abs=1e-12)
    assert float(plain.generator_loss(critic, x)) == pytest.approx(float(pca(x).mean()) / 4, abs=1e-12)
    assert plain.critic_loss(critic, x, x) == repelled.critic_loss(critic, x, x)


def test_the_generator_is_drawn_onto_the_plane():
    """The energy's gradient at x is 2/d of the way back, by hand."""
    encoder, decoder, pca, x = linear_autoencoder()
    x.requires_grad_()
    loss = EBGAN(MARGIN).generator_loss(AutoencoderEnergy(encoder, decoder), x)
    (gradient,) = torch.autograd.grad(loss, x)
    centred = x.detach() - pca.mean
    back = centred - centred @ pca.components.T @ pca.components
    torch.testing.assert_close(gradient, back * 2 / 4 / len(x))


def test_began_weighs_fakes_by_k():
    objective = BEGAN()
    critic = Table([0.2, 0.5, 1.1])
    real, fake = (float((w * critic.values).sum()) for w in (P, Q))
    for k in (0.0, 0.3, torch.tensor(0.3, dtype=torch.float64)):
        loss = objective.critic_loss(critic, REAL, FAKE, k)
        assert float(loss) == pytest.approx(real - float(k) * fake)
    assert float(objective.generator_loss(critic, FAKE)) == pytest.approx(fake)


def test_the_balance_of_began_by_hand():
    objective = BEGAN(gamma=0.5, rate=0.1)
    k, real, fake = torch.tensor(0.3), torch.tensor(2.0), torch.tensor(0.4)
    assert float(objective.balance(k, real, fake)) == pytest.approx(0.3 + 0.1 * (1.0 - 0.4))
    assert float(objective.balance(0.3, real, fake)) == pytest.approx(0.36)
    assert float(k) == pytest.approx(0.3)  # nothing in place
    assert float(objective.balance(k, real, torch.tensor(9.0))) == 0.0
    assert float(objective.balance(k, torch.tensor(99.0), fake)) == 1.0
    assert float(objective.convergence(real, fake)) == pytest.approx(2.0 + 0.6)
    graph = objective.balance(k, real.requires_grad_(), fake)
    assert not graph.requires_grad


def test_the_balance_comes_to_rest_where_fakes_have_gamma_of_the_data():
    """Fakes whose energy rises with k, as a critic that cares for them makes it: 0.2 + k against 1.
    At rest 0.2 + k = γ. With the sign wrong k ends at a bound."""
    objective = BEGAN(gamma=0.7, rate=0.1)
    k = wrong = torch.tensor(0.1)
    for _ in range(300):
        k = objective.balance(k, torch.tensor(1.0), 0.2 + k)
        wrong = (wrong - 0.1 * (0.7 - (0.2 + wrong))).clamp(0, 1)
    assert float(k) == pytest.approx(0.5, abs=1e-5) and float(wrong) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EBGAN(0.0), "margin: expected a positive number, got 0"),
        (lambda: EBGAN(1.0, pull_away=-0.1), "pull_away: expected a weight of at least 0, got -0.1"),
        (lambda: BEGAN(gamma=1.5), "gamma: expected a positive number of at most 1, got 1.5"),
        (lambda: BEGAN(rate=0.0), "rate: expected a positive number"),
        (
            lambda: AutoencoderEnergy(nn.Identity(), nn.Identity(), power=0),
            "power: expected at least 1, below which 0 has no slope, got 0",
        ),
        (
            lambda: AutoencoderEnergy(nn.Linear(2, 1), nn.Identity())(torch.zeros(3, 2)),
            r"decoder: expected to get \(3, 2\), got \(3, 1\)",
        ),
    ],
)
def test_what_is_no_energy_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return (self.scale * x).square().sum(1)


def test_a_balanced_game_has_penalties_and_a_constraint_and_no_graph_of_fakes():
    def size(critic, real, fake):
        return critic(real).mean()

    def halve(critic):
        critic.scale.mul_(0.5)

    nets = {"generator": nn.Linear(3, 2), "critic": Energy(), "balance": Balance()}
    plain, game = Balanced(BEGAN(), 3), Balanced(BEGAN(), 3, ((0.7, size),), constrain=halve)
    rows = game.draw(torch.randn(6, 2, generator=generator(0)), generator(1))
    expect = plain.loss("critic", nets, *rows) + 0.7 * 2.25 * rows[0].square().sum(1).mean()
    loss = game.loss("critic", nets, *rows)
    assert loss.item() == pytest.approx(expect.item(), rel=1e-6)
    nets["balance"].k.fill_(0.5)
    game.loss("critic", nets, *rows).backward()
    assert nets["generator"].weight.grad is None and nets["critic"].scale.grad is not None
    with torch.no_grad():
        game.after("generator", nets, *rows)
        assert nets["critic"].scale.item() == 1.5
        game.after("critic", nets, *rows)
    assert nets["critic"].scale.item() == 0.75


def test_the_gradient_of_the_pull_away_loss_is_that_of_differences():
    torch.manual_seed(0)
    critic = AutoencoderEnergy(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 3)).double()
    x = torch.randn(4, 3, generator=generator(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: EBGAN(1.0, pull_away=0.3).generator_loss(critic, x), x)


def test_convergence_is_a_distance_on_either_side_of_the_balance():
    objective = BEGAN(gamma=0.5, rate=0.1)
    assert float(objective.convergence(torch.tensor(2.0), torch.tensor(1.6))) == pytest.approx(2.0 + 0.6)


def test_a_power_below_one_is_refused():
    with pytest.raises(ValueError, match="power: expected at least 1, below which 0 has no slope, got 0.5"):
        AutoencoderEnergy(nn.Identity(), nn.Identity(), power=0.5)


def test_codes_in_bfloat16_are_compared_in_float32():
    code = torch.randn(40, 5, generator=generator(1)).bfloat16()
    exact = pull_away(code.double())
    assert float(pull_away(code)) == pytest.approx(float(exact), rel=1e-5)
