"""Games of two: where gradients go, what is random, penalties, and what follows a step."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganedu.gans import minimax, non_saturating, wasserstein
from ganedu.gans.energy import BEGAN, EBGAN
from ganedu.gans.f_gan import FGAN
from ganedu.gans.game import Balance, Balanced, Game, TwoPlayer, ZeroSum, latents, mixing_weights, penalise
from ganedu.gans.least_squares import LeastSquares
from ganedu.gans.moment_matching import FeatureMatching
from ganedu.gans.penalties import gradient_penalty, r1
from ganedu.rng import generator
from tests.laws import FALSE_FAIL, normal_cdf, worst


def networks() -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "generator": nn.Linear(3, 2),
            "critic": nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)),
        }


X = torch.randn(5, 2, generator=generator(0))


def reached(loss: Tensor, nets) -> set[str]:
    """The names of networks that the loss has a gradient for."""
    for net in nets.values():
        net.zero_grad()
    loss.backward()
    return {name for name, net in nets.items() if any(p.grad is not None for p in net.parameters())}


def test_a_batch_gets_a_row_of_everything_and_the_same_ones_for_the_same_rng():
    game = TwoPlayer(non_saturating, 3)
    x, z, mixing = game.draw(X, generator(1))
    assert x is X and z.shape == (5, 3) and mixing.shape == (5,)
    assert all(torch.equal(a, b) for a, b in zip(game.draw(X, generator(1)), (x, z, mixing), strict=True))
    assert not torch.equal(game.draw(X, generator(2))[1], z)
    assert game.draw(X.double(), generator(1))[1].dtype == torch.float64


def test_latents_are_normal_and_mixing_weights_uniform():
    """DKW, n = 100,000: three laws together fail by chance once in a million."""
    x, rng = torch.zeros(100_000, 1, dtype=torch.float64), generator(3)
    z, mixing = latents(x, 2, rng), mixing_weights(x, rng)

    def uniform(u):
        return u.clamp(0, 1)

    laws = {"z0": (z[:, 0], normal_cdf(0, 1)), "z1": (z[:, 1], normal_cdf(0, 1)), "mixing": (mixing, uniform)}
    assert worst(laws)[0] < 1
    assert worst(laws | {"mixing": (mixing**1.05, uniform)})[0] > 1, "a planted error is seen"
    assert FALSE_FAIL == 1e-6


def test_the_critics_loss_does_not_reach_the_generator_and_the_generators_goes_through_the_critic():
    nets, game = networks(), TwoPlayer(non_saturating, 3)
    rows = game.draw(X, generator(1))
    loss = game.loss("critic", nets, *rows)
    fake = nets["generator"](rows[1])
    expect = softplus(-nets["critic"](X)).mean() + softplus(nets["critic"](fake)).mean()
    assert loss.item() == pytest.approx(expect.item(), rel=1e-6)
    assert reached(loss, nets) == {"critic"}
    loss = game.loss("generator", nets, *rows)
    assert loss.item() == pytest.approx(softplus(-nets["critic"](fake)).mean().item(), rel=1e-6)
    assert "generator" in reached(loss, nets)
    assert game.critics == ("critic",) and list(game.moves) == ["critic", "generator"]


def test_penalties_come_with_their_weights_and_their_mixing():
    nets = networks()
    game = TwoPlayer(wasserstein, 3, ((10.0, gradient_penalty), (0.5, r1)))
    x, z, mixing = game.draw(X, generator(1))
    fake, critic = nets["generator"](z).detach(), nets["critic"]

    def slopes(points):
        """The gradient of the critic by hand: tanh' = 1 - tanh²."""
        hidden = torch.tanh(points @ critic[0].weight.T + critic[0].bias)
        return ((1 - hidden.square()) * critic[2].weight) @ critic[0].weight

    between = mixing[:, None] * x + (1 - mixing[:, None]) * fake
    expect = critic(fake).mean() - critic(x).mean()
    expect += 10.0 * (slopes(between).norm(dim=1) - 1).square().mean()
    expect += 0.5 * 0.5 * slopes(x).square().sum(1).mean()
    got = game.loss("critic", nets, x, z, mixing)
    assert got.item() == pytest.approx(expect.item(), rel=1e-5)
    other = game.loss("critic", nets, x, z, 1 - mixing)
    assert abs(other.item() - expect.item()) > 1e-3, "mixing matters"
    assert game.loss("generator", nets, x, z, mixing).item() == pytest.approx(-critic(fake).mean().item())


def test_a_penalty_gets_mixing_only_where_it_asks_for_it():
    seen = []
    penalise(lambda critic, real, fake: seen.append("no"), None, X, X, X[:, 0])
    penalise(lambda critic, real, fake, mixing: seen.append(mixing), None, X, X, X[:, 0])
    assert seen[0] == "no" and torch.equal(seen[1], X[:, 0])


