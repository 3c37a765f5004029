"""Games side by side: every figure of the table against another way to it; stops, resumes, breakdowns."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from ganedu import checkpoints
from ganedu.data import Checkerboard, Rings, grid, ring, swiss_roll, two_moons
from ganedu.gans import non_saturating
from ganedu.rng import generator
from ganedu.training import SGD, comparison
from ganedu.training.comparison import DATA, compare, near_modes
from ganedu.training.games import GAMES, Entry, critic, start, two

SMALL = {"steps": 6, "seeds": 1, "width": 8, "n": 50, "progress": False}


def play(names, folder, data="ring", **changed):
    return compare(names, data, folder=folder, **SMALL | changed)


def assigned(x, y) -> float:
    """W2 of equally many points: the best of all permutations, by another program than POT."""
    cost = np.square(x.double().numpy()[:, None] - y.double().numpy()[None]).sum(-1)
    return math.sqrt(cost[linear_sum_assignment(cost)].mean())


def test_the_figures_are_those_of_the_draws(tmp_path):
    found = play(["ns-gan", "wgan-gp"], tmp_path, seeds=2)
    assert [(run.game, run.seed) for run in found.runs] == [
        ("ns-gan", 0), ("ns-gan", 1), ("wgan-gp", 0), ("wgan-gp", 1),
    ]  # fmt: skip
    assert [run.critic_steps for run in found.runs] == [6, 6, 30, 30]
    for run in found.runs:
        assert run.x.shape == (50, 2) and run.stopped is None and run.seconds_per_step > 0
        assert run.w2 == pytest.approx(assigned(run.x, found.real))
        state = checkpoints.load(tmp_path / run.game / str(run.seed) / "state.safetensors")[1]
        assert state["progress"]["step"] == 6 and state["recipe"]["seed"] == run.seed
    assert found.modes == 8 and len({float(run.x.sum()) for run in found.runs}) == 4
    others = [ring().sample(50, generator(comparison.REAL, i)) for i in range(comparison.FLOORS)]
    assert found.floor == pytest.approx(sum(assigned(x, found.real) for x in others) / len(others))
    assert not any(torch.equal(found.real, x) for x in others)


def test_modes_are_counted_as_a_loop_counts_them():
    mixture, k = ring(), torch.arange(8.0)
    where = 2 * torch.stack([(k * math.pi / 4).cos(), (k * math.pi / 4).sin()], 1)
    near = where[:3].repeat(30, 1) + torch.tensor([0.0, 0.059])  # 30 points in each of three modes
    one = where[3:4].repeat(2, 1)  # 2 of 160 points: 5% of a mode's due of 20 is 1
    far = where[4:5].repeat(68, 1) + torch.tensor([0.061, 0.0])
    found = near_modes(torch.cat([near, one, far]), mixture)
    assert found == {"captured": 4, "high_quality": pytest.approx(92 / 160)}
    found = near_modes(torch.cat([near, one, far]).repeat(1, 1)[:91], mixture)  # 91 points, one due
    assert found["captured"] == 4
    many = torch.cat([near.repeat(20, 1), one.repeat(5, 1)])  # 10 of 1,810: less than 12
    assert near_modes(many, mixture)["captured"] == 3
    assert near_modes(many, None) == {}


def test_draws_of_the_data_are_of_high_quality():
    """1 - exp(-4.5) of 20,000; five standard errors, false-fail 6e-7. Power: half a deviation more noise."""
    x, share = grid().sample(20_000, generator(7)), 1 - math.exp(-4.5)
    error = 5 * math.sqrt(share * (1 - share) / len(x))
    found = near_modes(x, grid())
    assert found["captured"] == 25 and abs(found["high_quality"] - share) < error
    assert (
        abs(near_modes(grid(std=0.075).sample(20_000, generator(7)), grid())["high_quality"] - share) > error
    )


def test_a_comparison_goes_on_where_it_was_stopped_and_can_be_made_longer(tmp_path, monkeypatch):
    whole = play(["gan", "lsgan"], tmp_path / "whole")
    fit = comparison.fit_adversarial

    def stopped(nets, game, data, recipe, folder, **options):
        if "lsgan" in str(folder):
            raise KeyboardInterrupt
        return fit(nets, game, data, recipe, folder, **options)

    monkeypatch.setattr(comparison, "fit_adversarial", stopped)
    with pytest.raises(KeyboardInterrupt):
        play(["gan", "lsgan"], tmp_path / "parts")
    monkeypatch.undo()
    kept = (tmp_path / "parts" / "gan" / "0" / "state.safetensors").read_bytes()
    parts = play(["gan", "lsgan"], tmp_path / "parts")
    for one, two_ in zip(whole.runs, parts.runs, strict=True):
        assert torch.equal(one.x, two_.x) and one.w2 == two_.w2
    assert (tmp_path / "parts" / "gan" / "0" / "state.safetensors").read_bytes() == kept, "no step again"
    longer = play(["gan"], tmp_path / "parts", steps=250)  # past checkpoints, too
    assert torch.equal(longer.runs[0].x, play(["gan"], tmp_path / "long", steps=250).runs[0].x)


def test_a_game_that_diverges_is_a_row_and_not_the_end(tmp_path, monkeypatch):
    monkeypatch.setitem(GAMES, "lsgan", Entry("too fast", GAMES["lsgan"].game, SGD(1e20), "", critic))
    found = play(["lsgan", "gan"], tmp_path)
    broken, whole = found.runs
    assert broken.stopped.startswith("step ") and "is" in broken.stopped and ";" not in broken.stopped
    assert broken.x is None and broken.w2 is None and broken.critic_steps == 6
    assert whole.stopped is None and whole.w2 > 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_draws_that_are_not_finite_are_a_row_too(value, tmp_path, monkeypatch):
    def fit(nets, *args, **options):
        nets["generator"][-1].bias.data.fill_(value)
        checkpoints.save(args[3] / "state.safetensors", {}, progress={"seconds": 1.0, "step": 4})
        return nets

    monkeypatch.setattr(comparison, "fit_adversarial", fit)
    (run,) = play(["gan"], tmp_path).runs
    assert run.stopped == "a draw of the generator is not finite" and run.seconds_per_step == 0.25


def test_without_pot_there_is_no_w2_and_the_rest_stays(tmp_path, monkeypatch):
    def absent(*_, **__):
        raise ImportError

    monkeypatch.setattr(comparison, "wasserstein", absent)
    found = play(["gan"], tmp_path)
    assert found.floor is None and found.runs[0].w2 is None and found.runs[0].high_quality is not None


@pytest.mark.parametrize("name", DATA)
def test_every_law_is_the_one_that_it_is_called(name, tmp_path):
    laws = {
        "ring": ring().sample, "grid": grid().sample, "swiss-roll": swiss_roll, "moons": two_moons,
        "rings": Rings().sample, "checkerboard": Checkerboard().sample,
    }  # fmt: skip
    found = play(["gan"], tmp_path, name, steps=1, n=20)
    assert torch.equal(found.real, laws[name](20, generator(comparison.REAL)))
    assert found.modes == {"ring": 8, "grid": 25}.get(name)
    assert (found.runs[0].captured is None) == (found.modes is None) and found.runs[0].w2 > 0


def test_what_is_unknown_or_of_another_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="game: there is no 'gna'; known: alpha-gan, began, "):
        play(["gan", "gna"], tmp_path)
    with pytest.raises(ValueError, match="data: there is no 'moon'; known: ring, grid, "):
        play(["gan"], tmp_path, "moon")
    with pytest.raises(ValueError, match="seeds: expected .*got 0"):
        play(["gan"], tmp_path, seeds=0)
    assert not list(tmp_path.iterdir())
    play(["gan"], tmp_path)
    for changed in ({"data": "grid"}, {"width": 9}, {"latent_dim": 3}):
        with pytest.raises(ValueError, match="holds a run .*another folder"):
            play(["gan"], tmp_path, **changed)


def test_two_is_a_game_of_two():
    assert two(non_saturating)(5).latent_dim == 5


def test_seeds_have_weights_and_latents_of_their_own(tmp_path, monkeypatch):
    fit, began = comparison.fit_adversarial, []

    def spied(nets, *args, **options):
        began.append([p.detach().clone() for p in nets["generator"].parameters()])
        return fit(nets, *args, **options)

    monkeypatch.setattr(comparison, "fit_adversarial", spied)
    found = play(["gan"], tmp_path, seeds=2)
    assert not torch.equal(began[0][0], began[1][0])
    for run in found.runs:
        entry, x = GAMES["gan"], torch.zeros(9, 2)
        _, nets = start(entry, x, width=8)
        kept, _ = checkpoints.load(tmp_path / "gan" / str(run.seed) / "networks.safetensors")
        checkpoints.unpack(
            {k: v for k, v in kept.items() if k.startswith("generator.")}, generator=nets["generator"]
        )
        z = torch.randn(50, 2, generator=generator(comparison.LATENTS, run.seed))
        torch.testing.assert_close(run.x, nets["generator"](z).detach())


def test_a_game_named_twice_is_played_once(tmp_path):
    assert [run.game for run in play(["gan", "gan"], tmp_path, steps=1).runs] == ["gan"]
