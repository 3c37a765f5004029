"""The games by name: the settings of the papers, and that each of them can be played."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganedu.data import ring
from ganedu.divergences import (
    KL,
    Jeffrey,
    JensenShannon,
    Neyman,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
)
from ganedu.gans.game import Balanced, TwoPlayer, ZeroSum
from ganedu.gans.unrolled import Unrolled
from ganedu.rng import generator
from ganedu.training import Adam, ManyAtFirst, RMSProp, fit_adversarial
from ganedu.training.games import GAMES, start

# Learning rate, betas, critic's steps: as printed in the papers, or for 2-D data in their code.
PUBLISHED = {
    "r1": (2e-4, (0.5, 0.999), 1),
    "consensus": (1e-4, None, 1),
    "f-gan-jeffrey": (2e-4, (0.5, 0.999), 1),
    "f-gan-hellinger": (2e-4, (0.5, 0.999), 1),
    "f-gan-neyman": (2e-4, (0.5, 0.999), 1),
    "f-gan-tv": (2e-4, (0.5, 0.999), 1),
    "ratio-matching": (2e-4, (0.5, 0.999), 1),
    "gan": (2e-4, (0.5, 0.999), 1),
    "ns-gan": (2e-4, (0.5, 0.999), 1),
    "lsgan": (2e-4, (0.5, 0.999), 1),
    "hinge": (2e-4, (0.0, 0.9), 5),
    "f-gan-kl": (2e-4, (0.5, 0.999), 1),
    "f-gan-reverse-kl": (2e-4, (0.5, 0.999), 1),
    "f-gan-js": (2e-4, (0.5, 0.999), 1),
    "f-gan-pearson": (2e-4, (0.5, 0.999), 1),
    "wgan": (5e-5, None, ManyAtFirst(few=5, many=100, first=25, every=500)),
    "wgan-gp": (1e-4, (0.5, 0.9), 5),
    "mmd-gan": (1e-4, (0.5, 0.9), 5),
    "ebgan": (2e-4, (0.5, 0.9), 1),
    "began": (1e-4, (0.5, 0.999), 1),
    "minibatch-discrimination": (3e-4, (0.5, 0.999), 1),
    "alpha-gan": (8e-4, (0.5, 0.9), 1),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_and_turns_are_those_of_the_paper(name):
    rate, betas, n_critic = PUBLISHED[name]
    recipe = GAMES[name].recipe(10, seed=4)
    assert recipe.optimisers == (RMSProp(rate) if betas is None else Adam(rate, betas))
    assert (recipe.n_critic, recipe.seed, recipe.steps) == (n_critic, 4, 10)


def test_the_unrolled_game_looks_ahead_as_its_critic_steps():
    entry = GAMES["unrolled"]
    game, _ = entry.build()
    assert isinstance(game, Unrolled) and isinstance(game.game, ZeroSum) and game.steps == 5
    critic = entry.optimisers
    assert critic == Adam(1e-3, (0.5, 0.999))
    assert (game.inner.learning_rate, game.inner.betas) == (critic.learning_rate, critic.betas)


def test_every_game_is_here():
    assert GAMES.keys() == PUBLISHED.keys() | {"unrolled", "moment-matching"}
    assert len({entry.title for entry in GAMES.values()}) == len(GAMES)


def test_critic_steps_are_counted_as_they_are_played():
    assert GAMES["ns-gan"].critic_steps(7) == 7 and GAMES["wgan-gp"].critic_steps(7) == 35
    assert GAMES["moment-matching"].critic_steps(7) == 0
    assert GAMES["wgan"].critic_steps(1002) == 25 * 100 + 2 * 100 + (1002 - 27) * 5


def test_all_begin_with_one_generator_and_leave_the_global_numbers_alone():
    x = ring().sample(100, generator(0))
    before = torch.get_rng_state()
    made = [start(entry, x, width=6, latent_dim=3, seed=2)[1]["generator"] for entry in GAMES.values()]
    assert torch.equal(torch.get_rng_state(), before)
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in made]
    assert all(torch.equal(weights[0], other) for other in weights)
    other = start(GAMES["gan"], x, width=6, latent_dim=3, seed=3)[1]["generator"]
    assert not torch.equal(weights[0], torch.cat([p.flatten() for p in other.parameters()]))
    assert made[0](torch.zeros(5, 3)).shape == (5, 2)
    with pytest.raises(ValueError, match="width"):
        start(GAMES["gan"], x, width=0)


@pytest.mark.parametrize("name", GAMES)
def test_every_player_of_every_game_moves(name, tmp_path):
    entry, sample = GAMES[name], ring().sample
    steps = 1 if name == "wgan" else 2  # a hundred of its critic's
    game, nets = start(entry, sample(entry.batch_size, generator(0)), width=8)
    moved = {net for names in game.moves.values() for net in names}
    assert moved == nets.keys() - ({"balance"} if isinstance(game, Balanced) else set())
    before = {net: [p.clone() for p in nets[net].parameters()] for net in moved}
    fit_adversarial(nets, game, sample, entry.recipe(steps), tmp_path, progress=False)
    for net in moved:
        changed = [not torch.equal(a, b) for a, b in zip(before[net], nets[net].parameters(), strict=True)]
        assert any(changed), net
    assert torch.isfinite(nets["generator"](torch.zeros(1, 2))).all()


def test_what_makes_a_game_what_it_is_called():
    game, nets = GAMES["wgan"].build(8)
    game.after("critic", nets)
    assert max(p.abs().max().item() for p in nets["critic"].parameters()) <= 0.01
    game, _ = GAMES["wgan-gp"].build(8)
    ((weight, penalty),) = game.penalties
    assert isinstance(game, TwoPlayer) and weight == 0.1 and penalty.__name__ == "gradient_penalty"
    kinds = {"kl": KL, "reverse-kl": ReverseKL, "js": JensenShannon, "pearson": Pearson}
    kinds |= {"jeffrey": Jeffrey, "hellinger": SquaredHellinger, "neyman": Neyman}
    kinds |= {"tv": TotalVariation}
    for name, kind in kinds.items():
        assert type(GAMES[f"f-gan-{name}"].build(8)[0].objective.divergence) is kind


def test_the_critics_are_those_of_the_games_names():
    x = ring().sample(64, generator(0))
    nets = {
        name: start(GAMES[name], x, width=8)[1]
        for name in ("minibatch-discrimination", "hinge", "began", "ebgan")
    }
    appended = nets["minibatch-discrimination"]["critic"][:3](x)[:, 8:].detach()
    torch.testing.assert_close(appended.mean(0), torch.zeros(32), rtol=0, atol=1e-5)
    linear = [part for part in nets["hinge"]["critic"].modules() if isinstance(part, nn.Linear)]
    assert len(linear) == 4 and all(parametrize.is_parametrized(part, "weight") for part in linear)
    for name, power in (("began", 1.0), ("ebgan", 2.0)):
        critic = nets[name]["critic"]
        miss = (critic.decoder(critic.encoder(x)) - x).abs() ** power
        torch.testing.assert_close(critic(x), miss.mean(1))
