"""Every game through the trainer: who moves what, and that a run in two parts is a run in one."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganedu.gans import minimax, non_saturating
from ganedu.gans.alpha_gan import AlphaGAN
from ganedu.gans.game import Balance, Balanced, TwoPlayer, ZeroSum
from ganedu.gans.info_gan import Code, InfoGAN
from ganedu.gans.mmd_gan import MMDGAN
from ganedu.gans.unrolled import AdamStep, GradientStep, Unrolled
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import Adam, AdversarialRecipe
from tests.training.games import slope
from tests.training.test_adversarial import Watched, changed_by, rows, states
from tests.training.tiny import equal, points, tensors

ENERGY = SimpleNamespace(
    critic_loss=lambda critic, real, fake, k: critic(real).square().mean() - k * critic(fake).square().mean(),
    generator_loss=lambda critic, fake: critic(fake).square().mean(),
    balance=lambda k, real, fake: (k + 0.05 * real.abs()).clamp(0, 1),
)
GAUSS = SimpleNamespace(gram=lambda a, b: (-0.5 * (a[:, None] - b[None]).square().sum(-1)).exp())
ADAM = Adam(1e-2, (0.5, 0.9))
GAMES = {
    "two players": TwoPlayer(non_saturating, 3, ((0.3, slope),)),
    "zero-sum": ZeroSum(minimax, 3),
    "BEGAN": Balanced(ENERGY, 3),
    "InfoGAN": InfoGAN(non_saturating, 6, code=Code((3,), 1)),
    "alpha-GAN": AlphaGAN(3),
    "MMD-GAN": MMDGAN(GAUSS, 3),
    "unrolled": Unrolled(ZeroSum(minimax, 3), 3, GradientStep(0.1)),
    "unrolled by Adam": Unrolled(ZeroSum(minimax, 3), 2, AdamStep(1e-2, (0.5, 0.9))),
}
RECIPE = AdversarialRecipe(30, batch_size=9, optimisers=ADAM, n_critic=2, ema=0.9, evaluate_every=10)


def networks(name: str) -> dict[str, nn.Module]:
    latent_dim = 6 if name == "InfoGAN" else 3
    sizes = {"generator": (latent_dim, 2), "critic": (2, 1)}
    sizes |= {"InfoGAN": {"recogniser": (2, 4)}, "MMD-GAN": {"critic": (2, 3)}}.get(name, {})
    sizes |= {"encoder": (2, 3), "code_critic": (3, 1)} if name == "alpha-GAN" else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nets = {
            key: nn.Sequential(nn.Linear(a, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, b))
            for key, (a, b) in sizes.items()
        }
    return nets | ({"balance": Balance()} if name == "BEGAN" else {})


def play(name, folder, game=None, **changed):
    game = GAMES[name] if game is None else game
    recipe = replace(RECIPE, **changed)
    return fit_adversarial(networks(name), game, points(47), recipe, folder, progress=False)


@pytest.mark.parametrize("name", GAMES)
def test_a_run_in_two_parts_is_a_run_in_one(name, tmp_path):
    whole = play(name, tmp_path / "whole")
    play(name, tmp_path / "parts", steps=20)
    parts = play(name, tmp_path / "parts")
    assert equal(states(whole), states(parts))
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    one, two = (rows(tmp_path / folder) for folder in ("whole", "parts"))
    assert one == two and set(one[0]) == {"step", *GAMES[name].moves}


@pytest.mark.parametrize("name", GAMES)
def test_a_turn_changes_what_it_moves_and_nothing_else(name, tmp_path):
    """All weights and all BatchNorm statistics; BEGAN's balance is moved by what follows a step."""
    watched = Watched(GAMES[name])
    nets = play(name, tmp_path, watched, steps=4, ema=0.0)
    changes, every = changed_by(watched, states(nets)), set(states(nets))
    for player, moved in watched.moves.items():
        own = {tensor for tensor in every if tensor.split(".")[0] in moved}
        own |= {tensor for tensor in changes[player] if name == "BEGAN" and player == "generator"}
        # A bias before BatchNorm has no gradient but rounding's, and may stay where it is.
        assert own - {f"{net}.0.bias" for net in moved} <= changes[player] <= own, player


def test_an_unrolled_game_of_no_steps_ends_where_the_plain_one_does(tmp_path):
    plain = play("two players", tmp_path / "plain")
    for steps, same in ((0, True), (1, False)):
        ahead = Unrolled(GAMES["two players"], steps, GradientStep(0.1))
        assert equal(states(plain), states(play("two players", tmp_path / f"{steps}", ahead))) == same


def test_an_unrolled_adam_goes_on_with_the_critics_own_averages(tmp_path):
    """Power: a game that does not learn of its optimisers ends elsewhere."""
    knowing = play("unrolled by Adam", tmp_path / "knowing")
    unknowing = play("unrolled by Adam", tmp_path / "unknowing", Watched(GAMES["unrolled by Adam"]))
    assert not equal(states(knowing), states(unknowing))


def test_critic_and_recogniser_may_share_all_layers_but_the_last(tmp_path):
    """As in InfoGAN's paper: each weight is moved once, and both are what they were after a stop."""

    def shared() -> dict[str, nn.Module]:
        nets = networks("InfoGAN")
        nets["recogniser"] = nn.Sequential(*nets["critic"][:3], nets["recogniser"][3])
        return nets

    def run(folder, **changed):
        recipe = replace(RECIPE, **changed)
        return fit_adversarial(shared(), GAMES["InfoGAN"], points(47), recipe, folder, progress=False)

    whole = run(tmp_path / "whole")
    assert whole["critic"][0] is whole["recogniser"][0]
    kept = tensors(tmp_path / "whole")
    assert len([name for name in kept if name.startswith("critic optimiser") and "exp_avg_sq" in name]) == 8
    run(tmp_path / "parts", steps=20)
    assert equal(states(whole), states(run(tmp_path / "parts")))
