"""fit_adversarial: games whose course is known, the loop written down anew, what stays, what stops it."""

import contextlib
import csv
import itertools
import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganedu import checkpoints
from ganedu.divergences import F_DIVERGENCES
from ganedu.gans.energy import BEGAN
from ganedu.gans.f_gan import FGAN
from ganedu.gans.game import Balance, Balanced, Game, TwoPlayer
from ganedu.rng import generator
from ganedu.training import adversarial, turns
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import SGD, Adam, AdversarialRecipe, ManyAtFirst, RMSProp
from ganedu.training.batches import HELD_OUT, NOISE, ORDER
from ganedu.training.devices import OneDevice
from tests.training.games import CLASSIFY, GAME, RECIPE, WASSERSTEIN, networks, play, slope
from tests.training.tiny import Seen, equal, furthest, points, tensors

ADAMS = {"critic": Adam(1e-2, (0.5, 0.9)), "generator": Adam(3e-3, (0.0, 0.9))}


def rows(folder) -> list[dict[str, float]]:
    with (folder / "loss.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def states(nets) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in checkpoints.pack(**nets).items()}


# Games whose course is known in closed form.


class Dirac(nn.Module):
    """A point of mass: z (n, 1) -> theta (n, 1)."""

    def __init__(self, theta: float):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([theta], dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


def dirac(theta: float, w: float) -> dict[str, nn.Module]:
    """The critic x -> w x: with WASSERSTEIN and data at 0 the game V = w theta."""
    critic = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(critic.weight, w)
    return {"generator": Dirac(theta), "critic": critic}


def positions(nets) -> tuple[float, float]:
    return nets["generator"].theta.item(), nets["critic"].weight.item()


def circle(play: str, folder, steps: int = 100, penalties=()) -> tuple[float, float]:
    recipe = AdversarialRecipe(steps=steps, batch_size=3, optimisers=SGD(0.1), play=play)
    game, data = TwoPlayer(WASSERSTEIN, 1, penalties), torch.zeros(3, 1, dtype=torch.float64)
    return positions(fit_adversarial(dirac(1.0, 0.5), game, data, recipe, folder, progress=False))


def test_simultaneous_steps_spiral_out_of_the_bilinear_game_by_the_factor_of_theory(tmp_path):
    """Each step multiplies the radius by √(1 + η²)."""
    theta, w = circle("simultaneous", tmp_path)
    assert math.hypot(theta, w) == pytest.approx(math.hypot(1.0, 0.5) * 1.01**50, rel=1e-12)


def test_alternating_steps_stay_on_their_ellipse(tmp_path):
    """w, then theta by the new w: w² + theta² - η w theta is kept, and after a while the radius is not."""
    theta, w = circle("alternating", tmp_path)
    assert w**2 + theta**2 - 0.1 * w * theta == pytest.approx(0.25 + 1.0 - 0.05, rel=1e-12)
    other, v = circle("simultaneous", tmp_path / "power")
    assert abs(v**2 + other**2 - 0.1 * v * other - 1.2) > 1.0


def test_a_penalty_on_the_slope_turns_the_circle_into_a_spiral_inwards(tmp_path):
    """Of γ w²: one step is the matrix of (theta, w), a hundred its power."""
    gamma = 0.4

    def squared_slope(critic, real, fake):
        x = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return gradient.square().sum(1).mean()

    step = torch.tensor([[1.0, 0.1], [-0.1, 1.0 - 0.1 * 2 * gamma]], dtype=torch.float64)
    expect = torch.linalg.matrix_power(step, 100) @ torch.tensor([1.0, 0.5], dtype=torch.float64)
    got = circle("simultaneous", tmp_path, penalties=((gamma, squared_slope),))
    torch.testing.assert_close(torch.tensor(got, dtype=torch.float64), expect, rtol=0, atol=1e-13)
    assert expect.norm() < 0.05


class Shift(nn.Module):
    """z -> z + mean."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.mean


def clip(critic: nn.Module) -> None:
    for parameter in critic.parameters():
        parameter.clamp_(-0.5, 0.5)


def shifted(folder, data, **changed) -> Tensor:
    """The mean found by a linear critic, clipped after each of its steps."""
    recipe = AdversarialRecipe(
        steps=400,
        batch_size=256,
        optimisers={"critic": RMSProp(0.05), "generator": RMSProp(0.05)},
        n_critic=5,
        decay="linear",
        ema=0.98,
        seed=1,
    )
    game = TwoPlayer(WASSERSTEIN, 2, constrain=clip)
    torch.manual_seed(0)
    nets = {"generator": Shift(), "critic": nn.Linear(2, 1)}
    nets = fit_adversarial(nets, game, data, replace(recipe, **changed), folder, progress=False)
    assert all(parameter.abs().max() <= 0.5 for parameter in nets["critic"].parameters())
    return nets["average"].mean.detach()


def test_a_linear_critic_matches_the_mean(tmp_path):
    """N((1, -2), I) against N(mean, I): the equilibrium is the mean. A batch of 256 tells a mean by 1/16
    in each coordinate, and the average of the last fifty steps by less: seeds 0 to 5 miss by
    0.03 to 0.06. One seed."""
    centre = torch.tensor([1.0, -2.0])

    def data(n: int, rng: torch.Generator) -> Tensor:
        return centre + torch.randn(n, 2, generator=rng)

    miss = (shifted(tmp_path, data) - centre).abs().max()
    assert miss < 0.1
    assert (shifted(tmp_path / "short", data, steps=10) - centre).abs().max() > 1.0


# The loop, written down anew.


def play_slowly(nets, recipe: AdversarialRecipe, data: Tensor):
    """As the words say, with backward, zero_grad and detach: of each step (losses, weights, averages)."""
    makers = {Adam: torch.optim.Adam, RMSProp: torch.optim.RMSprop}
    optimisers, schedules = {}, []
    for player, how in recipe.optimisers.items():
        rest = {"betas": how.betas} if isinstance(how, Adam) else {}
        optimisers[player] = makers[type(how)](nets[player].parameters(), lr=how.learning_rate, **rest)
        fall = (lambda i: 1.0 - i / recipe.steps) if recipe.decay == "linear" else (lambda i: 1.0)
        schedules.append(torch.optim.lr_scheduler.LambdaLR(optimisers[player], fall))
    per_epoch, count = len(data) // recipe.batch_size, 0

    def draw():
        nonlocal count
        order = torch.randperm(len(data), generator=generator(recipe.seed, ORDER, count // per_epoch))
        start = count % per_epoch * recipe.batch_size
        rng = generator(recipe.seed, NOISE, count)
        count += 1
        z = torch.randn(recipe.batch_size, 2, generator=rng)
        return data[order[start : start + recipe.batch_size]], z, torch.rand(recipe.batch_size, generator=rng)

    def critic_turn(x, z, mixing):
        fake = nets["generator"](z).detach()
        penalty = slope(nets["critic"], x, fake, mixing)
        return CLASSIFY.critic_loss(nets["critic"], x, fake) + 0.3 * penalty

    average = [p.detach().clone() for p in nets["generator"].parameters()]
    history = []
    for step in range(recipe.steps):
        losses = {"critic": [], "generator": []}
        if recipe.play == "simultaneous":
            x, z, mixing = draw()
            for player, loss in (
                ("critic", critic_turn(x, z, mixing)),
                ("generator", CLASSIFY.generator_loss(nets["critic"], nets["generator"](z))),
            ):
                own = list(nets[player].parameters())
                losses[player].append((loss.item(), own, torch.autograd.grad(loss, own)))
            for player, [(_, own, gradients)] in losses.items():
                for p, gradient in zip(own, gradients, strict=True):
                    p.grad = gradient
                optimisers[player].step()
            losses = {player: [entry[0] for entry in told] for player, told in losses.items()}
        else:
            often = recipe.n_critic(step) if callable(recipe.n_critic) else recipe.n_critic
            for _ in range(often):
                loss = critic_turn(*draw())
                optimisers["critic"].zero_grad()
                loss.backward()
                optimisers["critic"].step()
                losses["critic"].append(loss.item())
            _, z, _ = draw()
            loss = CLASSIFY.generator_loss(nets["critic"], nets["generator"](z))
            optimisers["generator"].zero_grad()
            loss.backward()
            optimisers["generator"].step()
            losses["generator"].append(loss.item())
        for schedule in schedules:
            schedule.step()
        live = [p.detach() for p in nets["generator"].parameters()]
        average = [recipe.ema * a + (1 - recipe.ema) * p for a, p in zip(average, live, strict=True)]
        history.append((losses, states(nets), average))
    return history


HOW = {
    "double loop": {},
    "once each": {"n_critic": 1},
    "many at first": {"n_critic": ManyAtFirst(few=1, many=4, first=3, every=20)},
    "simultaneous": {"n_critic": 1, "play": "simultaneous"},
    "linear decay": {"decay": "linear"},
    "two Adams": {"optimisers": ADAMS},
}


def error(folder, recipe, make=networks, **options) -> float:
    """The largest difference of a run from its slow self, in weights, averages and means of losses."""
    nets = play(folder, recipe, make(), **options)
    history = play_slowly(make(), recipe, points(47))
    kept = tensors(folder)
    _, weights, average = history[-1]
    worst = max((kept[name] - value).abs().max().item() for name, value in weights.items())
    pairs = zip(nets["average"].parameters(), average, strict=True)
    worst = max(worst, *((got - expect).abs().max().item() for got, expect in pairs))
    before = 0
    for row in rows(folder):
        part = history[before : int(row["step"])]
        for player in ("critic", "generator"):
            told = [loss for losses, _, _ in part for loss in losses[player]]
            worst = max(worst, abs(row[player] - sum(told) / len(told)))
        before = int(row["step"])
    assert before == recipe.steps
    return worst


@pytest.mark.parametrize("name", HOW)
def test_the_loop_is_its_slow_self(name, tmp_path):
    assert error(tmp_path, replace(RECIPE, **HOW[name])) < 2e-5


class Attached(TwoPlayer):
    """Planted, with ``pour``: the critic's fakes carry a graph, and its loss flows into the generator."""

    def loss(self, player, nets, x, z, mixing):
        if player == "critic":
            return self.critic_loss(nets["critic"], x, nets["generator"](z), mixing)
        return super().loss(player, nets, x, z, mixing)


def pour(self, player, rows):
    """Planted: gradients of everything, on top of those that are there."""
    loss = self.game.loss(player, self.nets, *rows)
    loss.backward()
    self.sums[player] += loss.detach()
    self.turns[player] += 1


def test_a_game_that_forgets_to_detach_is_played_right_and_a_trainer_that_would_not_is_seen(
    tmp_path, monkeypatch
):
    """Gradients are taken by a player's own weights: what else the loss reaches does not matter."""
    attached, recipe = Attached(CLASSIFY, 2, GAME.penalties), replace(RECIPE, steps=40)
    assert error(tmp_path / "right", recipe, game=attached) < 2e-5
    monkeypatch.setattr(turns.Table, "find_gradients", pour)
    assert error(tmp_path / "wrong", recipe, game=attached) > 1e-3


def wide() -> dict[str, nn.Module]:
    """A critic of the generator's shapes, so that the one can be taken for the other."""
    nets = networks()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        nets["critic"][2] = nn.Linear(8, 2)
    return nets


def test_the_loop_is_its_slow_self_with_a_wide_critic_too(tmp_path):
    """Without the planted errors below."""
    assert error(tmp_path, replace(RECIPE, steps=40), wide) < 2e-5


@pytest.mark.parametrize("planted", ["average of the critic", "generator first", "stale batch", "rates"])
def test_planted_errors_of_the_loop_are_seen(planted, tmp_path, monkeypatch):
    options, recipe = {"make": wide}, replace(RECIPE, steps=40)
    if planted == "average of the critic":
        nets, follow = wide(), adversarial.follow
        options["make"] = itertools.chain([nets], iter(wide, None)).__next__
        monkeypatch.setattr(adversarial, "follow", lambda slow, _, ema: follow(slow, nets["critic"], ema))
    if planted == "generator first":

        class Reversed(TwoPlayer):
            critics = ("generator",)

        options["game"] = Reversed(CLASSIFY, 2, GAME.penalties)
        recipe = replace(recipe, n_critic=1)
    if planted == "stale batch":
        monkeypatch.setattr(adversarial, "noise", lambda seed, draws, device: generator(seed, NOISE, 0))
    if planted == "rates":
        monkeypatch.setattr(turns.Table, "set_rate", lambda *_: None)
        recipe = replace(recipe, decay="linear")
    assert error(tmp_path, recipe, **options) > 1e-3


def test_the_average_follows_the_generator(tmp_path):
    """The same game as the planted one, averaged right: near the generator and nowhere near the critic."""
    trained = play(tmp_path, replace(RECIPE, steps=40))
    assert not equal(states({"g": trained["average"]}), states({"g": trained["generator"]}))
    near = zip(trained["average"].parameters(), trained["generator"].parameters(), strict=True)
    assert max((a - b).abs().max() for a, b in near) < 0.1
    kept, _ = checkpoints.load(tmp_path / "networks.safetensors")
    assert equal(kept, states(trained))


# What a turn changes, and what it leaves.


def test_the_wgan_schedule():
    """A hundred critic steps in each of the first 25 steps and in every 500th."""
    counts = [ManyAtFirst()(step) for step in range(1002)]
    assert [i for i, n in enumerate(counts) if n == 100] == [*range(25), 500, 1000]
    assert set(counts) == {5, 100}


@dataclass(frozen=True)
class Watched(Game):
    """``game``, with a record of who played and what the networks were when the turn began."""

    game: Game
    seen: list = field(default_factory=list, compare=False)

    @property
    def moves(self):
        return self.game.moves

    def draw(self, x, rng):
        return self.game.draw(x, rng)

    def loss(self, player, nets, *rows):
        self.seen.append((player, states(nets)))
        return self.game.loss(player, nets, *rows)

    def after(self, player, nets, *rows):
        self.game.after(player, nets, *rows)


def test_each_plays_as_often_as_the_schedule_says(tmp_path):
    watched = Watched(GAME)
    play(tmp_path, replace(RECIPE, steps=8, n_critic=ManyAtFirst(2, 5, first=2, every=6)), game=watched)
    order = "".join(player[0] for player, _ in watched.seen)
    assert order == "cccccg" * 2 + "ccg" * 4 + "cccccg" + "ccg"


def changed_by(watched: Watched, end: dict[str, Tensor]) -> dict[str, set[str]]:
    """player -> the names of all tensors that any of its turns changed."""
    changes = {player: set() for player in watched.moves}
    for (player, before), (_, after) in itertools.pairwise([*watched.seen, (None, end)]):
        changes[player] |= {name for name in before if not torch.equal(before[name], after[name])}
    return changes


def test_a_turn_changes_the_networks_that_it_moves_and_no_other_their_batchnorm_included(tmp_path):
    watched = Watched(GAME)
    nets = play(tmp_path, replace(RECIPE, steps=10, ema=0.0), networks(norm=True), game=watched)
    changes = changed_by(watched, states(nets))
    for player in ("critic", "generator"):
        assert changes[player] == {name for name in states(nets) if name.startswith(player)}
    assert {name for name in changes["generator"] if "running" in name or "batches" in name}


def test_without_that_care_batchnorm_would_move_in_the_turn_of_another(tmp_path, monkeypatch):
    """The power of the test above."""
    monkeypatch.setattr(turns, "buffers_kept", lambda *_: contextlib.nullcontext())
    watched = Watched(GAME)
    nets = play(tmp_path, replace(RECIPE, steps=10, ema=0.0), networks(norm=True), game=watched)
    assert any(name.startswith("generator") for name in changed_by(watched, states(nets))["critic"])


def test_a_generators_statistics_are_those_of_its_own_turns(tmp_path):
    """Running means by hand: 0.9 of the old and 0.1 of the batch's, once a step, before the step is taken."""
    watched, recipe = Watched(GAME), replace(RECIPE, steps=6, ema=0.0)
    nets = play(tmp_path, recipe, networks(norm=True), game=watched)
    mean, count = torch.zeros(8), 0
    for turn, (player, before) in enumerate(watched.seen):
        if player == "generator":
            z = torch.randn(7, 2, generator=generator(recipe.seed, NOISE, turn))
            hidden = z @ before["generator.0.weight"].T + before["generator.0.bias"]
            mean, count = 0.9 * mean + 0.1 * hidden.mean(0), count + 1
    assert nets["generator"][1].num_batches_tracked == count == 6
    torch.testing.assert_close(nets["generator"][1].running_mean, mean, rtol=1e-4, atol=1e-6)


def test_nobody_keeps_a_gradient_and_frozen_or_idle_weights_stay(tmp_path):
    nets = networks()
    nets["critic"][0].requires_grad_(False)
    nets["critic"].register_parameter("idle", nn.Parameter(torch.ones(3)))
    before = states(nets)
    nets = play(tmp_path, replace(RECIPE, steps=5), nets)
    after = states(nets)
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert still == {"critic.0.weight", "critic.0.bias", "critic.idle"}
    assert all(p.grad is None for net in nets.values() for p in net.parameters())
    assert not nets["critic"][0].weight.requires_grad and nets["critic"][2].weight.requires_grad


# Stopping and going on.


class Interrupted(BaseException):
    """As Ctrl-C: no Exception."""


@dataclass(frozen=True)
class Breaks(TwoPlayer):
    """Interrupted in the midst of a turn, once."""

    at: int = 0
    calls: itertools.count = field(default_factory=itertools.count, compare=False)

    def loss(self, player, nets, x, z, mixing):
        loss = super().loss(player, nets, x, z, mixing)
        if next(self.calls) == self.at:
            raise Interrupted
        return loss


@pytest.mark.parametrize("at", [3, 65, 134, 209])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "BatchNorm"])
def test_a_run_that_was_interrupted_ends_bit_for_bit_as_one_that_was_not(at, norm, tmp_path):
    whole = play(tmp_path / "whole", nets=networks(norm))
    breaks = Breaks(CLASSIFY, 2, GAME.penalties, at=at)
    with pytest.raises(Interrupted):
        play(tmp_path / "broken", nets=networks(norm), game=breaks)
    resumed = play(tmp_path / "broken", nets=networks(norm, seed=1 if at > 60 else 0), game=breaks)
    assert equal(states(whole), states(resumed)) and not any(net.training for net in resumed.values())
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "broken"))
    for name in ("loss.csv", "networks.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


@pytest.mark.parametrize("lost", ["critic optimiser", "generator optimiser", "average", "critic"])
def test_whatever_is_lost_at_a_stop_would_be_seen(lost, tmp_path, monkeypatch):
    play(tmp_path / "whole")
    play(tmp_path / "broken", replace(RECIPE, steps=60))
    unpack = checkpoints.unpack

    def forgetful(tensors, **parts):
        unpack(tensors, **{name: part for name, part in parts.items() if name != lost})

    monkeypatch.setattr(checkpoints, "unpack", forgetful)
    play(tmp_path / "broken")
    assert not equal(tensors(tmp_path / "whole"), tensors(tmp_path / "broken"))


def test_a_run_that_is_over_can_be_prolonged_but_not_changed(tmp_path):
    play(tmp_path / "parts", replace(RECIPE, steps=60))
    play(tmp_path / "parts")
    play(tmp_path / "whole")
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    changes = {
        "n_critic": {"n_critic": 3},
        "optimisers": {"optimisers": ADAMS},
        "play": {"n_critic": 1, "play": "simultaneous"},
    }
    for name, changed in changes.items():
        with pytest.raises(ValueError, match=f"holds a run with .*{name}.*another folder"):
            play(tmp_path / "whole", replace(RECIPE, **changed))
    with pytest.raises(ValueError, match="holds a run with .*game"):
        play(tmp_path / "whole", game=TwoPlayer(CLASSIFY, 2, ((0.4, slope),)))
    with pytest.raises(ValueError, match="holds a run with .*data"):
        play(tmp_path / "whole", data=points(47, seed=9))


def test_a_linear_decay_knows_its_end(tmp_path):
    play(tmp_path, replace(RECIPE, steps=30, decay="linear"))
    with pytest.raises(ValueError, match="'steps': 30.*not .*'steps': 60"):
        play(tmp_path, replace(RECIPE, steps=60, decay="linear"))


def test_the_seed_is_used_and_streams_are_fresh(tmp_path):
    seen = []

    def stream(n, rng):
        seen.append(torch.randn(n, 2, generator=rng))
        return seen[-1]

    one = states(play(tmp_path / "a", replace(RECIPE, steps=5), data=stream))
    assert len(seen) == 15 and len({x.sum().item() for x in seen}) == 15
    two = states(play(tmp_path / "b", replace(RECIPE, steps=5, seed=4), data=stream))
    assert not equal(one, two)


# What is judged, what stops a run, and what is refused.


def test_a_metric_sees_the_average_in_eval_mode_and_the_same_numbers_every_time(tmp_path):
    seen = []

    def metric(nets, rng):
        assert set(nets) == {"generator", "critic"} and not torch.is_grad_enabled()
        assert not any(net.training for net in nets.values())
        seen.append((states({"generator": nets["generator"]}), torch.rand(3, generator=rng)))
        return {"last": nets["generator"][0].bias[0]}

    nets = play(tmp_path, nets=networks(norm=True), metric=metric)
    expect = torch.rand(3, generator=generator(RECIPE.seed, HELD_OUT))
    assert len(seen) == 5 and all(torch.equal(numbers, expect) for _, numbers in seen)
    assert equal(seen[-1][0], states({"generator": nets["average"]}))
    assert rows(tmp_path)[-1]["last"] == pytest.approx(nets["average"][0].bias[0].item())
    without = play(tmp_path / "without", nets=networks(norm=True), metric=None)
    assert equal(states(nets), states(without)), "looking changes nothing"


@pytest.mark.parametrize("who", ["critic", "generator"])
def test_a_loss_that_is_not_finite_stops_and_the_last_checkpoint_is_kept(who, tmp_path):
    calls = itertools.count()

    class Broken(TwoPlayer):
        def loss(self, player, nets, *rows):
            late = player == who and next(calls) >= 55
            return super().loss(player, nets, *rows) * (math.nan if late else 1.0)

    with pytest.raises(FloatingPointError, match=f"the loss of {who} is nan.*checkpoint.*learning rate"):
        play(tmp_path, game=Broken(CLASSIFY, 2))
    kept, meta = checkpoints.load(tmp_path / "state.safetensors")
    assert meta["progress"]["step"] == (20 if who == "critic" else 40)
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_half_precision_keeps_weights_in_single(tmp_path):
    recipe = replace(RECIPE, steps=20)
    nets = play(tmp_path / "half", recipe, precision="bfloat16")
    assert {p.dtype for net in nets.values() for p in net.parameters()} == {torch.float32}
    assert not equal(states(nets), states(play(tmp_path / "single", recipe)))


def test_the_balance_of_began_goes_on_where_it_was(tmp_path):
    """k as a network: part of the state, and moved by the generator's turns alone."""

    def energy(critic, x):
        return critic(x).square().mean()

    objective = SimpleNamespace(
        critic_loss=lambda critic, real, fake, k: energy(critic, real) - k * energy(critic, fake),
        generator_loss=energy,
        balance=lambda k, real, fake: (k + 0.05 * (0.5 * real.abs() + fake.abs())).clamp(0, 1),
    )
    game, recipe = Balanced(objective, 2), replace(RECIPE, steps=30)
    whole = play(tmp_path / "whole", recipe, networks() | {"balance": Balance()}, game=game)
    play(tmp_path / "parts", replace(recipe, steps=20), networks() | {"balance": Balance()}, game=game)
    parts = play(tmp_path / "parts", recipe, networks() | {"balance": Balance()}, game=game)
    assert equal(states(whole), states(parts)) and 0.0 < whole["balance"].k < 1.0


@dataclass(frozen=True)
class Alone(Game):
    """Moment matching: one player."""

    moves = {"generator": ("generator",)}

    def draw(self, x, rng):
        return x, torch.randn(len(x), 2, generator=rng)

    def loss(self, player, nets, x, z):
        return (x.mean(0) - nets["generator"](z).mean(0)).square().sum()


def test_a_game_without_an_adversary_is_played(tmp_path):
    recipe = AdversarialRecipe(steps=300, batch_size=47, optimisers=Adam(1e-2), n_critic=4)
    nets = play(tmp_path, recipe, {"generator": networks()["generator"]}, game=Alone(), metric=None)
    fake = nets["generator"](torch.randn(4000, 2, generator=generator(5)))
    assert (fake.mean(0) - points(47).mean(0)).abs().max() < 0.2
    assert set(rows(tmp_path)[0]) == {"step", "generator"}


def test_without_lightning_fabric_the_game_is_the_same_bit_for_bit(tmp_path, monkeypatch):
    recipe = replace(RECIPE, steps=20)
    play(tmp_path / "fabric", recipe)
    monkeypatch.setattr(adversarial, "launch", lambda device: OneDevice(torch.device(device)))
    play(tmp_path / "bare", recipe)
    assert equal(tensors(tmp_path / "fabric"), tensors(tmp_path / "bare"))


def test_fewer_rows_than_processes_are_refused(tmp_path, monkeypatch):
    many = SimpleNamespace(global_rank=0, world_size=8, device="cpu")
    monkeypatch.setattr(adversarial, "launch", lambda device: many)
    with pytest.raises(ValueError, match="batch_size: expected at least 8, a row a process, got 7"):
        play(tmp_path)


def test_what_does_not_fit_the_game_is_named(tmp_path):
    nets = networks()
    with pytest.raises(ValueError, match="nets: expected critic among them, got generator"):
        play(tmp_path, nets={"generator": nets["generator"]})
    with pytest.raises(ValueError, match="nets: expected weights for critic to move, got none in critic"):
        play(tmp_path, nets=nets | {"critic": nn.Identity()})
    with pytest.raises(
        ValueError, match="optimisers: expected one for each of critic, generator, got critic"
    ):
        play(tmp_path, replace(RECIPE, optimisers={"critic": Adam()}))
    with pytest.raises(ValueError, match="data: expected at least one batch of 7 rows, got 5"):
        play(tmp_path, data=points(5))
    with pytest.raises(ValueError, match="nets: expected balance among them, got generator, critic"):
        play(tmp_path, game=Balanced(BEGAN(), 2))
    assert not list(tmp_path.iterdir())


def losses(**changed):
    """The game's losses, but for those ``changed``."""
    return TwoPlayer(SimpleNamespace(**vars(CLASSIFY) | changed), 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"critic_loss": lambda critic, real, fake: critic(real)},
            r"loss of critic, got shape \(7, 1\)",
        ),
        ({"critic_loss": lambda critic, real, fake: None}, "expected a scalar loss of critic, got None"),
        (
            {"critic_loss": lambda critic, real, fake: critic(real).mean().detach()},
            "the loss of critic depends on no weight: is something detached",
        ),
        (
            {"generator_loss": lambda critic, fake: critic(fake.detach()).mean()},
            "the loss of generator depends on no weight that generator moves",
        ),
    ],
)
def test_a_loss_that_moves_nobody_is_refused_before_anything_is_written(changed, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        play(tmp_path, game=losses(**changed))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"data": np.zeros((47, 2))},
            r"data: expected a tensor .*or \(n, rng\) -> rows, got ndarray",
        ),
        ({"data": points(47).where(points(47) > -1, math.nan)}, "data: expected finite numbers, got NaN"),
        ({"data": lambda n, rng: torch.zeros(1, 2)}, r"data: expected a stream to make 7 rows, got \(1, 2\)"),
        ({"data": points(47).double()}, r"nets: critic cannot play on rows of shape \(7, 2\), torch.float64"),
        ({"game": TwoPlayer(CLASSIFY, 5)}, "nets: critic cannot play on rows"),
        (
            {"data": torch.zeros(47, 3)},
            r"generator: expected rows of shape \(3,\), .* got \(2,\)",
        ),
    ],
)
def test_rows_that_do_not_fit_are_named(changed, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        play(tmp_path, **changed)
    assert not list(tmp_path.iterdir())


def test_a_longer_run_is_not_taken_for_a_shorter_one_nor_other_networks_for_these(tmp_path):
    play(tmp_path)
    with pytest.raises(ValueError, match="holds a run of 70, more than the 60 asked for"):
        play(tmp_path, replace(RECIPE, steps=60))
    other = networks()
    other["critic"][1] = nn.ReLU()
    with pytest.raises(ValueError, match="holds a run with .*Tanh.*not .*ReLU"):
        play(tmp_path, nets=other)
    play(tmp_path, replace(RECIPE, evaluate_every=1, checkpoint_every=7))  # which change no number


def test_dropout_is_that_of_the_step_wherever_a_run_was_stopped(tmp_path):
    """And torch's global generator is where it was."""

    def dropping():
        nets = networks()
        nets["critic"].insert(2, nn.Dropout(0.5))
        return nets

    play(tmp_path / "whole", nets=dropping())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        before = torch.get_rng_state()
        play(tmp_path / "parts", replace(RECIPE, steps=33), nets=dropping())
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(6)
        play(tmp_path / "parts", nets=dropping())
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))


