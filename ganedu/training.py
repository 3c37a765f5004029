"""The loops: the only place with optimisers, checkpoints, precision and devices."""

import copy
import csv
import math
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.data import Images, to_bytes
from ganedu.gans.pair import GAN
from ganedu.rng import generator

LAST_EPOCHS = 5
GRID = 64


@dataclass(frozen=True)
class GANRecipe:
    """How a GAN is trained; the defaults are DCGAN's (Radford et al. 2016, sec. 4)."""

    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    n_critic: int = 1
    ema: float = 0.999
    seed: int = 0


@dataclass(frozen=True)
class ClassifierRecipe:
    """SGD with Nesterov momentum and one cosine cycle; flips and shifts by up to 4 pixels."""

    epochs: int = 22
    batch_size: int = 256
    learning_rate: float = 0.3
    weight_decay: float = 5e-4
    warmup_epochs: float = 3.0
    seed: int = 0


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """``float32`` or ``bfloat16``: weights and losses stay in float32 either way."""
    if precision not in {"float32", "bfloat16"}:
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def circumstances(precision: str) -> dict[str, str]:
    """What a training time depends on, for the card: arithmetic, processor, threads, torch."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return {"precision": precision, "machine": machine}


def train_gan(
    gan: GAN,
    images: Images,
    objective: ModuleType,
    recipe: GANRecipe,
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
) -> GAN:
    """Train ``gan`` in place on ``images`` and return it; resumes from the last whole epoch.

    ``objective`` has ``critic_loss(critic, real, fake)`` and ``generator_loss(critic, fake)``.
    ``folder`` gets ``state.safetensors`` (to resume), ``epoch-NN.safetensors`` (the pair of
    that epoch, the last five kept), ``ema.safetensors``, ``loss.csv`` and ``epoch-NN.png``.
    Every epoch shuffles and draws from a generator of its own, so that a resumed run sees the
    numbers of an uninterrupted one.

    Raises FloatingPointError where a loss is not finite (the last whole epoch is kept), and
    ValueError for too few images or a ``folder`` that holds a run with another recipe.
    """
    count = _check_size(images, recipe.batch_size, recipe.n_critic)
    device = torch.device(device)
    # A run that was interrupted while the generator moved has left the critic frozen.
    critic = gan.discriminator.to(device, memory_format=torch.channels_last).train().requires_grad_(True)
    maker = gan.generator.to(device, memory_format=torch.channels_last).train()
    ema = copy.deepcopy(maker).requires_grad_(False)
    rates = {"lr": recipe.learning_rate, "betas": recipe.betas}
    critic_steps = torch.optim.Adam(critic.parameters(), **rates)
    maker_steps = torch.optim.Adam(maker.parameters(), **rates)
    parts = dict(generator=maker, discriminator=critic, ema=ema, d_adam=critic_steps, g_adam=maker_steps)
    first, seconds = _resume(folder / "state.safetensors", parts, recipe)

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
            _descend(critic_steps, loss_d)
            losses[0] += loss_d.detach()
            if (step + 1) % recipe.n_critic:
                continue
            critic.requires_grad_(False)
            with autocast(device, precision):
                loss_g = objective.generator_loss(critic, fake)
            _descend(maker_steps, loss_g)
            critic.requires_grad_(True)
            losses[1] += loss_g.detach()
            _follow(ema, maker, recipe.ema)
            if step % 50 == 0:
                bar.set_postfix(d=f"{loss_d.item():.3f}", g=f"{loss_g.item():.3f}")
        seconds += time.monotonic() - started
        loss_d, loss_g = (losses / torch.tensor([count, count // recipe.n_critic], device=device)).tolist()
        _check_losses(epoch, folder, d=loss_d, g=loss_g)
        _append(folder / "loss.csv", epoch=epoch, d=loss_d, g=loss_g, seconds=seconds)
        _draw_grid(folder / f"epoch-{epoch:02d}.png", maker, gan, recipe.seed, device)
        pair = checkpoints.pack(generator=maker, discriminator=critic)
        checkpoints.save(folder / f"epoch-{epoch:02d}.safetensors", pair, epoch=epoch, seconds=seconds)
        checkpoints.save(folder / "ema.safetensors", checkpoints.pack(generator=ema), epoch=epoch)
        (folder / f"epoch-{epoch - LAST_EPOCHS:02d}.safetensors").unlink(missing_ok=True)
        # Last, because it says that the epoch is whole.
        meta = {"epoch": epoch, "seconds": seconds, "recipe": asdict(recipe), **circumstances(precision)}
        checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    return gan


def train_classifier(
    net: nn.Module,
    images: Images,
    recipe: ClassifierRecipe,
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
) -> nn.Module:
    """Train ``net`` in place on labelled ``images``; resumes from the last whole epoch.

    ``folder`` gets ``state.safetensors`` and ``loss.csv`` (cross entropy in nats).
    """
    if images.labels is None:
        raise ValueError("images: a classifier needs labels, got images without")
    count = _check_size(images, recipe.batch_size)
    device = torch.device(device)
    net = net.to(device, memory_format=torch.channels_last).train()
    weights = {"momentum": 0.9, "nesterov": True, "weight_decay": recipe.weight_decay}
    sgd = torch.optim.SGD(net.parameters(), lr=recipe.learning_rate, **weights)
    parts = dict(net=net, sgd=sgd)
    first, seconds = _resume(folder / "state.safetensors", parts, recipe)

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
                (epoch + step / count) / recipe.epochs, recipe.warmup_epochs / recipe.epochs
            )
            x = flip_and_shift(x, rng).contiguous(memory_format=torch.channels_last)
            with autocast(device, precision):
                loss = cross_entropy(net(x).float(), labels)
            _descend(sgd, loss)
            total += loss.detach()
        seconds += time.monotonic() - started
        loss = total.item() / count
        _check_losses(epoch, folder, loss=loss)
        _append(folder / "loss.csv", epoch=epoch, loss=loss, seconds=seconds)
        meta = {"epoch": epoch, "seconds": seconds, "recipe": asdict(recipe), **circumstances(precision)}
        checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    return net


def one_cycle(progress: float, warmup: float) -> float:
    """Learning-rate factor in [0, 1]: linear up to ``warmup``, then half a cosine down to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))


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


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@torch.no_grad()
def _follow(ema: nn.Module, live: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * live; BatchNorm's counts and averages are copied."""
    for slow, fast in zip(ema.parameters(), live.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - decay)
    for slow, fast in zip(ema.buffers(), live.buffers(), strict=True):
        slow.copy_(fast)


def _resume(path: Path, parts: dict, recipe) -> tuple[int, float]:
    """(first epoch to train, seconds so far); fills ``parts`` from ``path`` where it exists."""
    if not path.exists():
        return 0, 0.0
    tensors, meta = checkpoints.load(path)
    then = {k: v for k, v in meta["recipe"].items() if k != "epochs"}
    now = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(recipe).items() if k != "epochs"}
    if then != now:
        raise ValueError(
            f"{path.parent}: holds a run with {then}, not {now}; remove it or name another folder"
        )
    checkpoints.unpack(tensors, **parts)
    return meta["epoch"] + 1, meta["seconds"]


def _check_losses(epoch: int, folder: Path, **losses: float) -> None:
    if not all(math.isfinite(loss) for loss in losses.values()):
        shown = ", ".join(f"{name} {loss}" for name, loss in losses.items())
        raise FloatingPointError(
            f"epoch {epoch}: the loss is not finite ({shown}); the epochs before it are kept in {folder}. "
            "Lower the learning rate and train in another folder"
        )


def _check_size(images: Images, batch_size: int, batches: int = 1) -> int:
    """The number of whole batches. Raises ValueError where there are fewer than ``batches``."""
    count = len(images) // batch_size
    if count < batches:
        raise ValueError(f"images: expected at least {batches * batch_size}, got {len(images)}")
    return count


def _append(path: Path, **row: float) -> None:
    """Add a row; one of the same epoch, left by a run that was cut short after it, is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if int(old["epoch"]) < row["epoch"]]
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([*rows, row])
    part.replace(path)


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
