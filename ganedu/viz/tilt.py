"""How a discriminator tilts the prior, and what that costs a sampler that proposes from it."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure


def acceptance(
    logit: Tensor,
    weight: Tensor,
    slopes: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    slope: float,
    levels: Mapping[str, float],
    title: str,
) -> Figure:
    """Histograms of ``logit`` (n,), each draw counted once and by its ``weight``; acceptance against slope.

    ``curves``: name -> one acceptance for each of ``slopes``, drawn up to ``slope``; ``levels`` are labelled
    horizontal lines.
    """
    fig = Figure(10, 3.6)
    bars, axis = fig.subplots(1, 2, width_ratios=(1, 1.35))
    low, high = float(logit.min()), float(logit.max())
    edges = [low + (high - low) * k / 40 for k in range(41)]
    common = {"bins": edges, "density": True, "histtype": "stepfilled", "linewidth": 1.5}
    bars.hist(logit, color=LINES[0], alpha=0.35, label="draws of the GAN", **common)
    bars.hist(
        logit, weights=weight, color=LINES[1], alpha=0.35, hatch="//", label="under the target", **common
    )
    bars.set_xlabel("calibrated logit s l + b (nats)")
    bars.set_ylabel("density")
    bars.legend(fontsize=8, loc="upper left")
    seen = sum(known <= slope for known in slopes)
    for (name, values), colour, dash in zip(curves.items(), LINES[2:], DASHES, strict=False):
        shown = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 3, "label": name}
        axis.plot(slopes[:seen], values[:seen], **shown)
    for (name, level), dash in zip(levels.items(), DASHES[2:], strict=False):
        axis.axhline(level, color=OKABE_ITO["black"], linestyle=dash, linewidth=1, label=name)
    axis.axvline(slope, color=OKABE_ITO["black"], linewidth=1)
    axis.set_yscale("log")
    axis.minorticks_off()
    every = [*levels.values(), *(value for values in curves.values() for value in values)]
    axis.set_xlim(0.0, 1.05 * max(slopes))
    axis.set_ylim(0.8 * min(every), 1.25 * max(every))
    axis.set_xlabel("slope of the calibration, as a multiple of the fitted one")
    axis.set_ylabel("acceptance of MH-GAN")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for panel in (bars, axis):
        panel.spines[["top", "right"]].set_visible(False)
    fig.suptitle(title, fontsize=10)
    return fig
