"""How a training went."""

from collections.abc import Mapping, Sequence

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure


def losses(steps: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Mean losses, name -> one a step of ``steps``; a dot marks the lowest of the curve "held out"."""
    fig = Figure(5.6, 3.6)
    axis = fig.subplots()
    for (name, values), colour, dash in zip(curves.items(), LINES, DASHES, strict=False):
        axis.plot(steps, values, color=colour, linestyle=dash, label=name)
    if "held out" in curves:
        lowest = min(range(len(steps)), key=curves["held out"].__getitem__)
        place = (steps[lowest], curves["held out"][lowest])
        axis.plot(*place, "o", color=OKABE_ITO["black"], markersize=4, label=f"lowest: {place[1]:.4g}")
    axis.set_xlabel("step")
    axis.set_ylabel("mean loss (nats)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8)
    return fig
