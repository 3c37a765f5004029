"""Chains of pictures: what was proposed and kept, where the chain went, how an inversion found its way."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from ganedu.viz.figure import LINES, OKABE_ITO, Figure
from ganedu.viz.images import tile

ACCEPTED, REJECTED = OKABE_ITO["green"], OKABE_ITO["vermilion"]


def proposals(
    x: Tensor,
    proposed: Tensor,
    accepted: Tensor,
    alpha: Tensor,
    curves: Mapping[str, Tensor],
    step_sizes: Sequence[float],
    step_size: float,
    levels: Mapping[str, float],
    title: str,
) -> Figure:
    """A chain as two rows of pictures, proposals over states, above curves against the step size.

    x (K + 1, C, H, W) are the states, the start first; ``proposed`` (K, C, H, W), ``accepted`` (K,) bool
    and ``alpha`` (K,) belong to the K steps. ``curves``: name -> one value for each of ``step_sizes``, a
    panel each, drawn up to ``step_size``; ``levels``: the names of some curves -> a labelled horizontal line.
    """
    if not len(x) == len(proposed) + 1 == len(accepted) + 1 == len(alpha) + 1:
        raise ValueError(
            f"x, proposed, accepted, alpha: expected one state more than steps, got "
            f"{len(x)}, {len(proposed)}, {len(accepted)}, {len(alpha)}"
        )
    fig = Figure(10, 4.7)
    above, below = fig.subfigures(2, 1, height_ratios=(1.05, 1))
    axis = above.subplots()
    blank = torch.ones_like(x[:1])
    _pictures(axis, torch.cat([blank, proposed, x]), columns=len(x))
    height, width = x.shape[-2] + 1, x.shape[-1] + 1
    for k, (taken, probability) in enumerate(zip(accepted.tolist(), alpha.tolist(), strict=True), start=1):
        colour = ACCEPTED if taken else REJECTED
        axis.add_patch(
            Rectangle(
                (k * width, 0), width, height, fill=False, edgecolor=colour, linewidth=2.5, clip_on=False
            )
        )
        mark = "✓" if taken else "✗"
        place = ((k + 0.5) * width, -3)
        axis.annotate(
            f"{mark} {probability:.2f}", place, color=colour, ha="center", fontsize=8, annotation_clip=False
        )
    every_other = range(0, len(x), 2)
    axis.set_xticks([(k + 0.5) * width for k in every_other], [str(k) for k in every_other], fontsize=8)
    axis.set_yticks([0.5 * height, 1.5 * height], ["proposed", "state"])
    axis.set_xlabel("step (above: ✓ accepted or ✗ rejected, and α)", fontsize=9)
    above.suptitle(title, fontsize=10)
    seen = sum(size <= step_size for size in step_sizes)
    for panel, (name, values) in zip(below.subplots(1, len(curves)), curves.items(), strict=True):
        shown = {"color": LINES[0], "marker": "o", "markersize": 4, "label": "Langevin proposal"}
        panel.plot(step_sizes[:seen], values[:seen], **shown)
        panel.axvline(step_size, color=OKABE_ITO["black"], linewidth=1, label="step size above")
        if name in levels:
            panel.axhline(levels[name], color=LINES[1], linestyle="--", label="proposal from the prior")
        panel.set_xscale("log")
        panel.minorticks_off()  # half of the time that the picture takes
        _finish(panel, "step size τ", name)
        panel.set_xlim(0.8 * min(step_sizes), 1.25 * max(step_sizes))
        panel.set_ylim(0, 1.08 * max(float(v) for v in (*values, levels.get(name, 0.0))))
    below.axes[-1].legend(fontsize=8)
    return fig


def two_targets(
    sets: Mapping[str, Tensor],
    logits: Mapping[str, Tensor],
    step: int,
    thin: int,
    outlier: float,
    columns: int,
) -> Figure:
    """What chains on two targets look like at one step, and their logits on the way there.

    ``sets``: title -> images (chains, C, H, W) at ``step``. ``logits``: name -> (states, chains), one state
    each ``thin`` steps, the start first, drawn up to ``step``; ``outlier`` is drawn across.
    """
    fig = Figure(10, 3.6)
    axes = fig.subplots(1, len(sets) + 1, width_ratios=[1.0] * len(sets) + [1.45])
    for axis, (title, x) in zip(axes, sets.items(), strict=False):
        _pictures(axis, x, columns)
        axis.set_axis_off()
        axis.set_title(title, fontsize=10)
    axis = axes[-1]
    shown = step // thin + 1
    for (name, values), colour, dash in zip(logits.items(), LINES, ("-", "--"), strict=False):
        steps = [thin * k for k in range(shown)]
        axis.plot(steps, values[:shown], color=colour, linewidth=0.6, alpha=0.5, linestyle=dash)
        middle = values[:shown].median(1).values
        axis.plot(steps, middle, color=colour, linewidth=2, linestyle=dash, label=f"{name}: median")
    label = "99.9% of real images"
    axis.axhline(outlier, color=OKABE_ITO["black"], linestyle=":", linewidth=1.2, label=label)
    axis.axvline(step, color=OKABE_ITO["black"], linewidth=1)
    _finish(axis, "step", "logit s l + b, fitted scale (nats)")
    every = torch.cat([*logits.values()]).flatten()
    low, high = float(every.min()), max(float(every.max()), outlier)
    axis.set_ylim(low - 0.05 * (high - low), high + 0.5 * (high - low))  # the legend has the upper third
    axis.set_xlim(-0.03 * thin * len(values), thin * (len(values) - 1) + 0.03 * thin * len(values))
    axis.legend(fontsize=8, loc="upper left")
    return fig


def path(
    way: Tensor, cloud: Tensor, step: int, thin: int, shares: Mapping[str, Tensor], x: Tensor, title: str
) -> Figure:
    """A path in its plane up to ``step``, the shares of variance along its axes, pictures on the way.

    way (states, 2), one state each ``thin`` steps; ``cloud`` (n, 2) lies behind it. ``shares``: name ->
    (components,), in [0, 1]; none, no bars. x (m, C, H, W) are pictures from the start to ``step``, evenly
    spread.
    """
    fig = Figure(10, 5.2)
    above, below = fig.subfigures(2, 1, height_ratios=(3.1, 1))
    plane, bars = above.subplots(1, 2, width_ratios=(1.5, 1))
    shown = step // thin + 1
    plane.scatter(*cloud.T, s=6, color=OKABE_ITO["black"], alpha=0.25, linewidths=0, label="draws of the GAN")
    plane.plot(*way.T, color=LINES[5], linewidth=0.8, label="the whole path")
    plane.plot(*way[:shown].T, color=LINES[0], linewidth=1.6, label="up to this step")
    plane.plot(*way[0], color=LINES[2], marker="s", linestyle="none", label="start")
    plane.plot(*way[shown - 1], color=LINES[1], marker="o", linestyle="none", label="this step")
    _finish(plane, "first principal axis of the path", "second principal axis")
    plane.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    plane.set_title(title, fontsize=10)
    offsets = torch.linspace(-0.3, 0.3, len(shares)).tolist() if len(shares) > 1 else [0.0]
    for (name, share), colour, offset in zip(shares.items(), LINES, offsets, strict=False):
        places = [1 + offset + k for k in range(len(share))]
        bars.bar(places, share.tolist(), 0.55 / len(shares), color=colour, label=name)
        bars.set_xticks(range(1, 1 + len(share)))
    _finish(bars, "principal axis of the path", "share of its variance")
    if shares:
        bars.legend(fontsize=8)
    else:
        bars.set_xticks([])
        bars.set_yticks([])
    strip = below.subplots()
    _pictures(strip, x, columns=len(x))
    pixels = x.shape[-1] + 1
    steps = torch.linspace(0, step, len(x)).tolist()
    strip.set_xticks([(k + 0.5) * pixels for k in range(len(x))], [f"{s:.0f}" for s in steps], fontsize=8)
    strip.set_yticks([])
    strip.set_xlabel("step")
    return fig


def inversion(
    picture: Tensor, found: Tensor, errors: Tensor, norms: Tensor, iteration: int, radius: float, title: str
) -> Figure:
    """A picture, what each of several starts makes of it, their errors and how far out they are.

    picture (C, H, W); ``found`` (starts, C, H, W) at ``iteration``; ``errors`` and ``norms`` (iterations,
    starts), drawn up to it. ``radius`` is where draws of the prior lie.
    """
    fig = Figure(10, 4.6)
    above, below = fig.subfigures(2, 1, height_ratios=(1, 2.1))
    axis = above.subplots()
    blank = torch.ones_like(picture)
    _pictures(axis, torch.cat([picture[None], blank[None], found]), columns=len(found) + 2)
    pixels = picture.shape[-1] + 1
    names = ["wanted", ""] + [f"start {i}" for i in range(len(found))]
    axis.set_xticks([(k + 0.5) * pixels for k in range(len(names))], names, fontsize=8)
    axis.set_yticks([])
    best = int(errors[iteration].argmin())
    axis.add_patch(
        Rectangle(((best + 2) * pixels, 0), pixels, pixels, fill=False, edgecolor=ACCEPTED, linewidth=3)
    )
    above.suptitle(title, fontsize=10)
    error, norm = below.subplots(1, 2)
    for i, (colour, wrong, length) in enumerate(zip(LINES, errors.T, norms.T, strict=False)):
        error.plot(wrong[: iteration + 1], color=colour, label=f"start {i}")
        norm.plot(length[: iteration + 1], color=colour)
    norm.axhline(radius, color=OKABE_ITO["black"], linestyle=":", label="√100: where the prior's draws lie")
    for panel in (error, norm):
        panel.axvline(iteration, color=OKABE_ITO["black"], linewidth=1)
        panel.set_xlim(-0.03 * len(errors), 1.03 * len(errors))
    error.set_yscale("log")
    error.minorticks_off()
    low, high = 0.8 * float(errors.min()), 1.25 * float(errors.max())
    error.set_ylim(low, high)
    norm.set_ylim(min(float(norms.min()), radius) - 0.5, float(norms.max()) + 1.5)
    levels = [level for level in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001) if low <= level <= high]
    error.set_yticks(levels, [f"{level:g}" for level in levels])
    _finish(error, "iteration", "mean squared error of a pixel")
    _finish(norm, "iteration", "length of z")
    error.legend(fontsize=7, ncols=2)
    norm.legend(fontsize=8)
    return fig


def _pictures(axis: Axes, x: Tensor, columns: int) -> None:
    """Images (n, C, H, W) row by row, in pixels from the upper left, without a frame."""
    page = tile(x, columns)
    axis.imshow(page, extent=(0, page.shape[1], page.shape[0], 0), interpolation="nearest")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def _finish(axis: Axes, xlabel: str, ylabel: str) -> None:
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.spines[["top", "right"]].set_visible(False)
