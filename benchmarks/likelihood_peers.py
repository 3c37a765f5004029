"""Pythae's VAE or normflows' Glow on the images of a problem: what ``likelihood_mnist`` compares with.

    PYTHON benchmarks/likelihood_peers.py IN.npz OUT.npz

PYTHON has pythae and normflows, and needs nothing of ours. The batches and their order are those of IN.
"""

import math
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

LATENT, HIDDEN, LEVELS, STEPS = 20, 400, 2, 16
SHAPE = (1, 28, 28)


def vae(problem):
    """Pythae's VAE with networks 784-400-20, and its own estimate of log P by k draws of its encoder."""
    from pythae.data.datasets import DatasetOutput
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(math.prod(SHAPE), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
            )

        def forward(self, x):
            mean, log_var = self.net(x).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, math.prod(SHAPE)), nn.Sigmoid()
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z).unflatten(1, SHAPE))

    config = VAEConfig(input_dim=SHAPE, latent_dim=LATENT, reconstruction_loss="bce")
    model = VAE(config, Encoder(), Decoder())

    def loss(x):
        return model(DatasetOutput(data=x)).loss

    k = int(problem["k"])

    def judge(x):
        return torch.tensor([-model.get_nll(image[None], k, min(k, 100)) for image in x])

    return model, loss, judge, f"pythae {version('pythae')}, torch {torch.__version__}"


def flow(problem):
    """normflows' Glow, as its example builds it, on bytes spread over their cells."""
    import normflows as nf

    channels, side, _ = SHAPE
    bases, merges, levels = [], [], []
    for i in range(LEVELS):
        wide = channels * 2 ** (LEVELS + 1 - i)
        blocks = [nf.flows.GlowBlock(wide, int(problem["width"]), split_mode="channel") for _ in range(STEPS)]
        levels.append([*blocks, nf.flows.Squeeze()])
        if i > 0:
            merges.append(nf.flows.Merge())
        factor = 2 ** (LEVELS - i)
        depth = channels * 2 ** (LEVELS + 1) if i == 0 else channels * factor
        bases.append(nf.distributions.DiagGaussian((depth, side // factor, side // factor)))
    model = nf.MultiscaleFlow(bases, levels, merges, class_cond=False)
    dequantise = math.prod(SHAPE) * math.log(256.0)

    def nats(x):
        return dequantise - model.log_prob(x, None)

    def loss(x):
        return nats((x + torch.rand(x.shape)) / 256.0).mean()

    def judge(x):
        return torch.cat([nats(part) for part in x.split(100)])

    return model, loss, judge, f"normflows {version('normflows')}, torch {torch.__version__}"


def main(there, back):
    problem = dict(np.load(there))
    kind, order = str(problem["kind"]), torch.from_numpy(problem["order"])
    torch.manual_seed(int(problem["seed"]))
    model, loss, judge, names = (vae if kind == "vae" else flow)(problem)
    train, held_out = (torch.from_numpy(problem[name]) for name in ("train", "held_out"))
    rate = float(problem["learning_rate"])
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    started = time.perf_counter()
    for step, rows in enumerate(tqdm(order, desc=names)):
        if kind == "flow":
            adam.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / len(order)))
        adam.zero_grad()
        value = loss(train[rows])
        value.backward()
        if kind == "flow":
            clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    seconds = time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        found = judge(held_out)
    parameters = sum(p.numel() for p in model.parameters())
    np.savez(back, nats=found.numpy(), parameters=parameters, seconds=seconds, version=names)


if __name__ == "__main__":
    main(*sys.argv[1:])