def test_a_metric_may_come_and_go_and_has_names_of_its_own(tmp_path):
    play(tmp_path, replace(RECIPE, steps=20))
    play(tmp_path, metric=None)
    with (tmp_path / "loss.csv").open() as file:
        found = [(int(row["step"]), row["means"]) for row in csv.DictReader(file)]
    assert [step for step, _ in found] == [15, 20, 30, 45, 60, 70]
    assert all((value == "") == (step > 20) for step, value in found)
    for metric in (lambda nets, rng: 1.0, lambda nets, rng: {"critic": 1.0}):
        with pytest.raises(ValueError, match="metric: expected numbers by names other than"):
            play(tmp_path / "named", metric=metric)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "steps: expected an int of at least 1, got 0"),
        ({"n_critic": 0}, "n_critic: expected an int of at least 1, got 0"),
        ({"play": "in turns"}, "play: expected 'alternating' or 'simultaneous', got 'in turns'"),
        ({"play": "simultaneous"}, "n_critic: expected 1 in simultaneous play, got 2"),
        ({"decay": "cosine"}, "decay: expected 'constant' or 'linear', got 'cosine'"),
        ({"ema": 1.0}, r"ema: expected a number in \[0, 1\), got 1.0"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **changed)
    for make in (lambda: Adam(0.0), lambda: RMSProp(-1.0), lambda: SGD(math.nan)):
        with pytest.raises(ValueError, match="learning_rate: expected a positive number"):
            make()
    with pytest.raises(ValueError, match="betas: expected two numbers"):
        Adam(1e-3, (0.5, 1.0))
    with pytest.raises(ValueError, match=r"alpha: expected a number in \[0, 1\), got 1"):
        RMSProp(alpha=1.0)
    with pytest.raises(ValueError, match="optimisers: expected Adam.*, got 'adam'"):
        AdversarialRecipe(10, optimisers="adam")
    with pytest.raises(ValueError, match="n_critic: expected .*, got 1.5"):
        AdversarialRecipe(10, n_critic=lambda step: 1.5).critic_steps(0)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_plays_and_goes_on_from_a_checkpoint(precision, tmp_path):
    def run(name, **changed):
        options = {"device": "cuda", "precision": precision, "metric": None}
        return play(tmp_path / name, replace(RECIPE, **changed), networks(norm=True), **options)

    whole = run("whole")
    assert {p.device.type for net in whole.values() for p in net.parameters()} == {"cuda"}
    run("parts", steps=60)
    assert furthest(states(whole), states(run("parts"))) < 1e-2


