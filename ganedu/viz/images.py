"""Pictures of pictures: tensors in [-1, 1] in, one figure out."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ganedu.viz.figure import Figure, panels


def grid(x: Tensor, title: str | None = None, columns: int | None = None) -> Figure:
    """Images (n, C, H, W) in [-1, 1] as a near-square grid, row by row."""
    fig, (axis,) = panels(1, 4.0, 4.3)
    _show(axis, tile(x, columns), title)
    return fig


def compare(sets: Mapping[str, Tensor], columns: int | None = None, across: int = 3) -> Figure:
    """One titled grid a set, side by side and ``across`` to a row; each set is (n, C, H, W) in [-1, 1]."""
    if not sets:
        raise ValueError("sets: expected at least one set of images, got none")
    fig, axes = panels(len(sets), 3.2, 3.5, columns=across)
    for axis, (title, x) in zip(axes, sets.items(), strict=True):
        _show(axis, tile(x, columns), title)
    return fig


def strip(x_trace: Tensor, steps: Sequence[int] | None = None, title: str | None = None) -> Figure:
    """Images along chains: x_trace (draws, chains, C, H, W), one row a chain, time to the right.

    ``steps`` labels the draws, e.g. with the number of the step after which each was taken.
    """
    if x_trace.ndim != 5:
        raise ValueError(f"x_trace: expected (draws, chains, C, H, W), got shape {tuple(x_trace.shape)}")
    draws, chains, _, height, width = x_trace.shape
    steps = range(draws) if steps is None else steps
    if len(steps) != draws:
        raise ValueError(f"steps: expected one label for each of {draws} draws, got {len(steps)}")
    fig = Figure(0.72 * draws + 0.7, 0.72 * chains + 0.8)
    axis = fig.subplots()
    _show(axis, tile(x_trace.transpose(0, 1).flatten(0, 1), columns=draws), title)
    axis.set_axis_on()
    axis.spines[:].set_visible(False)
    axis.set_xticks([(width + 1) * (k + 0.5) for k in range(draws)], [str(step) for step in steps])
    axis.set_yticks([(height + 1) * (i + 0.5) for i in range(chains)], [str(i) for i in range(chains)])
    axis.tick_params(length=0)
    axis.set_xlabel("step")
    axis.set_ylabel("chain")
    return fig


def tile(x: Tensor, columns: int | None = None) -> np.ndarray:
    """(n, C, H, W) in [-1, 1], C = 1 or 3 -> one picture (rows (H+1) + 1, columns (W+1) + 1, 3) in [0, 1].

    Images are set row by row on white, one pixel apart; ``columns`` defaults to ceil(sqrt(n)).
    Values outside [-1, 1] and NaN raise ValueError: a plot must not hide them.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.shape[0] == 0:
        raise ValueError(f"x: expected images (n, 1 or 3, H, W), got shape {tuple(x.shape)}")
    x = x.detach().to("cpu", torch.float32)
    if not (x.abs() <= 1 + 1e-4).all():
        raise ValueError(f"x: expected values in [-1, 1], got {x.min():.3g} to {x.max():.3g}")
    n, _, height, width = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    page = torch.ones(rows * columns, 3, height + 1, width + 1)
    page[:n, :, 1:, 1:] = ((x + 1) / 2).clamp(0, 1)
    page = page.reshape(rows, columns, 3, height + 1, width + 1)
    page = page.permute(0, 3, 1, 4, 2).reshape(rows * (height + 1), columns * (width + 1), 3)
    return np.pad(page.numpy(), ((0, 1), (0, 1), (0, 0)), constant_values=1.0)


def _show(axis, picture: np.ndarray, title: str | None) -> None:
    height, width, _ = picture.shape
    axis.imshow(picture, extent=(0, width, height, 0), interpolation="nearest")
    axis.set_axis_off()
    if title:
        axis.set_title(title, fontsize=10)
