"""Games in the plane: the field that moves the players, and the ways that they take."""

from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels

Field = Callable[[Tensor], Tensor]
ARROWS = 15  # along each axis


def phase_portraits(
    fields: Mapping[str, Field],
    ways: Mapping[str, Mapping[str, Tensor]],
    reach: float = 2.0,
    names: Sequence[str] = ("x (generator)", "y (critic)"),
) -> Figure:
    """A titled panel a field (n, 2) -> (n, 2), on [-reach, reach]², with the ways named in ``ways[title]``.

    A way is (steps, 2) or (steps, ways, 2); a disc marks its start and a cross its end. Arrows show the
    direction, and by their length the speed against the fastest of the panel, on a root scale. What leaves
    the panel is cut off.

    Raises ValueError for a way of another shape, or one in no panel.
    """
    unknown = sorted(set(ways) - set(fields))
    if unknown:
        raise ValueError(f"ways: expected titles among {sorted(fields)}, got {unknown}")
    kinds = list(dict.fromkeys(name for group in ways.values() for name in group))
    if len(kinds) > len(LINES):
        raise ValueError(f"ways: expected at most {len(LINES)} names, got {len(kinds)}")
    fig, axes = panels(len(fields), 3.6, 3.7)
    for axis, (title, field) in zip(axes, fields.items(), strict=True):
        _draw_field(axis, field, reach)
        for name, way in ways.get(title, {}).items():
            i = kinds.index(name)
            _draw_way(axis, name, way, LINES[i], DASHES[i])
        axis.plot(0, 0, marker="+", markersize=9, color=OKABE_ITO["black"], linestyle="none")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(names[0])
        axis.set_ylabel(names[1])
        axis.set_xlim(-reach, reach)
        axis.set_ylim(-reach, reach)
        axis.set_aspect("equal")
    if kinds:
        handles = [axes[0].plot([], [], color=LINES[i], linestyle=DASHES[i])[0] for i in range(len(kinds))]
        fig.legend(handles, kinds, loc="outside lower center", ncols=len(kinds), fontsize=9)
    return fig


def _draw_field(axis: Axes, field: Field, reach: float) -> None:
    line = torch.linspace(-reach, reach, ARROWS, dtype=torch.float64)
    z = torch.cartesian_prod(line, line)
    with torch.no_grad():
        velocity = field(z).double()
    speed = torch.linalg.vector_norm(velocity, dim=1, keepdim=True)
    # The root of the speed, so that the slow middle is seen beside the fast rim.
    shown = velocity / speed.clamp(min=1e-300) * (speed / speed.max().clamp(min=1e-300)).sqrt()
    axis.quiver(*z.T, *shown.T, color=OKABE_ITO["black"], alpha=0.35, angles="xy", scale=18, width=0.004)


def _draw_way(axis: Axes, name: str, way: Tensor, colour: str, dash) -> None:
    if way.ndim not in (2, 3) or way.shape[-1] != 2:
        raise ValueError(f"{name}: expected shape (steps, 2) or (steps, ways, 2), got {tuple(way.shape)}")
    for one in way.detach().double().reshape(len(way), -1, 2).unbind(1):
        axis.plot(*one.T, color=colour, linestyle=dash, linewidth=1.4)
        axis.plot(*one[0], color=OKABE_ITO["black"], marker="o", markersize=5, linestyle="none")
        axis.plot(*one[-1], color=colour, marker="x", markersize=6, markeredgewidth=2, linestyle="none")
