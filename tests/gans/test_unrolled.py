"""The unrolled game: its gradient against differences of a game that torch's own optimisers play."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganedu.gans import minimax, wasserstein
from ganedu.gans.consensus import Consensus
from ganedu.gans.energy import BEGAN
from ganedu.gans.game import Balanced, TwoPlayer, ZeroSum
from ganedu.gans.info_gan import Code, InfoGAN
from ganedu.gans.unrolled import AdamStep, GradientStep, Unrolled, unroll
from ganedu.rng import generator

RATE = 0.3
NON_SATURATING = SimpleNamespace(
    critic_loss=minimax.critic_loss, generator_loss=lambda critic, fake: softplus(-critic(fake)).mean()
)  # in float64


def networks(seed: int = 0) -> dict[str, nn.Module]:
    """In float64, and smooth, so that differences are exact enough."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        maker = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        critic = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    return {"generator": maker, "critic": critic}


def batch(game: TwoPlayer, n: int = 6) -> tuple[Tensor, ...]:
    x = torch.randn(n, 2, generator=generator(1), dtype=torch.float64) + 1.0
    return game.draw(x, generator(2))


def value_in_k_steps(nets, rows, steps: int, make, trained, zero_sum: bool) -> float:
    """The generator's loss against a critic that one of torch's optimisers has moved ``steps`` times.

    ``trained``: the critic's optimiser so far, or None; its state is handed to a copy.
    """
    x, z, _ = rows
    critic = copy.deepcopy(nets["critic"])
    optimiser = make(critic.parameters())
    if trained is not None:
        optimiser.load_state_dict(copy.deepcopy(trained.state_dict()))
    fake = nets["generator"](z).detach()
    for _ in range(steps):
        optimiser.zero_grad()
        (softplus(-critic(x)).mean() + softplus(critic(fake)).mean()).backward()
        optimiser.step()
    with torch.no_grad():
        if zero_sum:
            return -(softplus(-critic(x)).mean() + softplus(critic(fake)).mean()).item()
        return softplus(-critic(fake)).mean().item()


def differences(nets, value, h: float = 1e-5) -> Tensor:
    """The gradient of ``value(nets)`` by each weight of the generator, by central differences."""
    slopes = []
    for weight in nets["generator"].parameters():
        flat = weight.data.view(-1)
        for i in range(len(flat)):
            at = flat[i].item()
            flat[i] = at + h
            above = value(nets)
            flat[i] = at - h
            below = value(nets)
            flat[i] = at
            slopes.append((above - below) / (2 * h))
    return torch.tensor(slopes, dtype=torch.float64)


def gradient(game, nets, rows) -> Tensor:
    loss = game.loss("generator", nets, *rows)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(nets["generator"].parameters()))])


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.05, betas=(0.5, 0.9))


INNER = {
    "gradient steps": (GradientStep(RATE), lambda p: torch.optim.SGD(p, lr=RATE), False),
    "Adam anew": (AdamStep(0.05, (0.5, 0.9)), adam, False),
    "Adam going on": (AdamStep(0.05, (0.5, 0.9)), adam, True),
}
GAMES = {"zero-sum": ZeroSum(minimax, 2), "non-saturating": TwoPlayer(NON_SATURATING, 2)}


def set_up(inner: str, nets, rows):
    """(the functional step, what makes torch's, the critic's optimiser after some steps or None)."""
    step, make, goes_on = INNER[inner]
    if not goes_on:
        return step, make, None
    optimiser = make(nets["critic"].parameters())
    for _ in range(3):
        optimiser.zero_grad()
        GAMES["zero-sum"].loss("critic", nets, *rows).backward()
        optimiser.step()
    return step, make, optimiser


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", GAMES)
def test_the_gradient_is_that_of_the_game_in_k_steps(name, inner, steps):
    """float64, each weight of the generator, 1e-6; without the answer of the critic it is another one."""
    nets, game = networks(), GAMES[name]
    rows = batch(game)
    step, make, trained = set_up(inner, nets, rows)
    ahead = Unrolled(game, steps, step)
    if trained is not None:
        ahead = ahead.with_optimisers({"critic": trained, "generator": None})

    def value(nets):
        return value_in_k_steps(nets, rows, steps, make, trained, name == "zero-sum")

    assert ahead.loss("generator", nets, *rows).item() == pytest.approx(value(nets), abs=1e-12)
    exact, got = differences(nets, value), gradient(ahead, nets, rows)
    assert (got - exact).abs().max() < 1e-6
    if inner == "Adam anew" and steps == 1:
        return  # a first step by the sign of the gradient: there is next to no answer
    without = first_term(game, nets, rows, steps, make, trained)
    assert (without - exact).abs().max() > 1e-4


