"""The loop of a GAN: the critic's steps and the generator's in turn."""

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.data import Images, to_bytes
from ganedu.gans.pair import GAN
from ganedu.gans.unrolled import check_betas
from ganedu.rng import generator
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive
from ganedu.training.devices import autocast, check_alone, circumstances
from ganedu.training.files import append_row, resume
from ganedu.training.identity import described
from ganedu.training.steps import check_finite, descend, follow, whole_batches

LAST_EPOCHS = 5
GRID = 64


@dataclass(frozen=True)
class GANRecipe:
    """How a GAN is trained: ``n_critic`` steps of D for one of G, whose weights are averaged too, with the
    decay ``ema`` a step. Adam's defaults are DCGAN's (Radford et al. 2016, sec. 4), whose batch is 128.

    Raises ValueError for what makes no sense.
    """

    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    n_critic: int = 1
    ema: float = 0.999
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "n_critic"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        check_betas(self.betas)
        if not 0.0 <= self.ema < 1.0:
            raise ValueError(f"ema: expected a number in [0, 1), got {self.ema}")


def train_gan(
    gan: GAN,
    images: Images,
    objective: ModuleType,
    recipe: GANRecipe,
    folder: Path | str,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
    held: Mapping[str, Any] | None = None,
) -> GAN:
    """Train ``gan`` in place on ``images`` and return it; resumes from the last whole epoch.

    ``objective`` has ``critic_loss(critic, real, fake)`` and ``generator_loss(critic, fake)``.
    ``folder`` gets ``state.safetensors`` (to resume), ``epoch-NN.safetensors`` (the pair of
    that epoch, the last five kept), ``ema.safetensors``, ``loss.csv`` and ``epoch-NN.png``.
    Every epoch shuffles and draws from a generator of its own, so that a resumed run sees the
    numbers of an uninterrupted one. A run goes on with the recipe, images, objective and precision that it
    began with, but ``epochs`` may be more, and with what ``held`` adds, as JSON: sizes of networks, say.

    Raises FloatingPointError where a loss, a weight or what Adam remembers is not finite (the last whole
    epoch is kept), and ValueError for too few images, a ``folder`` with another run, and several processes.
    """
    check_alone("train_gan")
    folder = Path(folder)
    count = whole_batches(images, recipe.batch_size, recipe.n_critic)
    device = torch.device(device)
    # A run that was interrupted while the generator moved has left the critic frozen.
    critic = gan.discriminator.to(device, memory_format=torch.channels_last).train().requires_grad_(True)
    maker = gan.generator.to(device, memory_format=torch.channels_last).train()
    ema = copy.deepcopy(maker).requires_grad_(False)
    rates = {"lr": recipe.learning_rate, "betas": recipe.betas}
    critic_steps = torch.optim.Adam(critic.parameters(), **rates)
    maker_steps = torch.optim.Adam(maker.parameters(), **rates)
    parts = dict(generator=maker, discriminator=critic, ema=ema, d_adam=critic_steps, g_adam=maker_steps)
    told = asdict(recipe) | {"precision": precision, **dict(held or {})}
    told |= {"objective": described(objective), "images": described(images.pixels)}
    before = resume(folder / "state.safetensors", parts, told)
    first, seconds = before.get("epoch", -1) + 1, before.get("seconds", 0.0)

    for epoch in range(first, recipe.epochs):
        started = time.monotonic()
        rng = generator(recipe.seed, epoch)
        noise = generator(recipe.seed, epoch, 1, device=device)
        losses = torch.zeros(2, device=device)
        batches = images.batches(recipe.batch_size, rng=rng, device=device, drop_last=True)
        bar = tqdm(
            batches, total=count, desc=f"epoch {epoch + 1}/{recipe.epochs}", disable=not progress, leave=False
        )
        for step, (real, _) in enumerate(bar):
            real = real.contiguous(memory_format=torch.channels_last)
            with autocast(device, precision):
                fake = maker(gan.prior(len(real), noise))
                loss_d = objective.critic_loss(critic, real, fake.detach())
            descend(critic_steps, loss_d)
            losses[0] += loss_d.detach()
            if (step + 1) % recipe.n_critic:
                continue
            critic.requires_grad_(False)
            with autocast(device, precision):
                loss_g = objective.generator_loss(critic, fake)
            descend(maker_steps, loss_g)
            critic.requires_grad_(True)
            losses[1] += loss_g.detach()
            follow(ema, maker, recipe.ema)
            if (step + 1) // recipe.n_critic % 50 == 1:
                bar.set_postfix(d=f"{loss_d.item():.3f}", g=f"{loss_g.item():.3f}")
        seconds += time.monotonic() - started
        loss_d, loss_g = (losses / torch.tensor([count, count // recipe.n_critic], device=device)).tolist()
        losses = {"the discriminator": loss_d, "the generator": loss_g}
        networks = {"the discriminator": critic, "the generator": maker}
        adams = {"the discriminator": critic_steps, "the generator": maker_steps}
        check_finite(folder, f"epoch {epoch}", losses, networks, adams)
        append_row(folder / "loss.csv", epoch=epoch, d=loss_d, g=loss_g, seconds=seconds)
        _draw_grid(folder / f"epoch-{epoch:02d}.png", maker, gan, recipe.seed, device)
        pair = checkpoints.pack(generator=maker, discriminator=critic)
        checkpoints.save(folder / f"epoch-{epoch:02d}.safetensors", pair, epoch=epoch, seconds=seconds)
        checkpoints.save(folder / "ema.safetensors", checkpoints.pack(generator=ema), epoch=epoch)
        (folder / f"epoch-{epoch - LAST_EPOCHS:02d}.safetensors").unlink(missing_ok=True)
        # Last, because it says that the epoch is whole.
        meta = {"epoch": epoch, "seconds": seconds, "recipe": told, **circumstances(precision)}
        checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    return gan


@torch.no_grad()
def _draw_grid(path: Path, maker: nn.Module, gan: GAN, seed: int, device: torch.device) -> None:
    """The same 64 latent points after every epoch, in eval mode, as the samplers will see them."""
    from PIL import Image

    maker.eval()
    x = to_bytes(maker(gan.prior(GRID, generator(seed, -1, device=device))).float()).cpu()
    maker.train()
    side = math.isqrt(GRID)
    n, channels, height, width = x.shape
    sheet = x.reshape(side, side, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(side * height, side * width, channels).squeeze(-1).numpy()
    part = path.with_name(path.name + ".part")
    Image.fromarray(sheet).save(part, format="PNG")
    part.replace(path)
