"""The GAN pair, the objectives it is trained with, and the calibration of its discriminator.

Objectives that are modules are imported as such, ``from ganedu.gans import non_saturating, wasserstein``;
classes and penalties by their names, ``from ganedu.gans import TwoPlayer, InfoGAN, gradient_penalty``. Their
modules are loaded when they are asked for.
"""

from importlib import import_module
from typing import Any

from ganedu.gans.pair import GAN

_HOME = {
    "alpha_gan": ("AlphaGAN",),
    "consensus": ("Consensus",),
    "energy": ("BEGAN", "EBGAN", "AutoencoderEnergy", "pull_away"),
    "f_gan": ("FGAN", "NonSaturatingFGAN"),
    "game": ("Balance", "Balanced", "Game", "Objective", "TwoPlayer", "ZeroSum"),
    "info_gan": ("Code", "InfoGAN"),
    "least_squares": ("PEARSON", "LeastSquares"),
    "mmd_gan": ("MMDGAN",),
    "moment_matching": ("FeatureMatching", "MomentMatching"),
    "penalties": ("gradient_penalty", "r1", "r2"),
    "unrolled": ("AdamStep", "GradientStep", "Unrolled"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["GAN", *sorted(_MODULE)]


def __getattr__(name: str) -> Any:
    """What is asked for by name, from the module that it is at home in."""
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
