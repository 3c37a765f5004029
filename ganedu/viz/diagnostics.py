"""What shows whether chains do their work: traces, ranks, autocorrelation, effective draws.

Each plot takes one quantity x (draws, chains), such as a coordinate or log_prob, and its name.
"""

import math
from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganedu.viz.figure import LINES, OKABE_ITO, Figure

# ganedu.samplers is imported inside the functions: a lab's sandbox has ganedu.viz without it.

SHOWN = 4  # chains drawn one by one
POINTS = 1000  # of a line
BINS, HIGHEST = 20, 4.0  # of a histogram of ranks, and its highest bar over the level


def trace_plot(x: Tensor, name: str = "x") -> Figure:
    """The chains against the draw: of many those of extreme mean or spread, before a band of all.

    Chains that work look alike, like noise around one level.
    """
    return _alone(_trace, x, name)


def rank_plot(x: Tensor, name: str = "x") -> Figure:
    """A histogram for each chain of its draws' ranks among the draws of all (Vehtari et al. 2021, sec. 4.5).

    Chains that agree have level histograms. Of many chains those furthest from level are drawn. A slope is
    another place, a hill in the middle a chain that is too narrow; bars are cut at four times the level.
    """
    return _alone(_ranks, x, name)


def autocorrelation_plot(x: Tensor, name: str = "x") -> Figure:
    """The mean over chains of the autocorrelation within each, against the lag, and a band of them.

    The legend has the autocorrelation time τ, which also counts how chains disagree.
    """
    return _alone(_autocorrelation, x, name)


def ess_plot(x: Tensor, name: str = "x") -> Figure:
    """Effective draws in the first k draws of all chains, against k (Vehtari et al. 2021, sec. 4.5).

    They grow in proportion if the chains are stationary; a curve that flattens has met something new.
    """
    return _alone(_effective, x, name)


def overview(values: Mapping[str, Tensor]) -> Figure:
    """All four plots in a row, one row for each of ``values``: name -> (draws, chains)."""
    fig = Figure(16, 3.4 * len(values))
    fig.get_layout_engine().set(w_pad=0.12)
    for axes, (name, x) in zip(fig.subplots(len(values), 4, squeeze=False), values.items(), strict=True):
        x = _checked(name, x)
        for draw, axis in zip((_trace, _ranks, _autocorrelation, _effective), axes, strict=True):
            draw(axis, x, name)
    return fig


def _alone(draw, x: Tensor, name: str) -> Figure:
    fig = Figure(5.6, 3.6)
    draw(fig.subplots(), _checked(name, x), name)
    return fig


