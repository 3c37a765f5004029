"""The loop of a classifier: cross entropy, augmented images, one cycle of the learning rate."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.data import Images
from ganedu.rng import generator
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive
from ganedu.training.devices import autocast, check_alone, circumstances
from ganedu.training.files import append_row, resume
from ganedu.training.identity import described
from ganedu.training.steps import check_finite, descend, one_cycle, whole_batches


@dataclass(frozen=True)
class ClassifierRecipe:
    """SGD with Nesterov momentum and one cycle of the learning rate, which rises linearly for
    ``warmup_epochs``, at most half of all, and falls to 0 along half a cosine; flips and shifts by up to 4
    pixels.

    Raises ValueError for what makes no sense.
    """

    epochs: int = 22
    batch_size: int = 256
    learning_rate: float = 0.3
    weight_decay: float = 5e-4
    warmup_epochs: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        if not self.weight_decay >= 0.0:
            raise ValueError(f"weight_decay: expected a number from 0 on, got {self.weight_decay}")
        if not self.warmup_epochs >= 0.0:
            raise ValueError(f"warmup_epochs: expected a number from 0 on, got {self.warmup_epochs}")


def train_classifier(
    net: nn.Module,
    images: Images,
    recipe: ClassifierRecipe,
    folder: Path | str,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
) -> nn.Module:
    """Train ``net`` in place on labelled ``images``; resumes from the last whole epoch.

    ``folder`` gets ``state.safetensors`` and ``loss.csv`` (cross entropy in nats). A run cannot be
    prolonged: its learning rate knows from the first step how long it is.

    Raises FloatingPointError where the loss or a weight is not finite (the last whole epoch is kept), and
    ValueError for images without labels or too few, a ``folder`` with another run (another recipe, images or
    precision), and several processes.
    """
    check_alone("train_classifier")
    folder = Path(folder)
    if images.labels is None:
        raise ValueError("images: a classifier needs labels, got images without")
    count = whole_batches(images, recipe.batch_size)
    device = torch.device(device)
    net = net.to(device, memory_format=torch.channels_last).train()
    weights = {"momentum": 0.9, "nesterov": True, "weight_decay": recipe.weight_decay}
    sgd = torch.optim.SGD(net.parameters(), lr=recipe.learning_rate, **weights)
    parts = dict(net=net, sgd=sgd)
    told = asdict(recipe) | {"precision": precision}
    told |= {name: described(part) for name, part in (("images", images.pixels), ("labels", images.labels))}
    before = resume(folder / "state.safetensors", parts, told, longer=None)
    first, seconds = before.get("epoch", -1) + 1, before.get("seconds", 0.0)

    for epoch in range(first, recipe.epochs):
        started = time.monotonic()
        rng = generator(recipe.seed, epoch)
        total = torch.zeros((), device=device)
        batches = images.batches(recipe.batch_size, rng=rng, device=device, drop_last=True)
        bar = tqdm(
            batches, total=count, desc=f"epoch {epoch + 1}/{recipe.epochs}", disable=not progress, leave=False
        )
        for step, (x, labels) in enumerate(bar):
            sgd.param_groups[0]["lr"] = recipe.learning_rate * one_cycle(
                (epoch + step / count) / recipe.epochs, min(recipe.warmup_epochs / recipe.epochs, 0.5)
            )
            x = flip_and_shift(x, rng).contiguous(memory_format=torch.channels_last)
            with autocast(device, precision):
                loss = cross_entropy(net(x).float(), labels)
            descend(sgd, loss)
            total += loss.detach()
        seconds += time.monotonic() - started
        loss = total.item() / count
        check_finite(
            folder, f"epoch {epoch}", {"the network": loss}, {"the network": net}, {"the network": sgd}
        )
        append_row(folder / "loss.csv", epoch=epoch, loss=loss, seconds=seconds)
        meta = {"epoch": epoch, "seconds": seconds, "recipe": told, **circumstances(precision)}
        checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    return net


def flip_and_shift(x: Tensor, rng: torch.Generator, pixels: int = 4) -> Tensor:
    """Each image mirrored with probability 1/2 and shifted by up to ``pixels``, edges reflected."""
    n, _, height, width = x.shape
    mirrored = (torch.rand(n, generator=rng) < 0.5).to(x.device)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    wide = pad(x, (pixels,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * pixels + 1, (2, n, 1), generator=rng).to(x.device)
    rows = top + torch.arange(height, device=x.device)
    columns = left + torch.arange(width, device=x.device)
    index = torch.arange(n, device=x.device)[:, None, None]
    # Advanced indices around a slice come first: (n, height, width, C).
    return wide[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
