"""Is D to be believed? Reliability diagrams, and what samplers make of 25 modes when it is not."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels

MARKS = "os^Dv*"


class Curve(Protocol):
    """Per bin (k,): the mean predicted probability, the observed share of real, how many there are."""

    predicted: Tensor
    observed: Tensor
    count: Tensor


def reliability(curves: Mapping[str, Curve], bins: int, title: str | None = None) -> Figure:
    """Observed against predicted share of real, one line a name, beside how often each is predicted.

    ``bins``: into how many intervals of equal length the predictions were sorted.
    """
    fig = Figure(9.0, 3.9)
    left, right = fig.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=OKABE_ITO["black"], linewidth=1, linestyle=":", label="calibrated")
    for (name, curve), colour, dash, mark in zip(curves.items(), LINES, DASHES, MARKS, strict=False):
        predicted, observed, count = (
            part.detach().cpu() for part in (curve.predicted, curve.observed, curve.count)
        )
        look = {"color": colour, "linestyle": dash, "marker": mark, "markersize": 4, "label": name}
        left.plot(predicted, observed, **look)
        right.plot(predicted, bins * count / count.sum(), **look)
    left.set_xlabel("predicted probability of real")
    left.set_ylabel("observed share of real")
    left.set_xlim(-0.02, 1.02)
    left.set_ylim(-0.02, 1.02)
    left.set_aspect("equal")
    right.set_xlabel("predicted probability of real")
    right.set_ylabel("how often (1: as if uniform)")
    right.set_xlim(-0.02, 1.02)
    right.set_ylim(bottom=0)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    # Above the plot, where no curve can run into it.
    left.legend(fontsize=8, loc="lower left", bbox_to_anchor=(-0.2, 1), ncols=2, frameon=False)
    if title:
        right.set_title(title, fontsize=10)
    return fig


def modes(
    points: Mapping[str, Tensor],
    shares: Mapping[str, Tensor],
    fair: float,
    temperatures: Sequence[float],
    accepted: Mapping[str, Sequence[float]],
    now: float,
) -> Figure:
    """Draws (n, 2) in a panel each; the share of each mode; acceptance against the temperature T.

    points     title -> draws
    shares     name -> (k,) of the modes, in an order that all names share
    fair       the share that each mode should have
    accepted   name -> one rate for each of ``temperatures``, of which ``now`` is marked
    """
    fig = Figure(3.0 * len(points) + 4.2, 3.9)
    fig.set_layout_engine("none")  # which costs half the drawing, and nothing here has to find its place
    place = {"left": 0.055, "right": 0.99, "bottom": 0.12, "top": 0.91, "wspace": 0.25, "hspace": 0.65}
    grid = fig.add_gridspec(2, len(points) + 1, width_ratios=[3.0] * len(points) + [4.2], **place)
    for k, ((title, x), colour) in enumerate(zip(points.items(), LINES[1:], strict=False)):
        _scatter(fig.add_subplot(grid[:, k]), title, x, colour)
    _shares(fig.add_subplot(grid[0, -1]), shares, fair)
    _rates(fig.add_subplot(grid[1, -1]), temperatures, accepted, now)
    return fig


def on_grid(points: Mapping[str, Tensor]) -> Figure:
    """Draws (n, 2) near the grid of 25 Gaussians, a panel a name."""
    fig, axes = panels(len(points), 3.4, 3.6)
    for axis, (title, x), colour in zip(axes, points.items(), LINES, strict=False):
        _scatter(axis, title, x, colour)
    return fig


def _scatter(axis, title: str, x: Tensor, colour: str) -> None:
    axis.scatter(*x.detach().cpu().T, s=2, color=colour, linewidths=0)
    axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="x1", ylabel="x2")
    axis.set_title(title, fontsize=10)


def _shares(axis, shares: Mapping[str, Tensor], fair: float) -> None:
    for (name, share), colour, mark in zip(shares.items(), LINES, MARKS, strict=False):
        look = {"color": colour, "marker": mark, "markersize": 3, "linewidth": 1, "label": name}
        axis.plot(range(1, 1 + len(share)), share.detach().cpu(), **look)
    axis.axhline(fair, color=OKABE_ITO["black"], linestyle=":", linewidth=1, label="data")
    axis.set_xlabel("mode, from the GAN's rarest to its commonest", fontsize=8)
    axis.set_ylabel("share of draws", fontsize=8)
    axis.set_ylim(bottom=0)
    _finish(axis)


def _rates(axis, temperatures: Sequence[float], accepted: Mapping[str, Sequence[float]], now: float) -> None:
    for (name, rates), colour, mark in zip(accepted.items(), LINES[1:], MARKS[1:], strict=False):
        axis.plot(temperatures, rates, color=colour, marker=mark, markersize=3, linewidth=1, label=name)
    axis.axvline(now, color=OKABE_ITO["black"], linewidth=1, linestyle="--", label="here")
    axis.set(xscale="log", yscale="log")
    axis.set_xticks(list(temperatures))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.minorticks_off()
    axis.set_xlabel("T: the samplers are given T·d", fontsize=8)
    axis.set_ylabel("share accepted", fontsize=8)
    _finish(axis)


def _finish(axis) -> None:
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    # Above the plot, where it hides nothing.
    axis.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
