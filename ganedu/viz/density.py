"""Densities in the plane, and what samplers make of them."""

from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from torch import Tensor

from ganedu.viz.figure import DASHES, LINES, OKABE_ITO, Figure, panels

LogDensity = Callable[[Tensor], Tensor]
Extent = tuple[float, float, float, float]


def contours(
    densities: Mapping[str, LogDensity],
    extent: Extent,
    names: Sequence[str] = ("x1", "x2"),
    points: Mapping[str, Tensor] | None = None,
) -> Figure:
    """Contours of several log densities (n, 2) -> (n,), each normalised on ``extent``, in one panel.

    ``points``: name -> (n, 2), each marked and named in the plane.
    """
    fig, (axis,) = panels(1, 5.2, 4.4)
    for (name, log_density), colour, dash in zip(densities.items(), LINES, DASHES, strict=False):
        draw_contours(axis, log_density, extent, colour, dash)
        axis.plot([], [], color=colour, linestyle=dash, label=name)
    for name, place in (points or {}).items():
        for x, y in _points(name, place).tolist():
            axis.plot(x, y, marker="o", markersize=5, color=OKABE_ITO["black"])
            axis.annotate(name, (x, y), xytext=(5, 5), textcoords="offset points")
    _label(axis, extent, names)
    axis.legend(fontsize=8, loc="upper left")
    return fig


def compare(
    points: Mapping[str, Tensor],
    log_density: LogDensity,
    extent: Extent,
    names: Sequence[str] = ("x1", "x2"),
    label: str = "target",
) -> Figure:
    """One titled panel a set of points (n, 2), each over the same contours of ``log_density``."""
    left, right, bottom, top = extent
    fig, axes = panels(len(points), 3.1, 0.6 + 2.6 * (top - bottom) / (right - left))
    for axis, (title, x) in zip(axes, points.items(), strict=True):
        x = _points(title, x)
        axis.scatter(*x.T, s=3, color=OKABE_ITO["vermilion"], alpha=0.5, linewidths=0, label="draws")
        draw_contours(axis, log_density, extent, OKABE_ITO["blue"], "-")
        axis.plot([], [], color=OKABE_ITO["blue"], label=label)
        axis.set_title(title, fontsize=10)
        _label(axis, extent, names)
    axes[0].legend(fontsize=7, loc="upper left", markerscale=3)
    return fig


def over(
    points: Mapping[str, Tensor | None],
    data: Tensor,
    names: Sequence[str] = ("x1", "x2"),
    shown: int = 2000,
    title: str = "",
) -> Figure:
    """One titled panel a set of points (n, 2), each over ``data`` (m, 2); all panels show what the data span,
    and titles count the points outside. None stands for a set that there is not: a panel of data alone.

    At most ``shown`` points of each are drawn, the first ones. ``title`` is that of the whole figure.
    """
    data = _points("data", data)
    low, high = data.min(0).values, data.max(0).values
    middle, half = (low + high) / 2, 0.6 * float((high - low).max())
    left, bottom = (middle - half).tolist()
    extent = (left, left + 2 * half, bottom, bottom + 2 * half)
    fig, axes = panels(len(points), 2.6, 2.8, columns=4)
    kinds = {"data": OKABE_ITO["sky"], "draws": OKABE_ITO["vermilion"]}
    for axis, (name, x) in zip(axes, points.items(), strict=True):
        axis.scatter(*data[:shown].T, s=9, color=kinds["data"], linewidths=0)
        if x is None:
            axis.set_title(f"{name}: stopped", fontsize=9)
        else:
            x = _points(name, x)
            outside = int((~((x - middle).abs() <= half).all(1)).sum())
            axis.scatter(*x[:shown].T, s=2, color=kinds["draws"], alpha=0.5, linewidths=0)
            axis.set_title(f"{name}\n{outside} of {len(x)} outside" if outside else name, fontsize=9)
        _label(axis, extent, names)
        if axis not in axes[::4]:
            axis.set_ylabel("")
    marks = [Line2D([], [], color=colour, marker="o", linestyle="none") for colour in kinds.values()]
    fig.legend(marks, list(kinds), fontsize=8, ncols=2, loc="outside lower center", frameon=False)
    fig.suptitle(title, fontsize=10)
    return fig


def arrows(
    start: Tensor, end: Tensor, log_density: LogDensity, extent: Extent, names: Sequence[str] = ("z1", "z2")
) -> Figure:
    """Arrows from ``start`` (n, 2) to ``end`` (n, 2) over contours of ``log_density``."""
    fig, (axis,) = panels(1, 5.2, 4.4)
    start, end = _points("start", start), _points("end", end)
    draw_contours(axis, log_density, extent, OKABE_ITO["blue"], "-")
    colour = OKABE_ITO["vermilion"]
    in_data_units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004}
    axis.quiver(*start.T, *(end - start).T, color=colour, **in_data_units)
    axis.plot([], [], color=OKABE_ITO["blue"], label="target")
    axis.plot([], [], color=colour, marker=">", linestyle="none", label="from z to the proposal's mean")
    _label(axis, extent, names)
    axis.legend(fontsize=8, loc="upper left")
    return fig


def paths(
    trace: Tensor, log_density: LogDensity, extent: Extent, names: Sequence[str] = ("z1", "z2")
) -> Figure:
    """The way of each chain of ``trace`` (draws, chains, 2) over contours; a mark shows where it starts."""
    if trace.ndim != 3 or trace.shape[2] != 2:
        raise ValueError(f"trace: expected (draws, chains, 2), got shape {tuple(trace.shape)}")
    fig, (axis,) = panels(1, 5.2, 4.4)
    draw_contours(axis, log_density, extent, OKABE_ITO["black"], "-")
    for i, way in enumerate(trace.detach().cpu().unbind(1)):
        colour, mark = LINES[i % len(LINES)], "os^Dv*"[i % 6]
        axis.plot(*way.T, color=colour, linewidth=1)
        start = {"marker": mark, "markersize": 7, "linestyle": "none", "label": f"chain {i} starts"}
        axis.plot(*way[0], color=colour, **start)
    _label(axis, extent, names)
    axis.legend(fontsize=8, loc="upper left")
    return fig


def draw_contours(axis: Axes, log_density: LogDensity, extent: Extent, colour: str, dash) -> None:
    """Lines at 60%, 30%, 10% and 3% of the highest density on the extent."""
    cells = 120
    left, right, bottom, top = extent
    x, y = torch.linspace(left, right, cells), torch.linspace(bottom, top, cells)
    points = torch.cartesian_prod(x, y)
    with torch.no_grad():
        value = log_density(points).reshape(cells, cells).T.double()
    height = torch.exp(value - value.max())
    levels = [0.03, 0.1, 0.3, 0.6]
    axis.contour(x, y, height, levels, colors=colour, linestyles=[dash] * len(levels), linewidths=1)


def _points(name: str, x: Tensor) -> Tensor:
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"{name}: expected points (n, 2), got shape {tuple(x.shape)}")
    return x.detach().cpu()


def _label(axis: Axes, extent: Extent, names: Sequence[str]) -> None:
    axis.set_xlim(extent[0], extent[1])
    axis.set_ylim(extent[2], extent[3])
    axis.set_aspect("equal")
    axis.set_xlabel(names[0])
    axis.set_ylabel(names[1])
