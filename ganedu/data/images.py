"""A set of images: bytes in memory, floats in [-1, 1] on demand, on the device that wants them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """Bytes 0..255 -> floats in [-1, 1], same shape and device."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_bytes(x: Tensor) -> Tensor:
    """Floats in [-1, 1] -> bytes 0..255, rounded; values outside are clipped, as a screen would."""
    return x.add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Images:
    """Images as bytes (n, C, H, W), with labels (n,) where there are any."""

    pixels: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8:
            raise ValueError(
                f"pixels: expected uint8 (n, C, H, W), got {self.pixels.dtype} {tuple(self.pixels.shape)}"
            )
        if self.labels is not None and len(self.labels) != len(self.pixels):
            raise ValueError(f"labels: expected {len(self.pixels)}, got {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: slice | Tensor) -> "Images":
        return Images(self.pixels[index], None if self.labels is None else self.labels[index])

    def x(self) -> Tensor:
        """All images as floats (n, C, H, W) in [-1, 1]."""
        return to_float(self.pixels)

    def batches(
        self,
        batch_size: int,
        *,
        rng: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Pairs (x, labels) in batches; shuffled by ``rng`` where one is given.

        Bytes travel to the device and become floats there: a quarter of the traffic.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        n = len(self)
        order = torch.arange(n) if rng is None else torch.randperm(n, generator=rng)
        stop = n - n % batch_size if drop_last else n
        for start in range(0, stop, batch_size):
            rows = order[start : start + batch_size]
            labels = None if self.labels is None else self.labels[rows].to(device)
            yield to_float(self.pixels[rows].to(device)), labels
