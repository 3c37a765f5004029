"""Every objective as it is played: the trainer, a network for each player, and a law to be found.

The data are N(m, I) in the plane, the generator z + b: it learns b = m, from 1.8 away. And the Dirac-GAN,
played by the trainer with real networks, goes step by step where the vector field of the lecture says.
"""

import pytest
import torch
from torch import nn

from ganedu.divergences import F_DIVERGENCES
from ganedu.divergences.mmd import RBF
from ganedu.gans import dynamics, hinge, minimax, non_saturating, ratio_matching, wasserstein
from ganedu.gans.consensus import Consensus
from ganedu.gans.energy import BEGAN, EBGAN, AutoencoderEnergy
from ganedu.gans.f_gan import FGAN, NonSaturatingFGAN
from ganedu.gans.game import Balance, Balanced, TwoPlayer
from ganedu.gans.least_squares import PEARSON, LeastSquares
from ganedu.gans.moment_matching import FeatureMatching, MomentMatching
from ganedu.gans.penalties import gradient_penalty, r1, r2
from ganedu.layers import MinibatchDiscrimination, initialise, spectrally_normalised
from ganedu.nets import MLP
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import SGD, Adam, AdversarialRecipe

MEAN = torch.tensor([1.5, -1.0])
RECIPE = AdversarialRecipe(
    steps=160,
    batch_size=64,
    optimisers=Adam(3e-2, (0.5, 0.9)),
    ema=0.95,
    evaluate_every=10**6,
    checkpoint_every=10**6,
)


def data(n, rng):
    return MEAN + torch.randn(n, 2, generator=rng)


class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, z):
        return z + self.shift


class WithFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Sequential(nn.Linear(2, 16), nn.Tanh()), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.features(x))


def batchwise():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), MinibatchDiscrimination(8, 4, 2), nn.Linear(12, 1))


def autoencoder():
    return AutoencoderEnergy(MLP(2, 8, 1), MLP(1, 8, 2))


def wide_autoencoder():
    """With codes of which cosines differ."""
    return AutoencoderEnergy(MLP(2, 8, 2), MLP(2, 8, 2))


def clip(critic):
    wasserstein.clip(critic.parameters(), 0.3)


def plain(objective, *penalties, **more):
    return TwoPlayer(objective, 2, penalties, **more), lambda: MLP(2, 16, 1)


GAMES = {
    "minimax": plain(minimax),
    "non-saturating": plain(non_saturating),
    "least squares": plain(LeastSquares()),
    "least squares, Pearson": plain(PEARSON),
    "ratio matching": plain(ratio_matching, (0.1, r1)),
    "hinge": plain(hinge),
    "f-GAN KL": plain(FGAN(F_DIVERGENCES["KL"]), (0.1, r1)),
    "f-GAN reverse KL": plain(FGAN(F_DIVERGENCES["reverse KL"]), (0.1, r1)),
    "f-GAN Jensen-Shannon": plain(FGAN(F_DIVERGENCES["Jensen-Shannon"]), (0.1, r1)),
    "f-GAN Pearson, trick": plain(NonSaturatingFGAN(F_DIVERGENCES["Pearson"]), (0.1, r1)),
    "WGAN": plain(wasserstein, constrain=clip),
    "WGAN-GP": plain(wasserstein, (1.0, gradient_penalty)),
    "spectral norm": (TwoPlayer(hinge, 2), lambda: spectrally_normalised(MLP(2, 16, 1))),
    "R1": plain(non_saturating, (1.0, r1)),
    "R2": plain(non_saturating, (1.0, r2)),
    "minibatch discrimination": (TwoPlayer(non_saturating, 2), batchwise),
    "consensus": (Consensus(non_saturating, 2, gamma=0.1), lambda: nn.Sequential(nn.Linear(2, 1))),
    "EBGAN": (TwoPlayer(EBGAN(2.0), 2), autoencoder),
    "EBGAN, pull-away": (TwoPlayer(EBGAN(2.0, pull_away=0.1), 2), wide_autoencoder),
    "BEGAN": (Balanced(BEGAN(gamma=0.9, rate=0.1), 2), autoencoder),
    "feature matching": (FeatureMatching(non_saturating, 2), WithFeatures),
    "moment matching": (MomentMatching(RBF((1.0, 2.0, 4.0)), 2), None),
}


