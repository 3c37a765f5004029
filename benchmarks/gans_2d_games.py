"""Which of ``training.games.GAMES`` ``benchmarks.gans_2d`` plays, and what its table says of them.

The budget is a number of steps of the generator. How many the critic takes for each is part of a game, and
is counted beside it. Latents lie in the plane, which is what lets 25 modes and a roll be hard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganedu.gans.game import Game
from ganedu.training import AdversarialRecipe
from ganedu.training.games import AHEAD, FEATURES, GAMES, KERNEL_DIM, KERNELS, MARGIN, Entry, start

WIDTH, BATCH, LATENT = 128, 256, 2


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
    """A game by its name in ``GAMES``; ``told``: what a table says of it beside its numbers."""

    name: str
    told: str

    @property
    def entry(self) -> Entry:
        return GAMES[self.name]

    @property
    def game(self) -> Game:
        return self.entry.game(LATENT)

    def recipe(self, seed: int, steps: int) -> AdversarialRecipe:
        """Of ``steps`` steps, kept five times on the way."""
        return self.entry.recipe(steps, seed, evaluate_every=500, checkpoint_every=1000)


# Cheapest first, which is the order of the run. All f-GANs have GAN's optimiser, so that the five differ in
# the divergence and the generator's loss alone.
SETTINGS: dict[str, Setting] = {
    "GAN": Setting("ns-gan", "non-saturating"),
    "f-GAN KL": Setting("f-gan-kl", "saddle point of F"),
    "f-GAN reverse KL": Setting("f-gan-reverse-kl", "saddle point of F"),
    "f-GAN JS": Setting("f-gan-js", "saddle point of F"),
    "f-GAN Pearson": Setting("f-gan-pearson", "saddle point of F"),
    "EBGAN": Setting("ebgan", f"autoencoder, margin {MARGIN:g}, pull-away 0.1"),
    "alpha-GAN": Setting("alpha-gan", "L1 times 10, encoder and code critic"),
    "WGAN": Setting("wgan", "weights clipped at 0.01"),
    "WGAN-GP": Setting("wgan-gp", "penalty 0.1"),
    "minibatch": Setting("minibatch-discrimination", f"non-saturating, {KERNELS} kernels of {KERNEL_DIM}"),
    "MMD-GAN": Setting("mmd-gan", f"rational quadratic and dot, {FEATURES} features, penalty 1"),
    "unrolled": Setting("unrolled", f"{AHEAD} steps ahead"),
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
    entry = SETTINGS[name].entry
    first = sample(entry.batch_size, torch.Generator().manual_seed(seed))
    return start(entry, first, WIDTH, LATENT, seed)[1]
