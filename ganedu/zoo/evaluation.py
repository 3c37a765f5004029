"""How good a likelihood model is: bounds on the log probability of held-out images, in nats and bits."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ganedu.flows import bits_per_dimension
from ganedu.likelihood import Bounds, bounds_of
from ganedu.rng import generator
from ganedu.samplers.base import check_count
from ganedu.zoo.entries import Entry

ROWS = 4_096  # pairs of an image and a draw that are looked at in one go


class Figure(NamedTuple):
    """A mean over the held-out images, and its standard error (of which images they are)."""

    mean: float
    error: float


class Evaluation(NamedTuple):
    """``elbo`` and ``iwae`` bound log P(image) from below, in nats; their bits per dimension are upper
    bounds. ``gap`` is what the k draws close. ``few_draws``: the share of images of which a few of the
    k weights decide (relative error above 1/2), so that more draws would still raise ``iwae``."""

    elbo: Figure
    iwae: Figure
    gap: Figure
    elbo_bits: Figure
    iwae_bits: Figure
    few_draws: float
    n: int
    dim: int
    k: int
    seed: int


@torch.no_grad()
def evaluate(
    entry: Entry,
    model: nn.Module,
    k: int = 100,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Evaluation:
    """``model``, in eval mode, on all held-out images of ``entry``, k draws for each.

    Raises ValueError for a k below 1, ``DataNotFound`` where the data are not on this machine, and
    FloatingPointError where an image's ELBO is not finite: broken weights have no mean worth a number.
    """
    check_count("k", k)
    model = model.to(device).eval()
    images = entry.rows("held-out").to(device)
    rng = generator(seed, device=device)
    parts = images.split(max(1, ROWS // k))
    bar = tqdm(parts, desc=f"{k} draws an image", disable=not progress, leave=False)
    found = [bounds_of(log_weights(entry, model, part, k, rng)) for part in bar]
    whole = Bounds(*(torch.cat(column) for column in zip(*found, strict=True)))
    broken = int((~torch.isfinite(whole.elbo)).sum())
    if broken:
        raise FloatingPointError(f"model: the ELBO of {broken} of {len(images)} images is not finite")
    dim = images[0].numel()
    return Evaluation(
        elbo=figure(whole.elbo),
        iwae=figure(whole.iwae),
        gap=figure(whole.gap),
        elbo_bits=figure(bits_per_dimension(-whole.elbo, dim)),
        iwae_bits=figure(bits_per_dimension(-whole.iwae, dim)),
        few_draws=float((whole.relative_error > 0.5).double().mean()),
        n=len(images),
        dim=dim,
        k=k,
        seed=seed,
    )


def log_weights(entry: Entry, model: nn.Module, images: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """log w (k, n) for n images b, E w = P(b): k draws for each."""
    at_once = max(1, ROWS // len(images))
    parts = []
    for start in range(0, k, at_once):
        draws = min(at_once, k - start)
        rows = entry.judge.draw(images.repeat(draws, *[1] * (images.ndim - 1)), rng)
        parts.append(entry.log_cell - entry.judge.loss(model, *rows).view(draws, len(images)))
    return torch.cat(parts)


def figure(values: Tensor) -> Figure:
    """Mean of values (n,) and its standard error."""
    return Figure(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """For a card or JSON: every figure with its error and what it bounds log P, or the bits, from."""
    bounds = {"elbo": "lower", "iwae": "lower", "gap": None, "elbo_bits": "upper", "iwae_bits": "upper"}
    named = {name: {**getattr(evaluation, name)._asdict(), "bound": side} for name, side in bounds.items()}
    return named | {name: getattr(evaluation, name) for name in ("few_draws", "n", "dim", "k", "seed")}
