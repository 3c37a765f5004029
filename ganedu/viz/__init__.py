"""The plots that lectures, labs and the demo draw: tensors in, a figure out, nothing on the screen."""

from ganedu.viz import chains, curves, density, diagnostics, images, mixing, walks
from ganedu.viz.figure import OKABE_ITO, Figure, save

__all__ = [
    "OKABE_ITO",
    "Figure",
    "chains",
    "curves",
    "density",
    "diagnostics",
    "images",
    "mixing",
    "save",
    "walks",
]
