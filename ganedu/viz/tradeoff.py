"""What a sampler of a GAN gives up for what it gains: acceptance against bias, step size against bias."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.ticker import MultipleLocator
from torch import Tensor

from ganedu.viz.density import Extent, draw_contours
from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure

MARKS = "os^Dv*"


def rejection(
    logit: Tensor,
    probabilities: Mapping[str, Tensor],
    gammas: Sequence[float],
    along: Mapping[str, Sequence[float]],
    gamma: float,
    now: Mapping[str, float],
) -> Figure:
    """Left: two acceptance probabilities (n,), the one here and the exact one, against the ``logit`` (n,)
    of the draws. Right: ``along``, one value for each of ``gammas``, the values ``now`` marked at ``gamma``.
    """
    fig = Figure(9.0, 3.6)
    left, right = fig.subplots(1, 2)
    top = float(logit.max())
    order = logit.argsort(descending=True)
    order = order[logit[order] > top - 8.0]
    order = order[:: max(1, len(order) // 400)]
    looks = zip(probabilities.items(), (LINES[0], OKABE_ITO["black"]), ("-", ":"), strict=True)
    for (name, probability), colour, dash in looks:
        left.plot(logit[order], probability[order], color=colour, linestyle=dash, label=name)
    left.set(xlabel="logit d of a proposal (nats)", ylabel="probability to accept it", ylim=(-0.02, 1.02))
    for (name, values), colour, dash in zip(along.items(), LINES[1:], DASHES, strict=False):
        right.plot(
            gammas, values, color=colour, linestyle=dash, label=f"{name}: {round(now[name], 5):.2g} here"
        )
        right.plot([gamma], [now[name]], marker="o", color=colour)
    right.set(xlabel="γ (nats)", ylabel="share, or total variation", ylim=(-0.02, 1.02))
    right.xaxis.set_major_locator(MultipleLocator(2))
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return fig


def step_sizes(
    points: Tensor,
    log_density: Callable[[Tensor], Tensor],
    extent: Extent,
    title: str,
    sizes: Sequence[float],
    distances: Mapping[str, Sequence[float]],
    now: float,
    noise: float,
) -> Figure:
    """Left: draws (n, 2) over contours of the truth. Right: ``distances`` from the truth, one for each of
    ``sizes``, where ``now`` is marked; below ``noise`` even exact draws would differ as much.
    """
    fig = Figure(9.0, 3.9)
    left, right = fig.subplots(1, 2)
    left.scatter(*points.detach().cpu().T, s=3, color=OKABE_ITO["vermilion"], alpha=0.5, linewidths=0)
    draw_contours(left, log_density, extent, OKABE_ITO["blue"], "-")
    left.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", xlabel="x1", ylabel="x2")
    left.set_title(title, fontsize=10)
    looks = zip(distances.items(), LINES, DASHES, MARKS, strict=False)
    for (name, values), colour, dash, mark in looks:
        right.plot(sizes, values, color=colour, linestyle=dash, marker=mark, markersize=4, label=name)
    right.axhspan(0, noise, color=OKABE_ITO["black"], alpha=0.1, linewidth=0, label="exact draws: noise")
    right.axvline(now, color=OKABE_ITO["black"], linewidth=1, linestyle="--")
    right.set(xscale="log", xlabel="step size τ", ylabel="distance to the truth", ylim=(0, None))
    right.spines[["top", "right"]].set_visible(False)
    right.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return fig
