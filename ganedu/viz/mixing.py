"""What a step size does to a chain, and what chains say about one another."""

from collections.abc import Callable, Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

BLACK, HERE = OKABE_ITO["black"], OKABE_ITO["vermilion"]


def optimum(
    step_size: Tensor,
    acceptance: Tensor,
    ess: Tensor,
    limit: Tensor,
    best: float,
    at: int,
    names: tuple[str, str],
    title: str,
) -> Figure:
    """A kernel over step sizes, all (k,): on the left ``acceptance`` against ``step_size``, beside the
    ``limit`` in high dimension; on the right ``ess`` against the acceptance, with a line at the
    acceptance ``best`` that the theory asks for. ``at`` is the one that is looked at, and ``names`` are
    those of the step size and of the effective draws."""
    parts = {"step_size": step_size, "acceptance": acceptance, "ess": ess, "limit": limit}
    for name, part in parts.items():
        if part.shape != step_size.shape or part.ndim != 1:
            expected = tuple(step_size.shape)
            raise ValueError(f"{name}: expected (k,) like the others, {expected}, got {tuple(part.shape)}")
    fig = Figure(9.6, 3.9)
    left, right = fig.subplots(1, 2)
    left.plot(step_size, limit, color=BLACK, linestyle="--", linewidth=1, label="formula (L8.27)")
    left.plot(step_size, acceptance, color=LINES[0], marker="o", markersize=4, label="measured")
    left.plot(step_size[at], acceptance[at], color=HERE, marker="D", markersize=10, linestyle="none")
    left.set_xscale("log")
    _ticks(left, float(step_size.min()), float(step_size.max()))
    left.set_ylim(-0.02, 1.02)
    left.set_xlabel(names[0])
    left.set_ylabel("acceptance")
    line = {"color": BLACK, "linestyle": ":", "linewidth": 1.2, "label": f"theory's optimum, {best}"}
    left.axhline(best, **line)
    right.plot(acceptance, ess, color=LINES[0], marker="o", markersize=4, label="measured")
    right.plot(
        acceptance[at], ess[at], color=HERE, marker="D", markersize=10, linestyle="none", label="this step"
    )
    right.axvline(best, **line)
    right.set_xlim(-0.02, 1.02)
    right.set_ylim(bottom=0)
    right.set_xlabel("acceptance")
    right.set_ylabel(names[1])
    for axis in (left, right):
        _finish(axis)
    fig.suptitle(title, fontsize=11)
    return fig


def bias(
    draws: Mapping[str, Tensor],
    densities: Mapping[str, Callable[[Tensor], Tensor]],
    variances: Mapping[str, Tensor],
    step_sizes: Tensor,
    theory: Callable[[Tensor], Tensor],
    at: float,
    title: str,
) -> Figure:
    """Chains in one dimension: on the left the histogram of each of ``draws`` (n,) beside ``densities``
    (m,) -> (m,); on the right each of ``variances`` (k,) against ``step_sizes`` (k,), beside the curve
    ``theory`` of unadjusted chains. A line shows the step size ``at`` which the left one is."""
    fig = Figure(9.6, 3.9)
    left, right = fig.subplots(1, 2)
    x = torch.linspace(-6.0, 6.0, 300)
    edges = torch.linspace(-6.0, 6.0, 61)
    for (name, values), colour in zip(draws.items(), LINES, strict=False):
        left.hist(values, edges.tolist(), density=True, histtype="step", color=colour, label=name)
    for (name, density), dash in zip(densities.items(), DASHES, strict=False):
        left.plot(x, density(x), color=BLACK, linestyle=dash, linewidth=1.2, label=name)
    left.set_xlim(-6.0, 6.0)
    left.set_xlabel("z")
    left.set_ylabel("density")
    for (name, values), colour, mark in zip(variances.items(), LINES, "os^D", strict=False):
        right.plot(step_sizes, values, color=colour, marker=mark, markersize=5, linestyle="none", label=name)
    curve = torch.linspace(0.01, 3.9, 200)
    right.plot(curve, theory(curve), color=BLACK, linestyle="--", linewidth=1.2, label="1 / (1 - τ/4)")
    right.axhline(1.0, color=BLACK, linewidth=1.2, label="target")
    right.axvline(at, color=HERE, linewidth=1.2, linestyle=":", label="this τ")
    right.set_yscale("log")
    right.set_xlim(0.0, 4.0)
    right.set_ylim(0.5, 50.0)
    right.set_xlabel("step size τ")
    right.set_ylabel("variance of the chains")
    for axis in (left, right):
        _finish(axis, columns=2)
    fig.suptitle(title, fontsize=11)
    return fig


def meeting(x: Tensor, looks: Tensor, rhat: Tensor, level: float, title: str) -> Figure:
    """Chains x (draws, chains): on the left their traces, on the right ``rhat`` (k,) of the first
    ``looks`` (k,) draws, beside the ``level`` below which it should be."""
    if x.ndim != 2:
        raise ValueError(f"x: expected (draws, chains), got shape {tuple(x.shape)}")
    if looks.shape != rhat.shape:
        raise ValueError(f"rhat: expected one a look, {len(looks)}, got shape {tuple(rhat.shape)}")
    fig = Figure(9.6, 3.9)
    left, right = fig.subplots(1, 2, width_ratios=(1.5, 1))
    for i, (chain, colour) in enumerate(zip(x.T, LINES, strict=False)):
        left.plot(chain, color=colour, linewidth=0.8, label=f"chain {i + 1}")
    left.set_xlabel("draw")
    left.set_ylabel("place on the line through the modes")
    right.plot(looks, rhat, color=LINES[0], marker="o", markersize=4, label="split R-hat")
    right.axhline(level, color=BLACK, linestyle="--", linewidth=1.2, label=f"{level}")
    right.set_yscale("log")
    right.set_yticks([1, 1.2, 1.5, 2, 5, 10, 20], ["1", "1.2", "1.5", "2", "5", "10", "20"])
    right.set_yticks([], minor=True)
    right.set_ylim(0.97, max(1.6, 1.2 * float(rhat.max())))
    right.set_xlabel("draws looked at")
    right.set_ylabel("split R-hat")
    for axis in (left, right):
        _finish(axis, columns=4)
    fig.suptitle(title, fontsize=11)
    return fig


def _ticks(axis: Axes, low: float, high: float) -> None:
    """1, 2 and 5 times powers of ten on a log axis from ``low`` to ``high``."""
    places = [m * 10.0**k for k in range(-6, 4) for m in (1, 2, 5)]
    places = [place for place in places if 0.999 * low <= place <= 1.001 * high]
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.set_xticks([], minor=True)


def _finish(axis: Axes, columns: int = 3) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    # Above the plot, where it hides nothing.
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
