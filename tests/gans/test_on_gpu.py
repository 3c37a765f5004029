"""The same losses, penalties and layers on a GPU: values and gradients are those of the processor."""

import copy

import pytest
import torch
from torch import nn

from ganedu.divergences import F_DIVERGENCES
from ganedu.divergences.mmd import RBF
from ganedu.gans import hinge, minimax, wasserstein
from ganedu.gans.energy import EBGAN, AutoencoderEnergy
from ganedu.gans.f_gan import FGAN
from ganedu.gans.least_squares import PEARSON
from ganedu.gans.moment_matching import MomentMatching
from ganedu.gans.penalties import consensus, gradient_penalty, r1, r2
from ganedu.layers import MinibatchDiscrimination, initialise, spectrally_normalised
from ganedu.likelihood.energy import KMeans, score_matching
from ganedu.nets import MLP

pytestmark = pytest.mark.gpu
OBJECTIVES = {
    "minimax": minimax,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "least squares": PEARSON,
    **{f"f-GAN {name}": FGAN(divergence) for name, divergence in F_DIVERGENCES.items()},
}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


REAL, FAKE, MIXING = normal(16, 4), 1 + normal(16, 4, seed=1), normal(16, seed=2).sigmoid()


def critic(smooth=False):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), MinibatchDiscrimination(8, 5, 3), nn.Linear(13, 1))
    if not smooth:
        spectrally_normalised(body)
    return body.double()


def gradients(value, net):
    return [value, *torch.autograd.grad(value, list(net.parameters()), allow_unused=True)]


def on_both(loss, net):
    """(value, gradients) here and there, from copies of one network."""
    found = []
    for device in ("cpu", "cuda"):
        own = copy.deepcopy(net).to(device)
        value = loss(own, *(rows.to(device) for rows in (REAL, FAKE, MIXING)))
        found.append([None if g is None else g.cpu() for g in gradients(value, own)])
    return found


def same(found):
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives(name):
    objective = OBJECTIVES[name]

    def both(net, real, fake, mixing):
        return objective.critic_loss(net, real, fake) + objective.generator_loss(net, fake)

    same(on_both(both, critic()))


PENALTIES = {
    "gradient penalty": gradient_penalty,
    "R1": lambda net, real, fake, mixing: r1(net, real, fake),
    "R2": lambda net, real, fake, mixing: r2(net, real, fake),
    "consensus": lambda net, real, fake, mixing: consensus(
        [minimax.critic_loss(net, real, fake)], [list(net.parameters())]
    ),
    "score matching": lambda net, real, fake, mixing: score_matching(lambda x: net(x)[:, 0], real).mean(),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name):
    same(on_both(PENALTIES[name], critic(smooth=True)))


def test_energies_and_moments():
    torch.manual_seed(0)
    energy = AutoencoderEnergy(MLP(4, 8, 2), MLP(2, 8, 4)).double()
    objective = EBGAN(1.0, pull_away=0.1)

    def both(net, real, fake, mixing):
        return objective.critic_loss(net, real, fake) + objective.generator_loss(net, fake)

    same(on_both(both, energy))
    game = MomentMatching(RBF(), 4)
    same(
        on_both(
            lambda net, real, z, mixing: game.loss("generator", {"generator": net}, real, z),
            nn.Linear(4, 4).double(),
        )
    )


def test_initialisation_and_clustering():
    here, there = critic(), critic().cuda()
    initialise(here, REAL)
    initialise(there, REAL.cuda())
    for name, value in here.state_dict().items():
        torch.testing.assert_close(there.state_dict()[name].cpu(), value)
    x = torch.cat([REAL, 9 + REAL])
    fit = KMeans.fit(x.cuda(), 2, torch.Generator("cuda").manual_seed(0))
    assert fit.centres.is_cuda and fit(x.cuda()).shape == (32,)


def test_in_bfloat16_losses_are_float32_and_near():
    net = critic(smooth=True).float().cuda()
    real, fake, mixing = (rows.float().cuda() for rows in (REAL, FAKE, MIXING))
    for loss in (
        lambda: minimax.critic_loss(net, real, fake),
        lambda: gradient_penalty(net, real, fake, mixing),
    ):
        with torch.autocast("cuda", torch.bfloat16):
            rounded = loss()
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded, loss(), rtol=0.05, atol=0.02)
        assert all(g.isfinite().all() for g in gradients(rounded, net)[1:] if g is not None)