def miss(game, make, tmp_path):
    """|b - m| at the end, averaged over the last steps by the trainer's EMA; 1.80 at the start."""
    torch.manual_seed(0)
    nets = {"generator": Shift()}
    if make is not None:
        nets["critic"] = make()
        initialise(nets["critic"], data(64, torch.Generator().manual_seed(1)))
    if isinstance(game, Balanced):
        nets["balance"] = Balance()
    nets = fit_adversarial(nets, game, data, RECIPE, tmp_path, progress=False)
    return float((nets["average"].shift - MEAN).norm().detach())


# With six other seeds: at most 0.28, and of these two, which are still on their way, 0.45 and 0.60.
SLOW = {"least squares, Pearson", "BEGAN"}


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
def test_the_generator_finds_the_data(name, tmp_path):
    assert miss(*GAMES[name], tmp_path) < (0.7 if name in SLOW else 0.3)


class Backwards:
    """The generator's sign is wrong."""

    critic_loss = staticmethod(minimax.critic_loss)

    def generator_loss(self, critic, fake):
        return -minimax.generator_loss(critic, fake)


class Asleep:
    """The critic learns nothing."""

    generator_loss = staticmethod(non_saturating.generator_loss)

    def critic_loss(self, critic, real, fake):
        return 0.0 * non_saturating.critic_loss(critic, real, fake)


class Exchanged:
    """The critic takes data for fakes."""

    generator_loss = staticmethod(hinge.generator_loss)

    def critic_loss(self, critic, real, fake):
        return hinge.critic_loss(critic, fake, real)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [Backwards(), Asleep(), Exchanged()])
def test_with_a_planted_error_it_does_not(objective, tmp_path):
    assert miss(*plain(objective), tmp_path) > 1.8


class Point(nn.Module):
    """The generator of the Dirac-GAN: x, whatever z is."""

    def __init__(self, x):
        super().__init__()
        self.x = nn.Parameter(x.clone())

    def forward(self, z):
        return self.x.expand(len(z), 1)


class Slope(nn.Module):
    """Its critic: d(s) = y s."""

    def __init__(self, y):
        super().__init__()
        self.y = nn.Parameter(y.clone())

    def forward(self, s):
        return self.y * s


START = torch.tensor([0.9, 0.4], dtype=torch.float64)
DIRAC = {
    "minimax": (TwoPlayer(minimax, 1), dynamics.dirac_minimax),
    "Wasserstein": (TwoPlayer(wasserstein, 1), dynamics.dirac_wasserstein),
    "non-saturating, R1": (
        TwoPlayer(non_saturating, 1, ((0.5, r1),)),
        dynamics.with_r1(dynamics.dirac_non_saturating, 0.5),
    ),
    "minimax, R2": (TwoPlayer(minimax, 1, ((0.5, r2),)), dynamics.with_r1(dynamics.dirac_minimax, 0.5)),
    "consensus": (Consensus(minimax, 1, gamma=0.7), dynamics.with_consensus(dynamics.dirac_minimax, 0.7)),
    "consensus, non-saturating": (
        Consensus(non_saturating, 1, gamma=0.7),
        dynamics.with_consensus(dynamics.dirac_non_saturating, 0.7),
    ),
}


@pytest.mark.parametrize(
    ("play", "update"), [("simultaneous", dynamics.simultaneous), ("alternating", dynamics.alternating)]
)
@pytest.mark.parametrize("name", DIRAC)
def test_the_dirac_gan_is_played_as_the_field_says(name, play, update, tmp_path):
    """40 steps of gradient descent by the trainer against 40 of the field."""
    game, field = DIRAC[name]
    recipe = AdversarialRecipe(steps=40, batch_size=2, optimisers=SGD(0.2), play=play)
    nets = {"generator": Point(START[0]), "critic": Slope(START[1])}
    rows = torch.zeros(4, 1, dtype=torch.float64)
    nets = fit_adversarial(nets, game, rows, recipe, tmp_path, progress=False)
    found = torch.stack([nets["generator"].x.detach(), nets["critic"].y.detach()])
    way = dynamics.play(field, START, 0.2, 40, update)
    torch.testing.assert_close(found, way[-1], rtol=1e-10, atol=1e-12)
    assert (way[-1] - way[-2]).abs().max() > 1e-4  # power: a step more or less is seen
