"""A VAE and a flow on 10,000 digits of MNIST, beside pythae's and normflows' on the same rows in one run.

The peers run in an environment of their own, as the script ``likelihood_peers``, which is sent the images
and the order of the batches and sends back figures. Both sides have the same networks, within 2% of the
same number of parameters, the same optimiser, schedule and steps; their noise is their own.
"""

import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rows import Job
from ganedu.data import mnist
from ganedu.flows import DequantisedLogLikelihood, bits_per_dimension, glow, initialise
from ganedu.likelihood import NegativeELBO, binarise, evidence_bounds, mlp_vae
from ganedu.rng import generator
from ganedu.training import MLERecipe, fit_mle
from ganedu.training.batches import batches
from ganedu.zoo.entries import SPLITS, part_of

ORACLES = (
    "python3.11 -m venv ORACLES && ORACLES/bin/pip install -c constraints.txt pythae normflows torch numpy"
)
PIXELS = 28 * 28
PEERS = {"vae": "pythae", "flow": "normflows"}


@dataclass(frozen=True)
class Size:
    """How long each is trained, on how wide a network; ``k`` draws of the IWAE bound for a VAE."""

    vae_steps: int = 620  # ten epochs of 8,000 rows
    flow_steps: int = 2_000
    flow_width: int = 95
    peer_width: int = 96  # with as many parameters, of which our learned priors take some
    k: int = 500
    held_out: int = 1_000
    seeds: int = 3


QUICK = Size(vae_steps=20, flow_steps=2, flow_width=8, peer_width=8, k=10, held_out=20, seeds=1)


def jobs(size: Size, oracles: Path | None, folder: Path) -> Iterator[Job]:
    """(key, what makes its row): the VAE over seeds, the flow, which takes longer, once."""
    for kind, seeds in (("vae", size.seeds), ("flow", 1)):
        for code in ("ours", PEERS[kind]):
            for seed in range(seeds):
                where = (ours, folder) if code == "ours" else (peer, oracles)
                yield f"mnist/{kind}/{code}/{seed}", partial(where[0], kind, seed, size, where[1])


def digits(part: str) -> Tensor:
    """Bytes (n, 1, 28, 28), 8,000 to train on or 1,000 held out, of MNIST's 10,000 test digits: the rows of
    the zoo's models."""
    return part_of(mnist("test").pixels, SPLITS["mnist"], part)


def rows(kind: str, part: str) -> Tensor:
    """What a model sees of a part: for the VAE binary pixels, by chance and once; for the flow bytes."""
    pixels = digits(part)
    return binarise(pixels, generator(1)) if kind == "vae" else pixels


def recipe(kind: str, seed: int, size: Size) -> MLERecipe:
    """models.md's VAE; for the flow Adam with a cosine, and gradients no longer than 1."""
    if kind == "vae":
        return MLERecipe(steps=size.vae_steps, batch_size=128, learning_rate=1e-3, seed=seed)
    return MLERecipe(
        steps=size.flow_steps, batch_size=64, learning_rate=1e-3, schedule="cosine", clip=1.0, seed=seed
    )


def held_out(kind: str, size: Size) -> Tensor:
    """What is judged: binary pixels, or bytes spread evenly over their cell, in [0, 1]; the same for all."""
    x = rows(kind, "held-out")[: size.held_out]
    return x if kind == "vae" else DequantisedLogLikelihood().draw(x, generator(1))[0]


def ours(kind: str, seed: int, size: Size, folder: Path) -> dict:
    """Our row."""
    train = rows(kind, "train")
    torch.manual_seed(seed)
    plan, started = recipe(kind, seed, size), time.perf_counter()
    run = folder / f"{kind}-{seed}-{plan.steps}"
    if kind == "vae":
        model, objective = mlp_vae((1, 28, 28)), NegativeELBO(latent_dim=20)
    else:
        model, objective = glow((1, 28, 28), width=size.flow_width), DequantisedLogLikelihood()
        initialise(model, objective.draw(train[: plan.batch_size], generator(seed))[0])
    fit_mle(model, objective, train, plan, run)
    seconds, x = time.perf_counter() - started, held_out(kind, size)
    found = row(model, judge(kind, model, x, size.k), seconds, f"torch {torch.__version__}")
    shutil.rmtree(run)  # or the row, made again, would be of these weights
    return found


@torch.no_grad()
def judge(kind: str, model: nn.Module, x: Tensor, k: int) -> Tensor:
    """(n,) nats of each held-out image: the IWAE bound on -log P of a VAE, a flow's own bound."""
    if kind == "vae":
        parts = x.split(100)
        bounds = [evidence_bounds(model.log_joint, p, model.posterior(p), k, generator(2)) for p in parts]
        return torch.cat([-b.iwae for b in bounds])
    return torch.cat([DequantisedLogLikelihood().loss(model, part) for part in x.split(100)])


def row(model: nn.Module, nats: Tensor, seconds: float, version: str) -> dict:
    return summary(sum(p.numel() for p in model.parameters()), nats.double(), seconds, version)


def summary(parameters: int, nats: Tensor, seconds: float, version: str) -> dict:
    """``nats`` (n,) of the held-out images; the error is that of their mean, over images."""
    return {
        "nats": float(nats.mean()),
        "error": float(nats.std() / math.sqrt(len(nats))),
        "bits_per_dim": float(bits_per_dimension(nats.mean(), PIXELS)),
        "n": len(nats),
        "parameters": parameters,
        "seconds": seconds,
        "version": version,
    }


def peer(kind: str, seed: int, size: Size, oracles: Path | None) -> dict:
    """The row of pythae or normflows. FileNotFoundError without their environment."""
    if oracles is None:
        raise FileNotFoundError(f"no --oracles PYTHON; {ORACLES}; then --oracles ORACLES/bin/python")
    train = rows(kind, "train")
    plan = recipe(kind, seed, size)
    order = batches(torch.arange(len(train)), plan.batch_size, seed)
    problem = {
        "kind": kind,
        "seed": seed,
        "train": train.numpy(),
        "held_out": held_out(kind, size).numpy(),
        "order": torch.stack([order(step) for step in range(plan.steps)]).numpy(),
        "learning_rate": plan.learning_rate,
        "width": size.peer_width,
        "k": size.k,
    }
    with tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder) / "problem.npz", Path(folder) / "found.npz"
        np.savez(there, **problem)
        script = Path(__file__).with_name("likelihood_peers.py")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([oracles, script, there, back], check=True, env=environment)
        found = np.load(back)
        nats = torch.from_numpy(found["nats"].copy()).double()
        return summary(int(found["parameters"]), nats, float(found["seconds"]), str(found["version"]))
