"""The zoo's likelihood models: how each is built, on which rows, by which loss, and how it is judged.

A held-out image b is discrete: grey levels, or binary pixels. All models are judged by the same two
bounds on log P(b), from k draws of weights whose mean is P(b). A weight's randomness is a latent z
for a VAE, the noise u that spreads a grey level over its cell for a density, or both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganedu.data import digits, mnist
from ganedu.flows import DequantisedLogLikelihood, glow, initialise
from ganedu.likelihood import (
    LearnedStd,
    MonteCarloNegativeELBO,
    NegativeELBO,
    binarise,
    dequantise,
    mlp_vae,
)
from ganedu.likelihood.pixels import DIGIT
from ganedu.rng import generator, initial_weights
from ganedu.training import MLERecipe, Objective

GREYS = 17  # of scikit-learn's digits
SPLITS = {"digits": (1_397, 200, 200), "mnist": (8_000, 1_000, 1_000)}
PARTS = ("train", "validation", "held-out")


@dataclass(frozen=True)
class Entry:
    """``objective`` is what is trained; exp(-loss) of ``judge``, times the volume of a cell of dequantised
    pixels, has mean P(b). ``rows`` gives the training, validation and held-out images, whose pixels take
    ``levels`` values."""

    kind: str
    build: Callable[[], nn.Module]
    rows: Callable[[str], Tensor]
    objective: Objective
    judge: Objective
    recipe: MLERecipe
    data: str
    likelihood: str
    log_cell: float = 0.0
    levels: int = GREYS

    def start(self, seed: int) -> nn.Module:
        """The model before training, its actnorms set by the first rows."""
        with initial_weights(seed):
            model = self.build()
        if self.kind == "flow":
            first = self.rows("train")[: self.recipe.batch_size]
            initialise(model, *self.objective.draw(first, generator(seed)))
        return model


def part_of(images: Tensor, sizes: tuple[int, ...], part: str) -> Tensor:
    """One part of one fixed shuffle: files are in the order of their writers.

    Raises ValueError for another part, or images that are not as many as the sizes say.
    """
    if part not in PARTS:
        raise ValueError(f"part: expected one of {', '.join(PARTS)}, got {part!r}")
    if len(images) != sum(sizes):
        raise ValueError(f"images: expected {sum(sizes)}, got {len(images)}")
    order = torch.randperm(len(images), generator=generator(0))
    return images[order.split(list(sizes))[PARTS.index(part)]]


def digit_rows(part: str) -> Tensor:
    """scikit-learn's digits as grey levels 0 to 16, uint8 (n, 1, 8, 8)."""
    greys = digits().pixels.float().mul(16 / 255).round().to(torch.uint8)
    return part_of(greys, SPLITS["digits"], part)


def mnist_rows(part: str) -> Tensor:
    """MNIST's 10,000 test digits, (n, 1, 28, 28): bytes, which training makes binary anew at each step,
    and for the held-out part binary pixels, drawn once."""
    rows = part_of(mnist("test").pixels, SPLITS["mnist"], part)
    return binarise(rows, generator(1)) if part == "held-out" else rows


def spread(greys: Tensor, rng: torch.Generator) -> Tensor:
    """Grey levels 0 to 16 -> floats in [-1, 1.125), each level spread over its cell of 1/8."""
    return dequantise(greys / 8 - 1, rng, DIGIT)


DIGITS = "scikit-learn's 1,797 digits, 17 grey levels: 1,397 trained on, 200 to stop by, 200 held out"
MNIST = "MNIST's 10,000 test digits, binary by chance: 8,000 trained on, 1,000 to stop by, 1,000 held out"
OF_GREYS = "probability of 17 grey levels a pixel, from a density of dequantised ones"

ENTRIES = {
    "digits-vae": Entry(
        kind="vae",
        build=lambda: mlp_vae((1, 8, 8), hidden=200, latent_dim=8, head=LearnedStd(DIGIT / 2)),
        rows=digit_rows,
        objective=NegativeELBO(latent_dim=8, prepare=spread),
        judge=MonteCarloNegativeELBO(latent_dim=8, prepare=spread),
        recipe=MLERecipe(steps=6_000, learning_rate=1e-3, ema=0.99, evaluate_every=100, patience=10),
        data=DIGITS,
        likelihood=OF_GREYS,
        log_cell=64 * math.log(DIGIT),
    ),
    "digits-flow": Entry(
        kind="flow",
        build=lambda: glow((1, 8, 8), levels=2, steps=6, width=32),
        rows=digit_rows,
        objective=DequantisedLogLikelihood(GREYS),
        judge=DequantisedLogLikelihood(GREYS),  # whose loss has the cell's volume in it
        recipe=MLERecipe(steps=3_000, learning_rate=1e-3, clip=1.0, ema=0.99, evaluate_every=100, patience=5),
        data=DIGITS,
        likelihood=OF_GREYS,
    ),
    "mnist-vae": Entry(
        kind="vae",
        build=lambda: mlp_vae((1, 28, 28), hidden=400, latent_dim=20),
        rows=mnist_rows,
        objective=NegativeELBO(latent_dim=20, prepare=binarise),
        judge=MonteCarloNegativeELBO(latent_dim=20),
        # As many steps as ten epochs of all 60,000.
        recipe=MLERecipe(steps=4_690, learning_rate=1e-3, ema=0.99, evaluate_every=67, patience=10),
        data=MNIST,
        likelihood="probability of binary pixels",
        levels=2,
    ),
}
