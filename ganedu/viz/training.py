"""How a training went."""

from collections.abc import Mapping, Sequence

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels


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


def game(
    steps: Sequence[float], losses: Mapping[str, Sequence[float]], judged: Mapping[str, Sequence[float]]
) -> Figure:
    """Mean losses of the players, name -> one a step of ``steps``, in one panel, and a panel for each
    figure of merit in ``judged``, in whatever unit it has.

    What a player loses says little of how near the fakes are: the other player moves, too.
    """
    fig, (axis, *others) = panels(1 + len(judged), 4.6, 3.4)
    mark = "." if len(steps) == 1 else None  # a line needs two points
    for (name, values), colour, dash in zip(losses.items(), LINES, DASHES, strict=False):
        axis.plot(steps, values, color=colour, linestyle=dash, marker=mark, label=name)
    axis.set_ylabel("mean loss")
    axis.legend(fontsize=8)
    for other, (name, values) in zip(others, judged.items(), strict=True):
        other.plot(steps, values, color=OKABE_ITO["black"], marker=mark)
        other.set_ylabel(name)
    for each in (axis, *others):
        each.set_xlabel("step")
        each.spines[["top", "right"]].set_visible(False)
    return fig