def first_term(game, nets, rows, steps, make, trained) -> Tensor:
    """Planted: a critic that was trained ahead and that stands still, as far as the generator sees."""
    x, z, _ = rows
    critic = copy.deepcopy(nets["critic"])
    optimiser = make(critic.parameters())
    if trained is not None:
        optimiser.load_state_dict(copy.deepcopy(trained.state_dict()))
    for _ in range(steps):
        optimiser.zero_grad()
        game.critic_loss(critic, x, nets["generator"](z).detach(), rows[2]).backward()
        optimiser.step()
    return gradient(game, nets | {"critic": critic}, rows)


@pytest.mark.parametrize("steps", [1, 3])
def test_on_the_bilinear_game_the_answer_is_known(steps):
    """V = w θ: φ_K = w - K η θ, so the generator's loss is -(w - K η θ) θ and its slope -w + 2 K η θ."""

    class Dirac(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))

        def forward(self, z):
            return self.theta.expand(len(z), 1)

    objective = SimpleNamespace(
        critic_loss=lambda critic, real, fake: critic(fake).mean() - critic(real).mean(),
        generator_loss=lambda critic, fake: -critic(fake).mean(),
    )
    critic = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(critic.weight, 1.3)
    nets, game = {"generator": Dirac(), "critic": critic}, TwoPlayer(objective, 1)
    rows = game.draw(torch.zeros(4, 1, dtype=torch.float64), generator(0))
    got = gradient(Unrolled(game, steps, GradientStep(0.1)), nets, rows)
    assert got.item() == pytest.approx(-1.3 + 2 * steps * 0.1 * 0.7, rel=1e-12)


@pytest.mark.parametrize("name", GAMES)
def test_without_a_step_it_is_the_plain_game_bit_for_bit(name):
    nets, game = networks(), GAMES[name]
    rows, plain = batch(game), Unrolled(game, 0, GradientStep(RATE))
    for player in game.moves:
        assert torch.equal(plain.loss(player, nets, *rows), game.loss(player, nets, *rows))
    assert torch.equal(gradient(plain, nets, rows), gradient(game, nets, rows))
    assert plain.moves == game.moves and plain.critics == ("critic",)
    assert all(torch.equal(a, b) for a, b in zip(plain.draw(rows[0], generator(2)), rows, strict=True))


def test_the_critic_plays_as_before_and_stays_where_it_is():
    nets, game = networks(), GAMES["zero-sum"]
    rows, ahead = batch(game), Unrolled(game, 4, GradientStep(RATE))
    before = copy.deepcopy(nets["critic"].state_dict())
    assert torch.equal(ahead.loss("critic", nets, *rows), game.loss("critic", nets, *rows))
    ahead.loss("generator", nets, *rows).backward()
    assert all(torch.equal(value, before[name]) for name, value in nets["critic"].state_dict().items())
    assert all(p.grad is None for p in nets["critic"].parameters())
    assert all(p.grad is not None for p in nets["generator"].parameters())


def test_live_moments_are_read_and_not_touched():
    nets, game = networks(), GAMES["zero-sum"]
    rows = batch(game)
    step, _, trained = set_up("Adam going on", nets, rows)
    before = copy.deepcopy(trained.state_dict()["state"])
    game = Unrolled(game, 2, step).with_optimisers({"critic": trained})
    loss = game.loss("generator", nets, *rows)
    trained.step()  # as a later turn of the critic, in place: the graph must not mind
    loss.backward()
    fresh = Unrolled(game.game, 2, step)
    assert fresh == game == replace(game), "the optimiser is no part of what a run is a run of"
    assert before[0]["step"] == 3.0 and trained.state_dict()["state"][0]["step"] == 4.0


@pytest.mark.parametrize("inner", [GradientStep(RATE), AdamStep(0.05)])
def test_a_weight_without_a_gradient_makes_no_nan(inner):
    """A dead ReLU, a weight that the loss does not use, and one that is frozen."""
    nets, game = networks(), GAMES["zero-sum"]
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    nn.init.constant_(critic[0].bias, -100.0)
    critic.register_parameter("idle", nn.Parameter(torch.zeros(2, dtype=torch.float64)))
    critic[2].bias.requires_grad_(False)
    got = gradient(Unrolled(game, 3, inner), nets | {"critic": critic}, batch(game))
    assert torch.isfinite(got).all()


