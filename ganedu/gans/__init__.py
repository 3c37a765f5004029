"""The GAN pair, the games it is trained by, and the calibration of its discriminator.

An objective is a module of two functions, ``critic_loss`` and ``generator_loss``, or an object with them:

    minimax, non_saturating     Goodfellow et al. 2014: the game of its theorem, and the one that is trained
    hinge                       Lim and Ye 2017, for critics with spectral norms
    wasserstein                 WGAN, with ``wasserstein.clip`` or a gradient penalty
    ratio_matching              the critic says p/q itself
    LeastSquares(), EBGAN(m)    LSGAN; energies up to a margin
    FGAN(d), NonSaturatingFGAN  any f-divergence, ``divergences.F_DIVERGENCES``

``TwoPlayer(objective, latent_dim, penalties)`` makes a game of it that ``training.fit_adversarial`` plays,
with ``gradient_penalty``, ``r1`` or ``r2``. Games of their own: ``ZeroSum``, ``Balanced`` (BEGAN),
``Consensus``, ``InfoGAN``, ``AlphaGAN``, ``MMDGAN``, ``Unrolled``, ``FeatureMatching``, ``MomentMatching``.

Other modules: ``calibration`` (from what D says to a log density ratio), ``dynamics`` (games small enough
to draw), ``latents`` (ways through latent space), ``precision`` (the same GAN, faster). All are loaded when
they are asked for: ``from ganedu.gans import non_saturating, TwoPlayer, dynamics``.
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
_OBJECTIVES = {"hinge", "minimax", "non_saturating", "ratio_matching", "wasserstein"}
_MODULES = _OBJECTIVES | {"calibration", "dynamics", "latents", "precision"}

__all__ = ["GAN", *sorted(_MODULE), *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    """What is asked for by name: a module, or from the module that it is at home in."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
