"""The games that ``benchmarks.gans_2d`` plays: their settings, all in one table, and their networks.

The budget is a number of steps of the generator. How many the critic takes for each is part of a game, and
is counted beside it. Networks are the same for all, as far as a game allows: ReLU, three hidden layers of
``WIDTH``, latents in the plane, which is what lets 25 modes and a roll be hard. Losses, optimisers and
penalties are those that each paper or its authors' code trains with; none was searched for here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganedu.divergences import KL, FDivergence, JensenShannon, Pearson, ReverseKL
from ganedu.divergences.mmd import Features, RationalQuadratic, Sum
from ganedu.gans import minimax, non_saturating, wasserstein
from ganedu.gans.alpha_gan import AlphaGAN
from ganedu.gans.energy import EBGAN, AutoencoderEnergy
from ganedu.gans.f_gan import FGAN
from ganedu.gans.game import Game, TwoPlayer, ZeroSum
from ganedu.gans.mmd_gan import MMDGAN
from ganedu.gans.penalties import gradient_penalty
from ganedu.gans.unrolled import AdamStep, Unrolled
from ganedu.gans.wasserstein import clip
from ganedu.layers import MinibatchDiscrimination, initialise
from ganedu.nets import MLP
from ganedu.training import Adam, AdversarialRecipe, ManyAtFirst, RMSProp
from ganedu.training.adversarial_recipe import Optimiser

WIDTH, BATCH, LATENT = 128, 256, 2
AHEAD = 5  # steps that an unrolled game looks ahead
FEATURES = 16  # of MMD-GAN's critic
KERNELS, KERNEL_DIM = 32, 5  # of minibatch discrimination: a third of the paper's kernels, and of their time
MARGIN = 4.0  # of EBGAN: the batch over 64


class Size(NamedTuple):
    """How much of everything: ``steps`` of the generator, ``seeds`` of each of ``games``, figures of ``n``
    points; steps of a ``chain``, step sizes ``taus``, ``proposals`` after which rejection gives up, and
    ``further`` steps of a critic alone."""

    steps: int
    n: int
    seeds: int
    games: tuple[str, ...]
    chain: int
    taus: tuple[float, ...]
    proposals: int
    further: int


@dataclass(frozen=True)
class Setting:
    """A game and how it is trained. ``source``: where its numbers are from; ``told``: what a table says of
    it beside them."""

    game: Game
    optimisers: Optimiser | dict[str, Optimiser]
    source: str
    told: str = ""
    batch: int = BATCH
    n_critic: int | ManyAtFirst = 1
    critic: Callable[[int], nn.Module] = lambda width: MLP(2, width, width, width, 1)

    def recipe(self, seed: int, steps: int) -> AdversarialRecipe:
        """Of ``steps`` steps, kept five times on the way."""
        return AdversarialRecipe(
            steps=steps,
            batch_size=self.batch,
            optimisers=self.optimisers,
            n_critic=self.n_critic,
            seed=seed,
            evaluate_every=500,
            checkpoint_every=1000,
        )

    def critic_steps(self, steps: int) -> int:
        """Of each critic in ``steps`` steps of the generator."""
        recipe = self.recipe(0, steps)
        return sum(recipe.critic_steps(step) for step in range(steps))


def autoencoder(width: int) -> AutoencoderEnergy:
    """As deep as the other critics. Its code may be wide: the margin keeps it from the identity."""
    return AutoencoderEnergy(nn.Sequential(MLP(2, width, width), nn.ReLU()), MLP(width, width, 2))


def batchwise(width: int) -> nn.Module:
    return nn.Sequential(
        MLP(2, width, width, width),
        nn.ReLU(),
        MinibatchDiscrimination(width, KERNELS, KERNEL_DIM),
        nn.Linear(width + KERNELS, 1),
    )


def clip_critic(critic: nn.Module) -> None:
    clip(critic.parameters(), 0.01)


DCGAN = Adam(2e-4, (0.5, 0.999))
GULRAJANI = Adam(1e-4, (0.5, 0.9))


def f_gan(divergence: FDivergence) -> Setting:
    """The saddle of the paper's theory, not its trick: with the trick Jensen-Shannon is GAN's own game. All
    with the optimiser of "GAN", so that the five differ in the divergence and the generator's loss alone."""
    return Setting(
        TwoPlayer(FGAN(divergence), LATENT),
        DCGAN,
        "Nowozin et al. 2016",
        "saddle point of F",
    )


