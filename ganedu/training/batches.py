"""Which rows and which noise a step sees: functions of the seed and the step, and of nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

from ganedu.rng import draw_seed, generator

Stream = Callable[[int, torch.Generator], Tensor]

# What a run's random numbers are for; each purpose has generators of its own.
ORDER, STREAM, NOISE, HELD_OUT, DROPOUT = range(5)


def batches(data: Tensor | Stream, batch_size: int, seed: int) -> Callable[[int], Tensor]:
    """The function from a step to its rows (batch_size, ...).

    Of a tensor (n, ...) every epoch is another permutation, less the n % batch_size rows that make
    no whole batch; a stream ``(n, rng) -> (n, ...)`` makes fresh rows for every step.

    Raises ValueError for a tensor that holds no batch, for a stream that makes another number of rows, for
    numbers that are not finite, and for what is neither.
    """
    if not isinstance(data, Tensor):
        if not callable(data):
            raise ValueError(
                f"data: expected a tensor (n, ...) or (n, rng) -> rows, got {type(data).__name__}"
            )
        return lambda step: fresh(data, batch_size, generator(seed, STREAM, step))
    check_rows("data", data)
    n = len(data)
    if n < batch_size:
        raise ValueError(f"data: expected at least one batch of {batch_size} rows, got {n}")

    @lru_cache(1)
    def order(epoch: int) -> Tensor:
        return torch.randperm(n, generator=generator(seed, ORDER, epoch)).to(data.device)

    def batch(step: int) -> Tensor:
        epoch, at = divmod(step, n // batch_size)
        return data[order(epoch)[at * batch_size : (at + 1) * batch_size]]

    return batch


def check_rows(name: str, rows: Tensor) -> None:
    """Raise ValueError for what is no tensor (n, ...) of finite numbers."""
    if rows.ndim < 1:
        raise ValueError(f"{name}: expected rows (n, ...), got a single number")
    if rows.is_floating_point() and not rows.isfinite().all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity among them")


def fresh(stream: Stream, n: int, rng: torch.Generator) -> Tensor:
    """n rows of a stream; ValueError where it makes something else."""
    rows = stream(n, rng)
    if not isinstance(rows, Tensor) or rows.shape[:1] != (n,):
        got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise ValueError(f"data: expected a stream to make {n} rows, got {got}")
    check_rows("data", rows)
    return rows


def noise(seed: int, step: int, device: torch.device) -> torch.Generator:
    """What a training step draws from."""
    return generator(seed, NOISE, step, device=device)


@contextmanager
def global_generators_kept(device: torch.device) -> Iterator[None]:
    """Afterwards torch's global generators, which a network's dropout draws from, are where they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_dropout(seed: int, step: int, rank: int) -> None:
    """Make what the networks draw in train mode depend on the step, and on the process, alone."""
    torch.manual_seed(draw_seed(generator(seed, DROPOUT, step, rank)))


def held_out_batches(
    data: Tensor, batch_size: int, seed: int, device: torch.device
) -> Iterator[tuple[Tensor, torch.Generator]]:
    """All of ``data`` in its order, each batch with a generator that is the same at every call."""
    for i, x in enumerate(data.split(batch_size)):
        yield x.to(device), generator(seed, HELD_OUT, i, device=device)
