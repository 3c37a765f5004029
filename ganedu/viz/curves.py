"""Functions of one number, measurements at several settings, and many curves in a panel."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels


def functions(
    curves: Mapping[str, Callable[[Tensor], Tensor]],
    interval: tuple[float, float],
    xlabel: str,
    ylabel: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """Each of ``curves``, (n,) -> (n,), over ``interval``; ``references`` are labelled horizontal lines."""
    fig = Figure(5.6, 3.6)
    axis = fig.subplots()
    x = torch.linspace(*interval, 300)
    for (name, curve), colour, dash in zip(curves.items(), LINES, DASHES, strict=False):
        axis.plot(x, curve(x).detach(), color=colour, linestyle=dash, label=name)
    for (name, level), dash in zip((references or {}).items(), DASHES[2:], strict=False):
        axis.axhline(level, color=OKABE_ITO["black"], linestyle=dash, linewidth=1, label=name)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8)
    return fig


def sweep(
    values: Mapping[str, Tensor],
    settings: Tensor,
    xlabel: str,
    ylabel: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """What was measured at each of ``settings`` (n,), name -> (n,), against them on a logarithmic scale.

    ``references`` are labelled horizontal lines.
    """
    fig = Figure(5.6, 3.6)
    axis = fig.subplots()
    for (name, value), colour, dash, mark in zip(values.items(), LINES, DASHES, "os^Dv*", strict=False):
        if value.shape != settings.shape:
            raise ValueError(f"{name}: expected shape {tuple(settings.shape)}, got {tuple(value.shape)}")
        shown = {"color": colour, "linestyle": dash, "marker": mark, "markersize": 4, "label": name}
        axis.plot(settings, value.detach().cpu(), **shown)
    for (name, level), dash in zip((references or {}).items(), DASHES[2:], strict=False):
        axis.axhline(level, color=OKABE_ITO["black"], linestyle=dash, linewidth=1, label=name)
    axis.set_xscale("log")
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return fig


def bundles(curves: Mapping[str, Tensor], x: Tensor, xlabel: str, ylabel: str, points: Tensor) -> Figure:
    """One titled panel a name: its curves (k, n), each thin, against ``x`` (n,), and ``points`` (m, 2)."""
    fig, axes = panels(len(curves), 3.6, 3.0, sharey=True)
    for axis, (title, lines) in zip(axes, curves.items(), strict=True):
        if lines.ndim != 2 or lines.shape[1:] != x.shape:
            raise ValueError(f"{title}: expected curves (k, {len(x)}), got shape {tuple(lines.shape)}")
        axis.plot(x, lines.detach().cpu().T, color=OKABE_ITO["blue"], alpha=0.3, linewidth=0.8)
        marks = {"color": OKABE_ITO["vermilion"], "marker": "o", "linestyle": "none", "zorder": 3}
        axis.plot(*points.T, **marks)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(ylabel)
    return fig
