"""A discriminator that is trained for long on few points, and learns to be too sure."""

from functools import cache

import torch
from torch.nn.functional import softplus

from ganedu.demos.density_ratio import HeldOut
from ganedu.demos.toy_gans import uneven_gan
from ganedu.nets import MLP
from ganedu.rng import generator, initial_weights

N_TRAIN, N_HELD_OUT = 200, 4000
STEPS = (20, 100, 800)


@cache
def overtrained() -> dict[int, HeldOut]:
    """Number of steps -> logits of a network on points that it was not trained on.

    The network is trained on ``N_TRAIN`` draws of the data of ``uneven_gan`` and as many of its
    generator, the same at each step: the generator holds still, as at the end of a training.
    """
    toy, rng = uneven_gan(), generator(9, 7)
    real, fake = toy.data.sample(N_TRAIN, rng), toy.gan.generator(toy.gan.prior(N_TRAIN, rng))
    new_real = toy.data.sample(N_HELD_OUT, rng)
    new_fake = toy.gan.generator(toy.gan.prior(N_HELD_OUT, rng))
    with initial_weights(98):
        net = MLP(2, 128, 128, 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    logits = {}
    for step in range(1, max(STEPS) + 1):
        loss = softplus(-net(real)).mean() + softplus(net(fake)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in STEPS:
            with torch.no_grad():
                logits[step] = HeldOut(net(new_real).flatten(), net(new_fake).flatten())
    return logits
