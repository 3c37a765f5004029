"""The games of the course by name, as they are played for data in the plane: networks, optimisers, turns.

Networks are the same for all, as far as a game allows: ReLU, three hidden layers. Losses, optimisers and
penalties are those that each paper or its authors' code trains with, batches are of 256 where an entry does
not say otherwise. None was searched for but the rates of the unrolled game, on the ring
(``benchmarks/unrolled_ring_discussion.md``).

>>> import torch
>>> from pathlib import Path
>>> from ganedu.data import ring
>>> from ganedu.training import fit_adversarial
>>> from ganedu.training.games import GAMES, start
>>> entry, sample = GAMES["wgan-gp"], ring().sample
>>> game, nets = start(entry, sample(256, torch.Generator().manual_seed(0)))
>>> nets = fit_adversarial(nets, game, sample, entry.recipe(steps=5000), Path("build/wgan-gp"))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ganedu.divergences import F_DIVERGENCES
from ganedu.divergences.mmd import Features, RationalQuadratic, Sum
from ganedu.gans import hinge, minimax, non_saturating, ratio_matching, wasserstein
from ganedu.gans.alpha_gan import AlphaGAN
from ganedu.gans.consensus import Consensus
from ganedu.gans.energy import BEGAN, EBGAN, AutoencoderEnergy
from ganedu.gans.f_gan import FGAN
from ganedu.gans.game import Balance, Balanced, Game, TwoPlayer, ZeroSum
from ganedu.gans.least_squares import LeastSquares
from ganedu.gans.mmd_gan import MMDGAN
from ganedu.gans.moment_matching import MomentMatching
from ganedu.gans.penalties import gradient_penalty, r1
from ganedu.gans.unrolled import AdamStep, Unrolled
from ganedu.layers import MinibatchDiscrimination, initialise, spectrally_normalised
from ganedu.nets import MLP
from ganedu.rng import initial_weights
from ganedu.samplers.base import check_count
from ganedu.training.adversarial_recipe import Adam, AdversarialRecipe, ManyAtFirst, Optimiser, RMSProp

Nets = dict[str, nn.Module]
DIM = 2
FEATURES = 16  # of MMD-GAN's critic
KERNELS, KERNEL_DIM = 32, 5  # of minibatch discrimination: a third of the paper's kernels, and of their time
MARGIN = 4.0  # of EBGAN: the batch over 64
AHEAD = 5  # steps that the unrolled game looks ahead


def critic(width: int, latent_dim: int) -> Nets:
    """x (n, 2) -> a score (n, 1)."""
    return {"critic": MLP(DIM, width, width, width, 1)}


@dataclass(frozen=True)
class Entry:
    """``game(latent_dim)``, ``opponents(width, latent_dim)`` (all networks but the generator), and what goes
    into a recipe. ``title`` names the game in tables; ``source``: where its numbers are from."""

    title: str
    game: Callable[[int], Game]
    optimisers: Optimiser | Mapping[str, Optimiser]
    source: str
    opponents: Callable[[int, int], Nets] = critic
    n_critic: int | ManyAtFirst = 1
    batch_size: int = 256

    def build(self, width: int = 128, latent_dim: int = 2) -> tuple[Game, Nets]:
        """The game and its networks, whose weights torch's global generator draws: see ``start``.

        Raises ValueError for a width or latent_dim below 1.
        """
        check_count("width", width)
        check_count("latent_dim", latent_dim)
        generator = MLP(latent_dim, width, width, width, DIM)
        return self.game(latent_dim), {"generator": generator} | self.opponents(width, latent_dim)

    def recipe(self, steps: int, seed: int = 0, **changed: Any) -> AdversarialRecipe:
        """``steps`` steps of this game; ``changed`` are other fields of an ``AdversarialRecipe``."""
        told = {"batch_size": self.batch_size, "optimisers": self.optimisers, "n_critic": self.n_critic}
        return AdversarialRecipe(steps, seed=seed, **told | changed)

    def critic_steps(self, steps: int) -> int:
        """Of each critic, in ``steps`` steps of the generator; 0 where there is none."""
        recipe = self.recipe(steps)
        if not self.game(1).critics:
            return 0
        return sum(recipe.critic_steps(step) for step in range(steps))


def start(entry: Entry, x: Tensor, width: int = 128, latent_dim: int = 2, seed: int = 0) -> tuple[Game, Nets]:
    """Game and networks before the first step, by ``seed``; torch's global generator stays as it is.

    x (n, 2), n > 1, is a batch of data, from which minibatch discrimination takes its scale. The generator
    begins with the same weights in every game.
    """
    with initial_weights(seed):
        game, nets = entry.build(width, latent_dim)
    if "critic" in nets:
        initialise(nets["critic"], x)
    return game, nets


def no_opponent(width: int, latent_dim: int) -> Nets:
    return {}


def normalised_critic(width: int, latent_dim: int) -> Nets:
    return {"critic": spectrally_normalised(MLP(DIM, width, width, width, 1))}


def feature_critic(width: int, latent_dim: int) -> Nets:
    return {"critic": MLP(DIM, width, width, width, FEATURES)}


def batch_critic(width: int, latent_dim: int) -> Nets:
    batch = MinibatchDiscrimination(width, KERNELS, KERNEL_DIM)
    body = MLP(DIM, width, width, width)
    return {"critic": nn.Sequential(body, nn.ReLU(), batch, nn.Linear(width + KERNELS, 1))}


def energy(width: int, latent_dim: int, power: float = 2.0) -> Nets:
    """As deep as the other critics. The code is wide: it is the game that keeps it from the identity."""
    encoder = nn.Sequential(MLP(DIM, width, width), nn.ReLU())
    return {"critic": AutoencoderEnergy(encoder, MLP(width, width, DIM), power)}


def balanced_energy(width: int, latent_dim: int) -> Nets:
    return energy(width, latent_dim, power=1.0) | {"balance": Balance()}


def with_encoder(width: int, latent_dim: int) -> Nets:
    return critic(width, latent_dim) | {
        "encoder": MLP(DIM, width, width, width, latent_dim),
        "code_critic": MLP(latent_dim, width, width, width, 1),
    }


def clip(critic: nn.Module) -> None:
    wasserstein.clip(critic.parameters(), 0.01)


def two(objective: Any, *penalties: Any, **more: Any) -> Callable[[int], Game]:
    return lambda latent_dim: TwoPlayer(objective, latent_dim, penalties, **more)


def f_gan(name: str) -> Callable[[int], Game]:
    """The saddle of the paper's theory, not its trick: with that, Jensen-Shannon's is GAN's own game."""
    return two(FGAN(F_DIVERGENCES[name]))


