"""A plane bent into space, and densities on it taken apart."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ganedu.viz.figure import LINES, OKABE_ITO, Figure


def bent(
    surface: Callable[[Tensor], Tensor],
    points: Mapping[str, Tensor],
    terms: Mapping[str, tuple[float, float]],
    title: str,
    reach: float = 2.0,
) -> Figure:
    """The image of the square [-reach, reach]² with named ``points`` (2,), beside ``terms`` as bars.

    ``surface`` maps (..., 2) -> (..., 3). Each of ``terms`` has a part of the latents and one of the
    volume; the lowest bars are their sums.
    """
    fig = Figure(10, 4.2)
    space = fig.add_subplot(1, 2, 1, projection="3d")
    line = torch.linspace(-reach, reach, 17, dtype=torch.float64)
    sheet = surface(torch.cartesian_prod(line, line)).reshape(17, 17, 3)
    mesh = {"color": OKABE_ITO["sky"], "edgecolor": OKABE_ITO["blue"], "linewidth": 0.3, "alpha": 0.35}
    space.plot_surface(*sheet.unbind(-1), shade=False, **mesh)
    for (name, z), colour, mark in zip(points.items(), (LINES[2], LINES[1]), "so", strict=True):
        place = surface(z)
        space.plot(*([float(v)] for v in place), color=colour, marker=mark, linestyle="none", label=name)
    space.set_xlabel("x1")
    space.set_ylabel("x2")
    space.set_zlabel("x3")
    space.legend(fontsize=9, loc="upper left")

    axis = fig.add_subplot(1, 2, 2)
    totals = tuple(sum(part) for part in zip(*terms.values(), strict=True))
    rows = {**terms, "sum": totals}
    for i, (name, colour, hatch) in enumerate((("latents", LINES[0], ""), ("volume", LINES[3], "//"))):
        values = [row[i] for row in rows.values()]
        heights = [k + 0.2 * (2 * i - 1) for k in range(len(rows))]
        axis.barh(heights, values, 0.36, color=colour, hatch=hatch, label=f"{name}: sum {totals[i]:.2f}")
    axis.axvline(0, color=OKABE_ITO["black"], linewidth=0.8)
    axis.axhline(len(terms) - 0.5, color=OKABE_ITO["black"], linewidth=0.8)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set_xlabel("part of the log ratio (nats)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2)
    fig.suptitle(title, fontsize=10)
    return fig
