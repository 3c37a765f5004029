"""Games as small as they can be, on which every line of the adversarial trainer is run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganedu.gans.game import TwoPlayer
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import Adam, AdversarialRecipe, RMSProp
from tests.training.tiny import points

# Neither divides the other, nor the number of steps: every order of row, checkpoint and end occurs.
RECIPE = AdversarialRecipe(
    steps=70,
    batch_size=7,
    optimisers={"critic": Adam(1e-2, (0.5, 0.9)), "generator": RMSProp(2e-3)},
    n_critic=2,
    ema=0.9,
    seed=3,
    evaluate_every=15,
    checkpoint_every=20,
)


def critic_loss(critic, real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-critic(real)).mean() + softplus(critic(fake)).mean()


def generator_loss(critic, fake: Tensor) -> Tensor:
    return softplus(-critic(fake)).mean()


CLASSIFY = SimpleNamespace(critic_loss=critic_loss, generator_loss=generator_loss)
WASSERSTEIN = SimpleNamespace(
    critic_loss=lambda critic, real, fake: critic(fake).mean() - critic(real).mean(),
    generator_loss=lambda critic, fake: -critic(fake).mean(),
)


def slope(critic, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """A penalty that depends on how real and fake are mixed."""
    x = (mixing[:, None] * real + (1 - mixing[:, None]) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.square().sum(1).mean()


GAME = TwoPlayer(CLASSIFY, latent_dim=2, penalties=((0.3, slope),))


def networks(norm: bool = False, seed: int = 0) -> dict[str, nn.Module]:
    """On request with BatchNorm in both."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        between = [nn.BatchNorm1d(8)] if norm else []
        maker = nn.Sequential(nn.Linear(2, 8), *between, nn.Tanh(), nn.Linear(8, 2))
        between = [nn.BatchNorm1d(8)] if norm else []
        critic = nn.Sequential(nn.Linear(2, 8), *between, nn.Tanh(), nn.Linear(8, 1))
    return {"generator": maker, "critic": critic}


def distance_of_means(nets: Mapping[str, nn.Module], rng: torch.Generator) -> dict[str, float]:
    """A metric with randomness of its own."""
    fake = nets["generator"](torch.randn(50, 2, generator=rng))
    return {"means": (fake.mean(0) - points(47).mean(0)).norm().item()}


def play(folder: Path, recipe: AdversarialRecipe = RECIPE, nets=None, **options) -> dict[str, nn.Module]:
    """The run that tests compare with others; it starts from the same weights every time."""
    options = {"game": GAME, "data": points(47), "metric": distance_of_means} | options
    game, data = options.pop("game"), options.pop("data")
    nets = networks() if nets is None else nets
    return fit_adversarial(nets, game, data, recipe, folder, progress=False, **options)


LONG = replace(RECIPE, steps=800)
