"""What every loop does at a step: descend, average, and change the learning rate."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ganedu.data import Images

LOOK = 50  # steps between two looks at the loss, each of which waits for the device


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def remembers_finite_numbers(optimiser: torch.optim.Optimizer) -> bool:
    """Whether all that it remembers is finite. Adam that has met a gradient whose square is infinite moves
    its weight no more, and nothing else shows it: weights and losses stay finite."""
    kept = (value for state in optimiser.state.values() for value in state.values())
    return all(bool(value.isfinite().all()) for value in kept if isinstance(value, Tensor))


def check_finite(
    folder: Path,
    when: str,
    losses: Mapping[str, float],
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Raise FloatingPointError, which names all that is broken, before it is kept in ``folder``."""
    broken = [f"the loss of {name} is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
    broken += [
        f"a weight of {name} is not finite"
        for name, net in networks.items()
        if not all(torch.isfinite(weight).all() for weight in net.parameters())
    ]
    broken += [
        f"the optimiser of {name} remembers a number that is not finite"
        for name, optimiser in optimisers.items()
        if not remembers_finite_numbers(optimiser)
    ]
    if broken:
        raise FloatingPointError(
            f"{when}: {'; '.join(broken)}; the last checkpoint is kept in {folder}. "
            "Train with a lower learning rate in another folder"
        )


@torch.no_grad()
def follow(ema: nn.Module, live: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * live; buffers are copied.

    So BatchNorm's averages in ``ema`` are of the live network's activations, not of its own: as a rule a
    good start. ``torch.optim.swa_utils.update_bn(batches, ema)`` finds its own.
    """
    for slow, fast in zip(ema.parameters(), live.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - decay)
    for slow, fast in zip(ema.buffers(), live.buffers(), strict=True):
        slow.copy_(fast)


def one_cycle(progress: float, warmup: float) -> float:
    """Learning-rate factor in [0, 1]: linear up to ``warmup``, then half a cosine down to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))


def whole_batches(images: Images, batch_size: int, batches: int = 1) -> int:
    """The number of whole batches. Raises ValueError where there are fewer than ``batches``."""
    count = len(images) // batch_size
    if count < batches:
        raise ValueError(f"images: expected at least {batches * batch_size}, got {len(images)}")
    return count
