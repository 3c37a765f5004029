"""Measured figures beside published ones."""

from collections.abc import Mapping, Sequence

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

Estimate = tuple[float, float]  # and half of its interval; 0 where none is known


def by_epoch(
    epochs: Sequence[int],
    acceptance: Mapping[str, Sequence[float]],
    gains: Mapping[str, Sequence[Estimate]],
    ylabel: str,
) -> Figure:
    """Acceptance rates by epoch, and beside them ``gains`` with their intervals, where known."""
    fig = Figure(10, 3.8)
    left, right = fig.subplots(1, 2)
    for (name, rates), colour, dash, mark in zip(acceptance.items(), LINES, DASHES, "os^D", strict=False):
        left.plot(epochs, rates, color=colour, linestyle=dash, marker=mark, markersize=4, label=name)
    left.set_ylabel("acceptance")
    left.set_ylim(-0.02, 1.02)
    shift = 0.16 / max(1, len(gains) - 1)
    for i, ((name, values), colour, mark) in enumerate(zip(gains.items(), LINES, "os^D", strict=False)):
        places = [epoch + shift * (i - (len(gains) - 1) / 2) for epoch in epochs]
        means, halves = zip(*values, strict=True)
        style = {"color": colour, "marker": mark, "markersize": 4, "linestyle": "none", "capsize": 3}
        right.errorbar(places, means, yerr=halves if any(halves) else None, label=name, **style)
    right.axhline(0, color=OKABE_ITO["black"], linewidth=0.8)
    right.set_ylabel(ylabel)
    for axis in (left, right):
        axis.set_xticks(epochs)
        axis.set_xlabel("epoch of training")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return fig


def ranking(figures: Mapping[str, float], xlabel: str, reference: tuple[str, float]) -> Figure:
    """Bars on a log scale, in the order given, and a named vertical line."""
    fig = Figure(7.2, 0.6 + 0.32 * len(figures))
    axis = fig.subplots()
    axis.barh(range(len(figures)), list(figures.values()), color=LINES[0], height=0.7)
    for row, value in enumerate(figures.values()):
        axis.annotate(f"{value:.0f}", (value, row), xytext=(3, 0), textcoords="offset points", va="center")
    name, level = reference
    axis.axvline(level, color=LINES[1], linestyle="--", label=name)
    axis.set_xscale("log")
    axis.set_xlim(1.0, 2 * max(figures.values()))
    axis.set_yticks(range(len(figures)), list(figures))
    axis.invert_yaxis()
    axis.set_xlabel(xlabel)
    axis.spines[["top", "right"]].set_visible(False)
    fig.legend(fontsize=8, loc="outside upper right")
    return fig