def test_an_optimiser_that_has_met_an_infinite_square_is_not_kept(tmp_path):
    """Adam moves that weight no more, while losses and weights stay finite."""
    nets = networks()
    with torch.no_grad():
        list(nets["critic"].parameters())[-1].fill_(50.0)
    game = TwoPlayer(FGAN(F_DIVERGENCES["KL"]), GAME.latent_dim)
    with pytest.raises(FloatingPointError, match="the optimiser of critic remembers a number"):
        play(tmp_path, nets=nets, game=game)
    assert not (tmp_path / "state.safetensors").exists()


def test_without_a_critic_a_step_takes_one_batch(tmp_path):
    asked = []

    def stream(n, rng):
        asked.append(n)
        return torch.randn(n, 2, generator=rng)

    recipe = AdversarialRecipe(steps=6, batch_size=5, n_critic=4)
    fit_adversarial({"generator": nn.Linear(2, 2)}, Alone(), stream, recipe, tmp_path, progress=False)
    assert asked == [5] * 6


def test_networks_in_eval_mode_are_trained_in_train_mode(tmp_path):
    """As those that another run has returned are."""
    recipe = replace(RECIPE, steps=10)
    nets = play(tmp_path / "train", recipe, networks(norm=True))
    late = play(tmp_path / "eval", recipe, {name: net.eval() for name, net in networks(norm=True).items()})
    assert equal(states(nets), states(late))
    assert late["generator"][1].num_batches_tracked == 10


