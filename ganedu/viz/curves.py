"""Functions of one number."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure


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