def test_penalties_are_part_of_what_the_critic_descends():
    """One step on loss + 2 penalty, written out."""

    def size(critic, real, fake):
        return critic(real).square().mean()

    nets, game = networks(), TwoPlayer(minimax, 2, ((2.0, size),))
    rows = batch(game)
    x, z, mixing = rows
    fake = nets["generator"](z)
    later = unroll(
        nets["critic"], lambda critic: game.critic_loss(critic, x, fake, mixing), 1, GradientStep(RATE)
    )
    critic = copy.deepcopy(nets["critic"])
    loss = softplus(-critic(x)).mean() + softplus(critic(fake.detach())).mean()
    (loss + 2.0 * critic(x).square().mean()).backward()
    torch.optim.SGD(critic.parameters(), lr=RATE).step()
    torch.testing.assert_close(later(x), critic(x), rtol=0, atol=1e-14)


def test_what_makes_no_sense_is_refused():
    game = GAMES["zero-sum"]
    with pytest.raises(ValueError, match="steps: expected an int of at least 0, got -1"):
        Unrolled(game, -1, GradientStep(RATE))
    with pytest.raises(ValueError, match="learning_rate: expected a positive number, got 0"):
        GradientStep(0.0)
    with pytest.raises(ValueError, match="betas: expected two numbers"):
        AdamStep(1e-3, (1.0, 0.9))


@pytest.mark.parametrize("name", ["InfoGAN", "Consensus", "Balanced"])
def test_a_game_whose_loss_is_more_than_its_objectives_is_refused(name):
    game = {
        "InfoGAN": lambda: InfoGAN(minimax, 5, code=Code((2,))),
        "Consensus": lambda: Consensus(minimax, 2),
        "Balanced": lambda: Balanced(BEGAN(), 2),
    }[name]()
    with pytest.raises(
        ValueError, match=f"game: expected one whose loss is its objective's alone, got {name}"
    ):
        Unrolled(game, 2, GradientStep(0.1))


def test_what_follows_a_step_follows_it_in_an_unrolled_game_too():
    game = TwoPlayer(wasserstein, 2, constrain=lambda critic: wasserstein.clip(critic.parameters(), 0.01))
    nets = {"generator": nn.Linear(2, 2), "critic": nn.Linear(2, 1)}
    ahead = Unrolled(game, 2, GradientStep(0.1))
    ahead.after("generator", nets)
    assert nets["critic"].weight.abs().max() > 0.01
    ahead.after("critic", nets)
    assert nets["critic"].weight.abs().max() <= 0.01


def test_a_frozen_weight_stays_where_it_is_in_the_steps_ahead():
    torch.manual_seed(0)
    critic = nn.Linear(2, 1).double()
    critic.bias.requires_grad_(False)
    x = torch.randn(5, 2, generator=generator(0), dtype=torch.float64)
    later = unroll(critic, lambda critic: critic(x).square().mean(), 3, GradientStep(0.1))
    zero = torch.zeros(1, 2, dtype=torch.float64)
    torch.testing.assert_close(later(zero), critic.bias[None])
    assert (later(x) - critic(x)).abs().max() > 1e-2


def test_consensus_of_a_penalised_game_with_a_frozen_weight_is_that_of_its_parts():
    """Both losses and the whole game's ½|v|², which has the penalty in it, by autograd."""

    def size(critic, real, fake):
        return critic(real).square().mean()

    critic = nn.Linear(2, 1).double()
    critic.bias.requires_grad_(False)
    nets = {"generator": nn.Linear(2, 2).double(), "critic": critic}
    game = Consensus(minimax, 2, ((0.7, size),), gamma=0.3)
    data = torch.randn(6, 2, generator=generator(0), dtype=torch.float64)
    x, z, mixing = game.draw(data, generator(1))
    fake = nets["generator"](z)
    losses = {
        "critic": minimax.critic_loss(critic, x, fake) + 0.7 * critic(x).square().mean(),
        "generator": minimax.generator_loss(critic, fake),
    }
    v = [*torch.autograd.grad(losses["critic"], [critic.weight], retain_graph=True)]
    v += torch.autograd.grad(losses["generator"], list(nets["generator"].parameters()))
    half = 0.5 * sum(float(part.square().sum()) for part in v)
    for player, loss in losses.items():
        got = game.loss(player, nets, x, z, mixing)
        assert got.item() == pytest.approx(loss.item() + 0.3 * half, rel=1e-12)