def test_every_turn_drops_other_numbers(tmp_path):
    nets = networks()
    nets["generator"].append(Seen())
    play(tmp_path, replace(RECIPE, steps=4), nets, metric=None)
    assert len(nets["generator"][3].masks) == 12 == len(set(nets["generator"][3].masks))


def test_a_metric_called_step_is_refused(tmp_path):
    with pytest.raises(ValueError, match="metric: expected numbers by names other than"):
        play(tmp_path, metric=lambda nets, rng: {"step": 1.0})


def test_a_loss_that_is_not_finite_is_found_between_two_rows(tmp_path):
    class Broken(TwoPlayer):
        def loss(self, player, nets, *rows):
            return super().loss(player, nets, *rows) * math.nan

    recipe = replace(RECIPE, steps=200, evaluate_every=200, checkpoint_every=200)
    with pytest.raises(FloatingPointError, match="^step 50 or shortly before"):
        play(tmp_path, recipe, game=Broken(CLASSIFY, 2))


def test_an_average_needs_a_generator(tmp_path):
    @dataclass(frozen=True)
    class Other(Alone):
        moves = {"maker": ("maker",)}

        def loss(self, player, nets, x, z):
            return nets["maker"](z).square().mean()

    recipe = AdversarialRecipe(steps=2, batch_size=5, ema=0.9)
    with pytest.raises(ValueError, match="nets: expected generator among them, got maker"):
        fit_adversarial({"maker": nn.Linear(2, 2)}, Other(), points(47), recipe, tmp_path, progress=False)


