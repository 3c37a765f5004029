"""What a bound on the likelihood is worth, and what a VAE does with its latent dimensions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

if TYPE_CHECKING:  # a lab's sandbox has ganedu.viz without it
    from ganedu.likelihood import Surgery

ACTIVE = 0.01  # Var_x E[z|x] above it makes a unit active (Burda et al. 2016)


def bound_plot(
    k: Sequence[int], bounds: Mapping[str, tuple[Tensor, Tensor]], exact: float | None = None
) -> Figure:
    """Bounds on log p(x), in nats, against the number of draws k: name -> (mean, standard error).

    Each is (len(k),), and drawn with bars of two standard errors; ``exact`` is log p(x) where it is known.
    """
    for name, (mean, error) in bounds.items():
        if mean.shape != (len(k),) or error.shape != mean.shape:
            raise ValueError(
                f"bounds: expected mean and error ({len(k)},) of {name!r}, got {tuple(mean.shape)}"
            )
    fig = Figure(5.6, 3.8)
    axis = fig.subplots()
    if exact is not None:
        axis.axhline(exact, color=OKABE_ITO["black"], linewidth=1, label="log p(x)")
    for (colour, dash), (name, (mean, error)) in zip(_styles(bounds), bounds.items(), strict=True):
        mean, error = mean.detach().cpu(), error.detach().cpu()
        style = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 4, "capsize": 2}
        axis.errorbar(k, mean, 2 * error, label=name, **style)
    axis.set_xscale("log")
    _finish(axis, "draws k", "bound on log p(x) (nats)")
    return fig


def variance_plot(x: Sequence[float], variances: Mapping[str, Tensor], xlabel: str) -> Figure:
    """The variance of one draw's gradient against ``x``, on a logarithmic axis: name -> (len(x),).

    A variance of exactly zero has no place there and leaves a gap in its line.
    """
    for name, variance in variances.items():
        if variance.shape != (len(x),):
            raise ValueError(f"variances: expected ({len(x)},) of {name!r}, got {tuple(variance.shape)}")
    fig = Figure(5.6, 3.8)
    axis = fig.subplots()
    for (colour, dash), (name, variance) in zip(_styles(variances), variances.items(), strict=True):
        variance = variance.detach().cpu().double()
        shown = torch.where(variance > 0, variance, torch.nan)
        axis.plot(x, shown, color=colour, linestyle=dash, label=name)
    axis.set_yscale("log")
    _finish(axis, xlabel, "variance of one draw's gradient")
    return fig


def surgery_plot(parts: "Mapping[str, Surgery]") -> Figure:
    """A bar a model: its negative ELBO in nats, as reconstruction, information and KL(q(z) || p(z)).

    The height of the three is -ELBO up to Monte Carlo error. A collapsed posterior has the first alone.
    """
    if not parts:
        raise ValueError("parts: expected at least one model, got none")
    fig = Figure(1.8 + 1.4 * len(parts), 4.0)
    axis = fig.subplots()
    pieces = {
        "-E log p(x|z)": ([-each.reconstruction for each in parts.values()], "sky"),
        "I(x; z)": ([each.mutual_information for each in parts.values()], "orange"),
        "KL(q(z) || p(z))": ([each.marginal_kl for each in parts.values()], "purple"),
    }
    bottom = [0.0] * len(parts)
    for label, (heights, colour) in pieces.items():
        axis.bar(range(len(parts)), heights, 0.6, bottom, color=OKABE_ITO[colour], label=label)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axis.set_xticks(range(len(parts)), list(parts))
    _finish(axis, "model", "negative ELBO (nats)")
    return fig


def latent_plot(kl: Tensor, activity: Tensor) -> Figure:
    """KL to the prior and Var_x E[z|x] of each latent dimension, both (d,), in the order of the KL.

    A dimension below the dashed line, where activity is 0.01, says nothing of x: its posterior has
    collapsed to the prior. An activity of exactly zero has no bar.
    """
    if kl.ndim != 1 or kl.shape != activity.shape:
        raise ValueError(
            f"kl: expected (d,) as activity has, got {tuple(kl.shape)} and {tuple(activity.shape)}"
        )
    order = kl.argsort(descending=True).cpu()
    kl, activity = kl.detach().cpu()[order], activity.detach().cpu()[order]
    colours = [OKABE_ITO["blue"] if a > ACTIVE else OKABE_ITO["vermilion"] for a in activity]
    fig = Figure(9.0, 3.6)
    left, right = fig.subplots(1, 2)
    for axis, values, label in (
        (left, kl, "KL(q(z|x) || p(z)) (nats)"),
        (right, activity, "Var E[z|x] over x"),
    ):
        bars = axis.bar(range(len(kl)), values.tolist(), color=colours)
        for active, name in ((True, "active"), (False, "collapsed")):
            which = [i for i, a in enumerate(activity) if bool(a > ACTIVE) == active]
            if which:
                bars[which[0]].set_label(f"{len(which)} {name}")
        ticks = range(0, len(kl), max(1, len(kl) // 10))
        axis.set_xticks(ticks, [str(int(order[i])) for i in ticks])
        if axis is right:
            seen = torch.cat([activity[activity > 0], activity.new_tensor([ACTIVE])])
            axis.set_ylim(float(seen.min()) / 3, 3 * float(seen.max()))
            axis.set_yscale("log")
            axis.axhline(ACTIVE, color=OKABE_ITO["black"], linestyle="--", linewidth=1)
        else:
            axis.set_ylim(bottom=0)
        _finish(axis, "latent dimension", label)
    return fig


def _styles(lines: Mapping) -> list[tuple]:
    """A colour and a dash for each line. ValueError for more lines than can be told apart."""
    if len(lines) > len(LINES):
        raise ValueError(f"expected at most {len(LINES)} lines in one plot, got {len(lines)}")
    return list(zip(LINES, DASHES, strict=True))[: len(lines)]


def _finish(axis: Axes, xlabel: str, ylabel: str) -> None:
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
    # Above the plot, where it hides nothing.
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