def test_a_constraint_follows_the_critics_steps_alone():
    nets = networks()
    game = TwoPlayer(wasserstein, 3, constrain=lambda critic: wasserstein.clip(critic.parameters(), 0.1))

    def largest() -> float:
        return max(p.abs().max().item() for p in nets["critic"].parameters())

    before = largest()
    game.after("generator", nets)
    assert largest() == before > 0.1
    game.after("critic", nets)
    assert largest() == pytest.approx(0.1)


def test_a_zero_sum_generator_maximises_what_the_critic_minimises():
    """Against a critic that stands still: minimax's gradient, and another value by the data's term."""
    nets, zero, plain = networks(), ZeroSum(minimax, 3), TwoPlayer(minimax, 3)
    rows, own = zero.draw(X, generator(1)), list(nets["generator"].parameters())
    values = [game.loss("generator", nets, *rows) for game in (zero, plain)]
    one, two = (torch.autograd.grad(value, own) for value in values)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)
    data = softplus(-nets["critic"](X)).mean()
    assert (values[1] - values[0]).item() == pytest.approx(data.item(), rel=1e-5)
    assert values[0].item() == pytest.approx(-zero.loss("critic", nets, *rows).item(), rel=1e-6)


class Energy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1)


def test_the_balance_moves_by_began_and_only_after_the_generator():
    """k' = k + rate (gamma E(data) - E(fakes)), in [0, 1], by hand over four steps."""
    nets = networks() | {"critic": Energy(), "balance": Balance()}
    game = Balanced(BEGAN(gamma=0.9, rate=0.05), 3)
    rows = game.draw(3.0 * X, generator(1))
    real, fake = (rows[0] ** 2).sum(1).mean(), (nets["generator"](rows[1]) ** 2).sum(1).mean()
    expect = 0.0
    for _ in range(4):
        assert game.loss("critic", nets, *rows).item() == pytest.approx(
            (real - expect * fake).item(), rel=1e-5
        )
        with torch.no_grad():
            game.after("critic", nets, *rows)
            assert nets["balance"].k.item() == pytest.approx(expect, abs=1e-6)
            game.after("generator", nets, *rows)
        expect = min(1.0, max(0.0, expect + 0.05 * (0.9 * real - fake).item()))
        assert nets["balance"].k.item() == pytest.approx(expect, rel=1e-5)
    assert 0.0 < expect
    assert "k" in nets["balance"].state_dict()


def test_what_is_no_game_is_refused():
    with pytest.raises(ValueError, match="latent_dim: expected an int of at least 1, got 0"):
        TwoPlayer(non_saturating, 0)
    with pytest.raises(ValueError, match=r"penalties: expected pairs \(weight, penalty\), got <function"):
        TwoPlayer(non_saturating, 2, (gradient_penalty,))
    with pytest.raises(ValueError, match=r"penalties: expected pairs \(weight, penalty\), got \('0.1'"):
        TwoPlayer(non_saturating, 2, (("0.1", gradient_penalty),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TwoPlayer(LeastSquares, 2), r"objective: expected an instance, got the class LeastSquares"),
        (lambda: TwoPlayer(SimpleNamespace(), 2), "objective: expected one with critic_loss, got namespace"),
        (
            lambda: TwoPlayer(BEGAN(), 2),
            r"critic_loss\(critic, real, fake\), got BEGAN.* is for Balanced",
        ),
        (lambda: Balanced(wasserstein, 2), r"objective: expected critic_loss\(critic, real, fake, k\), got"),
        (lambda: FGAN("KL"), "divergence: expected one as in F_DIVERGENCES, KL.. say, got 'KL'"),
        (
            lambda: EBGAN(1.0, 0.1).generator_loss(nn.Linear(2, 1), torch.zeros(3, 2)),
            "critic: expected an AutoencoderEnergy, whose codes pull-away is about, got Linear",
        ),
        (
            lambda: FeatureMatching(non_saturating, 2).generator_loss(nn.Linear(2, 1), *torch.zeros(2, 3, 2)),
            r"critic: expected one with features\(x\), got Linear",
        ),
    ],
)
def test_what_is_no_objective_or_lacks_what_one_needs_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(3, 5), (3, 1, 1, 1), ()])
def test_scores_are_one_a_row(shape):
    """Of other shapes a loss would take the mean and a penalty the sum."""
    expected = rf"critic: expected a score a row, \(3,\), got shape {re.escape(str(shape))}"
    with pytest.raises(ValueError, match=expected):
        wasserstein.generator_loss(lambda x: torch.zeros(shape), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=expected):
        gradient_penalty(lambda x: torch.zeros(shape) + x.sum(), *torch.ones(2, 3, 2), mixing=torch.ones(3))


def test_a_game_of_ones_own_has_the_rest_by_default():
    class Three(Game):
        moves = {"a": ("a",), "b": ("b",), "generator": ("generator",)}

    assert Three().critics == ("a", "b")
    assert Three().after("a", SimpleNamespace()) is None
