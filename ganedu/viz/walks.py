"""Where chains go: a particle in the plane, a trajectory in phase space, flows between a few states."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganedu.viz.density import Extent, LogDensity, draw_contours
from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

PATH, TARGET = OKABE_ITO["vermilion"], OKABE_ITO["blue"]


def particle(
    path: Tensor,
    log_density: LogDensity,
    extent: Extent,
    title: str,
    cost: int = 1,
) -> Figure:
    """One chain, ``path`` (n, 2): on the left its way over contours of ``log_density`` (m, 2) -> (m,), on
    the right its first coordinate against what it has paid, ``cost`` evaluations a step."""
    if path.ndim != 2 or path.shape[1] != 2 or not len(path):
        raise ValueError(f"path: expected (n, 2), n > 0, got shape {tuple(path.shape)}")
    path = path.detach().cpu()
    fig = Figure(9.6, 4.0)
    plane, trace = fig.subplots(1, 2, width_ratios=(1.25, 1))
    draw_contours(plane, log_density, extent, TARGET, "-")
    plane.set_xlim(extent[:2])
    plane.set_ylim(extent[2:])
    plane.plot(*path.T, color=PATH, linewidth=0.8, alpha=0.5, marker=".", markersize=3)
    plane.plot(*path[0], color=OKABE_ITO["black"], marker="s", markersize=6, linestyle="none", label="start")
    plane.plot(*path[-1], color=PATH, marker="o", markersize=9, linestyle="none", label="particle")
    plane.plot([], [], color=TARGET, label="target")
    plane.set_xlabel("x1")
    plane.set_ylabel("x2")
    _legend(plane)
    trace.plot(cost * torch.arange(len(path)), path[:, 0], color=PATH, linewidth=0.9)
    trace.set_ylim(extent[:2])
    trace.set_xlabel("evaluations of the target")
    trace.set_ylabel("x1 of the particle")
    trace.spines[["top", "right"]].set_visible(False)
    fig.suptitle(title, fontsize=11)
    return fig


def orbit(z: Tensor, momentum: Tensor, energy: Tensor, title: str) -> Figure:
    """A trajectory of N(0, 1), all (n,): on the left (z, momentum) beside the exact circle through its
    start, on the right what its ``energy`` has gained, against the step."""
    if not z.shape == momentum.shape == energy.shape or z.ndim != 1:
        shapes = [tuple(x.shape) for x in (z, momentum, energy)]
        raise ValueError(f"z, momentum, energy: expected the same shape (n,), got {shapes}")
    fig = Figure(9.0, 4.0)
    plane, error = fig.subplots(1, 2)
    radius, angle = math.hypot(float(z[0]), float(momentum[0])), torch.linspace(0, 2 * math.pi, 200)
    plane.plot(radius * angle.cos(), radius * angle.sin(), color=TARGET, label="exact motion")
    plane.plot(z, momentum, color=PATH, linewidth=0.7, marker="o", markersize=4, label="leapfrog")
    plane.plot(z[0], momentum[0], color=OKABE_ITO["black"], marker="s", linestyle="none", label="start")
    plane.set_xlim(-2.5 * radius, 2.5 * radius)
    plane.set_ylim(-2.5 * radius, 2.5 * radius)
    plane.set_aspect("equal")
    plane.set_xlabel("position z")
    plane.set_ylabel("momentum r")
    _legend(plane)
    error.plot(range(len(energy)), energy - energy[0], color=PATH, marker="o", markersize=4, linewidth=0.7)
    error.axhline(0, color=TARGET, linewidth=1)
    gain = energy - energy[0]
    if float(gain.max()) > 10.0:  # beyond the step size at which it explodes
        error.set_yscale("symlog", linthresh=1.0)
    error.set_ylim(min(-0.05, 1.2 * float(gain.min())), max(0.25, 1.2 * float(gain.max())))
    error.set_xlabel("leapfrog step")
    error.set_ylabel("energy gained, H - H at the start")
    error.spines[["top", "right"]].set_visible(False)
    fig.suptitle(title, fontsize=11)
    return fig


def flows(matrices: Mapping[str, Tensor]) -> Figure:
    """Each of ``matrices`` (k, k) as a heat map with its numbers in percent: in row i and column j what
    moves from state i to state j in one step."""
    sizes = {name: matrix.shape for name, matrix in matrices.items()}
    for name, size in sizes.items():
        if len(size) != 2 or size[0] != size[1]:
            raise ValueError(f"{name}: expected a matrix (k, k), got shape {tuple(size)}")
    fig = Figure(3.4 * len(matrices), 3.7)
    axes = fig.subplots(1, len(matrices), squeeze=False)[0]
    most = max(float(matrix.max()) for matrix in matrices.values())
    for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
        axis.imshow(matrix.detach().cpu().numpy(), cmap="Blues", vmin=0.0, vmax=1.6 * most)
        states = range(len(matrix))
        for i in states:
            for j in states:
                axis.text(j, i, f"{100 * float(matrix[i, j]):.1f}", ha="center", va="center", fontsize=8)
        axis.set_xticks(states, [str(j + 1) for j in states])
        axis.set_yticks(states, [str(i + 1) for i in states])
        axis.set_xlabel("to state")
        axis.set_ylabel("from state")
        axis.set_title(name, fontsize=10)
    return fig


def decays(
    values: Mapping[str, Tensor], ylabel: str, bounds: Sequence[str] = (), lowest: float = 1e-6
) -> Figure:
    """Each of ``values`` (n,) against the step 0, 1, ... on a log scale from ``lowest``; ``bounds`` names
    those that are drawn as black lines without marks."""
    fig = Figure(6.4, 3.6)
    axis = fig.subplots()
    for (name, value), colour, dash in zip(values.items(), LINES, DASHES, strict=False):
        if value.ndim != 1:
            raise ValueError(f"{name}: expected (n,), got shape {tuple(value.shape)}")
        bound = name in bounds
        style = {"color": OKABE_ITO["black"]} if bound else {"color": colour, "marker": "o", "markersize": 3}
        axis.plot(range(len(value)), value, linestyle=dash, linewidth=1.2, label=name, **style)
    axis.set_yscale("log")
    axis.set_ylim(bottom=lowest)
    axis.set_xlabel("step")
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    _legend(axis)
    return fig


def _legend(axis: Axes) -> None:
    """Above the plot, where it hides nothing."""
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
