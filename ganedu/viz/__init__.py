"""The plots that lectures, labs and the demo draw: tensors in, a figure out, nothing on the screen."""

from ganedu.viz import (
    calibration,
    chains,
    curves,
    dcgan,
    density,
    diagnostics,
    dynamics,
    images,
    likelihood,
    mixing,
    results,
    tradeoff,
    training,
    walks,
)
from ganedu.viz.figure import OKABE_ITO, Figure, save

__all__ = [
    "OKABE_ITO",
    "Figure",
    "calibration",
    "chains",
    "curves",
    "dcgan",
    "density",
    "diagnostics",
    "dynamics",
    "images",
    "likelihood",
    "mixing",
    "results",
    "save",
    "tradeoff",
    "training",
    "walks",
]