def _checked(name: str, x: Tensor) -> Tensor:
    """x in float64 on the CPU. ValueError for what cannot be drawn."""
    if x.ndim != 2 or len(x) < 4 or x.shape[1] == 0:
        raise ValueError(f"{name}: expected (draws, chains), 4 draws at least, got shape {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        raise ValueError(f"{name}: expected finite draws, got {int((~torch.isfinite(x)).sum())} that are not")
    return x.detach().cpu().double()


def _trace(axis: Axes, x: Tensor, name: str) -> None:
    draws, chains = x.shape
    every = math.ceil(draws / POINTS)
    steps, x = torch.arange(0, draws, every), x[::every]
    if chains > SHOWN:
        low, high = torch.quantile(x, torch.tensor([0.1, 0.9], dtype=x.dtype), dim=1)
        label = f"10-90% of {chains} chains"
        axis.fill_between(steps, low, high, color=OKABE_ITO["black"], alpha=0.15, linewidth=0, label=label)
    mean, sd = x.mean(0), x.std(0)
    extreme = {int(i) for y in (mean, sd) for i in (y.argmin(), y.argmax())}
    shown = sorted(extreme) if chains > SHOWN else range(chains)
    for colour, i in zip(LINES, shown, strict=False):
        # The narrowest on top: a chain that stands still must not hide behind one that moves.
        axis.plot(steps, x[:, i], color=colour, lw=0.7, label=f"chain {i}", zorder=2 + 1 / (1 + float(sd[i])))
    _finish(axis, "draw", name)


def _ranks(axis: Axes, x: Tensor, name: str) -> None:
    draws, chains = x.shape
    pooled = x.flatten()
    ordered = pooled.sort().values
    below, not_above = (torch.searchsorted(ordered, pooled, right=right) for right in (False, True))
    share = ((below + not_above).double() / (2 * len(pooled))).reshape(draws, chains)
    bins = max(2, min(BINS, draws // 5))
    places = (share * bins).long().clamp(max=bins - 1) + bins * torch.arange(chains)
    height = torch.bincount(places.flatten(), minlength=bins * chains).reshape(chains, bins) * bins / draws
    height = height.clamp(max=HIGHEST)
    shown = (height - 1).square().sum(1).topk(min(chains, SHOWN)).indices.sort().values

    scale = 0.9 / float(height[shown].max())  # the highest bar nearly reaches the next chain
    edges = [k / bins for k in range(bins + 1)]
    for row, i in enumerate(shown.tolist()):
        tops = (row + scale * height[i]).tolist()
        axis.stairs(tops, edges, baseline=row, fill=True, color=LINES[0], alpha=0.7)
        label = "if all chains agree" if row == 0 else None
        axis.axhline(row + scale, color=OKABE_ITO["black"], linestyle="--", linewidth=1, label=label)
    axis.set_yticks(range(len(shown)), [str(i) for i in shown.tolist()])
    axis.set_xlim(0, 1)
    axis.set_ylim(0, len(shown))
    which = f" (least level of {chains})" if chains > SHOWN else ""
    _finish(axis, f"rank of {name}, as a share of all draws", f"chain{which}")


def _autocorrelation(axis: Axes, x: Tensor, name: str) -> None:
    from ganedu.samplers.diagnostics import autocorrelation, autocorrelation_time

    draws, chains = x.shape
    tau = float(autocorrelation_time(x))
    lags = draws // 2 if math.isnan(tau) else min(draws // 2, max(20, math.ceil(3 * tau)))
    rho = autocorrelation(x)[: lags + 1]
    if chains > SHOWN:
        low, high = torch.nanquantile(rho, torch.tensor([0.1, 0.9], dtype=rho.dtype), dim=1)
        axis.fill_between(
            range(lags + 1), low, high, color=LINES[0], alpha=0.2, lw=0, label="10-90% of chains"
        )
    label = "nothing moves" if math.isnan(tau) else f"mean over chains; τ = {tau:.3g} draws"
    axis.plot(range(lags + 1), rho.nanmean(1), color=LINES[0], label=label)
    axis.axhline(0, color=OKABE_ITO["black"], linewidth=0.8)
    axis.set_xlim(0, lags)
    axis.set_ylim(top=1.05)
    _finish(axis, "lag (draws)", f"autocorrelation of {name}")


def _effective(axis: Axes, x: Tensor, name: str) -> None:
    from ganedu.samplers.diagnostics import ess_bulk, ess_tail
    from ganedu.samplers.summaries import MIN_ESS

    sizes = torch.linspace(max(4, len(x) / 20), len(x), 20).long().unique().tolist()
    bulk, tail = ([float(ess(x[:k])) for k in sizes] for ess in (ess_bulk, ess_tail))
    axis.plot(sizes, bulk, color=LINES[0], marker="o", markersize=4, label="middle")
    axis.plot(sizes, tail, color=LINES[1], marker="s", markersize=4, linestyle="--", label="tails")
    line = {"color": OKABE_ITO["black"], "linestyle": ":", "label": f"{MIN_ESS}, the least to rely on"}
    axis.axhline(MIN_ESS, linewidth=1, **line)
    axis.set_ylim(bottom=0)
    _finish(axis, "draws a chain", f"effective draws of {name}")


def _finish(axis: Axes, xlabel: str, ylabel: str) -> None:
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    # Above the plot, where it hides nothing.
    legend = axis.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    for line in legend.get_lines():
        line.set_linewidth(1.5)