@pytest.mark.parametrize("turns", ["alternating", "simultaneous"])
def test_a_constraint_holds_whenever_another_turn_begins(turns, tmp_path):
    def clip(critic):
        for parameter in critic.parameters():
            parameter.clamp_(-0.1, 0.1)

    game = Watched(TwoPlayer(WASSERSTEIN, 2, constrain=clip))
    recipe = replace(RECIPE, steps=6, n_critic=1, play=turns, optimisers=Adam(0.05), ema=0.0)
    play(tmp_path, recipe, game=game)
    began = [weights for _, weights in game.seen][2:]  # after the critic's first step
    assert all(
        w.abs().max() <= 0.1 for kept in began for name, w in kept.items() if name.startswith("critic")
    )
    assert any(w.abs().max() > 0.1 for name, w in began[-1].items() if name.startswith("generator"))


def test_an_optimiser_of_nobody_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="optimisers: expected one for each of critic, generator, got .*gnerator"
    ):
        play(tmp_path, replace(RECIPE, optimisers=ADAMS | {"gnerator": Adam()}))


def test_a_weight_that_two_networks_share_is_moved_once(tmp_path):
    """½ |w|² by steps of 0.1: three of them leave 0.9³ of it."""

    @dataclass(frozen=True)
    class Twins(Alone):
        moves = {"generator": ("generator", "twin")}

        def loss(self, player, nets, x, z):
            return 0.5 * nets["twin"].weight.square().sum()

    layer = nn.Linear(2, 2, bias=False)
    before = layer.weight.detach().clone()
    recipe = AdversarialRecipe(steps=3, batch_size=5, optimisers=SGD(0.1))
    nets = {"generator": layer, "twin": layer}
    fit_adversarial(nets, Twins(), points(47), recipe, tmp_path, progress=False)
    torch.testing.assert_close(layer.weight.detach(), 0.9**3 * before)