DCGAN = Adam(2e-4, (0.5, 0.999))
SLOWER = Adam(2e-4, (0.5, 0.9))
GULRAJANI = Adam(1e-4, (0.5, 0.9))
RADFORD = "rates of Radford et al. 2016"
F_GANS = {
    "kl": "KL",
    "reverse-kl": "reverse KL",
    "js": "Jensen-Shannon",
    "pearson": "Pearson",
    "jeffrey": "Jeffrey",
    "hellinger": "squared Hellinger",
    "neyman": "Neyman",
    "tv": "total variation",
}

GAMES = {
    "gan": Entry(
        "GAN, minimax",
        lambda latent_dim: ZeroSum(minimax, latent_dim),
        DCGAN,
        f"Goodfellow et al. 2014; {RADFORD}",
    ),
    "ns-gan": Entry("GAN, non-saturating", two(non_saturating), DCGAN, "Radford et al. 2016"),
    "lsgan": Entry("LSGAN", two(LeastSquares()), DCGAN, f"Mao et al. 2017; {RADFORD}"),
    "hinge": Entry(
        "hinge, spectral norm",
        two(hinge),
        Adam(2e-4, (0.0, 0.9)),
        "Miyato et al. 2018",
        normalised_critic,
        n_critic=5,
    ),
    "r1": Entry(
        "GAN, R1", two(non_saturating, (10.0, r1)), DCGAN, f"Mescheder et al. 2018, γ = 10; {RADFORD}"
    ),
    "consensus": Entry(
        "GAN, consensus",
        lambda latent_dim: Consensus(non_saturating, latent_dim, gamma=10.0),
        RMSProp(1e-4),
        "Mescheder et al. 2017, γ = 10; turns instead of simultaneous steps",
    ),
    **{
        f"f-gan-{name}": Entry(f"f-GAN, {told}", f_gan(told), DCGAN, f"Nowozin et al. 2016; {RADFORD}")
        for name, told in F_GANS.items()
    },
    "wgan": Entry(
        "WGAN, clipped",
        two(wasserstein, constrain=clip),
        RMSProp(5e-5),
        "Arjovsky et al. 2017",
        n_critic=ManyAtFirst(),
        batch_size=64,
    ),
    "wgan-gp": Entry(
        "WGAN-GP", two(wasserstein, (0.1, gradient_penalty)), GULRAJANI, "Gulrajani et al. 2017", n_critic=5
    ),
    "mmd-gan": Entry(
        "MMD-GAN",
        lambda latent_dim: MMDGAN(Sum((RationalQuadratic(), Features())), latent_dim),
        GULRAJANI,
        "Bińkowski et al. 2018",
        feature_critic,
        n_critic=5,
        batch_size=128,
    ),
    "moment-matching": Entry(
        "moment matching",
        lambda latent_dim: MomentMatching(RationalQuadratic(), latent_dim),
        Adam(1e-3, (0.9, 0.999)),
        "Li et al. 2015; kernel of Bińkowski et al. 2018, rate and batch ours",
        no_opponent,
        batch_size=512,
    ),
    "ratio-matching": Entry(
        "ratio matching, R1",
        two(ratio_matching, (1.0, r1)),
        DCGAN,
        f"Mohamed and Lakshminarayanan 2016; penalty ours, {RADFORD}",
    ),
    "ebgan": Entry("EBGAN, pull-away", two(EBGAN(MARGIN, pull_away=0.1)), SLOWER, "Zhao et al. 2017", energy),
    "began": Entry(
        "BEGAN",
        lambda latent_dim: Balanced(BEGAN(), latent_dim),
        Adam(1e-4, (0.5, 0.999)),
        "Berthelot et al. 2017",
        balanced_energy,
    ),
    "unrolled": Entry(
        f"unrolled GAN, K = {AHEAD}",
        lambda latent_dim: Unrolled(ZeroSum(minimax, latent_dim), AHEAD, AdamStep(1e-3, (0.5, 0.999))),
        Adam(1e-3, (0.5, 0.999)),
        "Metz et al. 2017; the critic's rate is that of the generator",
        batch_size=128,
    ),
    "minibatch-discrimination": Entry(
        "minibatch discrimination",
        two(non_saturating),
        Adam(3e-4, (0.5, 0.999)),
        "Salimans et al. 2016",
        batch_critic,
        batch_size=100,
    ),
    "alpha-gan": Entry("α-GAN", AlphaGAN, Adam(8e-4, (0.5, 0.9)), "Rosca et al. 2017", with_encoder),
}
