"""What every plot shares: the palette, a figure that shows itself in a notebook, an atomic save."""

import io
import math
from pathlib import Path

import matplotlib.figure
from matplotlib.backends.backend_agg import FigureCanvasAgg

# Okabe and Ito (2008): told apart under the three common kinds of colour blindness.
OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}
# Yellow is left to fills (too light for a line on white); black to axes and references.
LINES = tuple(OKABE_ITO[name] for name in ("blue", "vermilion", "green", "orange", "purple", "sky"))
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure outside pyplot: nothing global is touched, nothing has to be closed."""

    def __init__(self, width: float, height: float):
        super().__init__(figsize=(width, height), dpi=100, layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """The picture, for a notebook in which the figure is the value of a cell."""
        return png(self)


def png(fig: matplotlib.figure.Figure) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return buffer.getvalue()


def save(fig: matplotlib.figure.Figure, path: str | Path, dpi: int = 120) -> Path:
    """Write ``fig`` to ``path`` in the format of its suffix; renamed into place when whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        fig.savefig(part, format=path.suffix.lstrip(".") or "png", dpi=dpi)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def panels(n: int, width: float, height: float, columns: int = 3, **subplots):
    """A figure of ``n`` panels, at most ``columns`` a row, and its ``n`` axes."""
    columns = min(n, columns)
    rows = math.ceil(n / columns)
    fig = Figure(width * columns, height * rows)
    axes = fig.subplots(rows, columns, squeeze=False, **subplots).ravel()
    for spare in axes[n:]:
        spare.remove()
    return fig, axes[:n]