def test_rmsprop_is_its_formula():
    """v = α v + (1 - α) g², a step of rate g / √v: two steps with the gradients 1 and 3."""
    weight = nn.Parameter(torch.tensor([5.0], dtype=torch.float64))
    steps, v, expect = RMSProp(0.1, alpha=0.5).make([weight]), 0.0, 5.0
    for gradient in (1.0, 3.0):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        steps.step()
        v = 0.5 * v + 0.5 * gradient**2
        expect -= 0.1 * gradient / math.sqrt(v)
    assert weight.item() == pytest.approx(expect, abs=1e-6)


def test_the_seconds_of_a_run_go_on(tmp_path):
    play(tmp_path, replace(RECIPE, steps=20))
    kept, meta = checkpoints.load(tmp_path / "state.safetensors")
    meta["progress"]["seconds"] = 1000.0
    checkpoints.save(tmp_path / "state.safetensors", kept, **meta)
    play(tmp_path, replace(RECIPE, steps=40))
    assert 1000.0 < checkpoints.load(tmp_path / "state.safetensors")[1]["progress"]["seconds"] < 2000.0


def test_a_game_goes_on_in_its_own_precision(tmp_path):
    play(tmp_path, replace(RECIPE, steps=10))
    with pytest.raises(ValueError, match="holds a run with {'precision': 'float32'}"):
        play(tmp_path, replace(RECIPE, steps=20), precision="bfloat16")