# Cheapest first, which is the order of the run.
SETTINGS: dict[str, Setting] = {
    "GAN": Setting(
        TwoPlayer(non_saturating, LATENT),
        DCGAN,
        "Goodfellow et al. 2014; Radford et al. 2016",
        "non-saturating",
    ),
    "f-GAN KL": f_gan(KL()),
    "f-GAN reverse KL": f_gan(ReverseKL()),
    "f-GAN JS": f_gan(JensenShannon()),
    "f-GAN Pearson": f_gan(Pearson()),
    "EBGAN": Setting(
        TwoPlayer(EBGAN(MARGIN, pull_away=0.1), LATENT),
        Adam(2e-4, (0.5, 0.9)),
        "Zhao et al. 2017",
        f"autoencoder, margin {MARGIN:g}, pull-away 0.1",
        critic=autoencoder,
    ),
    "alpha-GAN": Setting(
        AlphaGAN(LATENT), Adam(8e-4, (0.5, 0.9)), "Rosca et al. 2017", "L1 times 10, encoder and code critic"
    ),
    "WGAN": Setting(
        TwoPlayer(wasserstein, LATENT, constrain=clip_critic),
        RMSProp(5e-5),
        "Arjovsky et al. 2017",
        "weights clipped at 0.01",
        batch=64,
        n_critic=ManyAtFirst(),
    ),
    "WGAN-GP": Setting(
        TwoPlayer(wasserstein, LATENT, ((0.1, gradient_penalty),)),
        GULRAJANI,
        "Gulrajani et al. 2017",
        "penalty 0.1",
        n_critic=5,
    ),
    "minibatch": Setting(
        TwoPlayer(non_saturating, LATENT),
        Adam(3e-4, (0.5, 0.999)),
        "Salimans et al. 2016",
        f"non-saturating, {KERNELS} kernels of {KERNEL_DIM}",
        batch=100,
        critic=batchwise,
    ),
    "MMD-GAN": Setting(
        MMDGAN(Sum((RationalQuadratic(), Features())), LATENT),
        GULRAJANI,
        "Bińkowski et al. 2018",
        f"rational quadratic and dot, {FEATURES} features, penalty 1",
        batch=128,
        n_critic=5,
        critic=lambda width: MLP(2, width, width, width, FEATURES),
    ),
    "unrolled": Setting(
        Unrolled(ZeroSum(minimax, LATENT), AHEAD, AdamStep(1e-4, (0.5, 0.999))),
        {"critic": Adam(1e-4, (0.5, 0.999)), "generator": Adam(1e-3, (0.5, 0.999))},
        "Metz et al. 2017",
        f"{AHEAD} steps ahead",
        batch=128,
    ),
}


FULL = Size(
    steps=5000,
    n=2000,
    seeds=3,
    games=tuple(SETTINGS),
    chain=640,  # as in the paper's experiments with images
    taus=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    proposals=10**6,
    further=3000,
)
QUICK = Size(20, 100, 1, ("GAN", "f-GAN reverse KL"), 5, (0.01, 0.1), 10_000, 20)


def networks(name: str, seed: int, sample: Callable[[int, torch.Generator], Tensor]) -> dict[str, nn.Module]:
    """Those of a game, from ``seed``; ``sample`` makes the batch by which the minibatch layer is scaled."""
    setting, w = SETTINGS[name], WIDTH
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets = {"generator": MLP(LATENT, w, w, w, 2), "critic": setting.critic(w)}
        if isinstance(setting.game, AlphaGAN):
            nets |= {"encoder": MLP(2, w, w, w, LATENT), "code_critic": MLP(LATENT, w, w, w, 1)}
    initialise(nets["critic"], sample(setting.batch, torch.Generator().manual_seed(seed)))
    return nets
