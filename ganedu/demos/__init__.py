"""What a lecturer moves: each demo is a ``Panel`` over a pure function, and returns it.

The numbers that a demo shows come from a function of their own beside it, so that what a lecture says about
them is asserted in ``tests/demos/``.
"""

from ganedu.demos.density_ratio import calibration_temperature, rejection_gamma, reliability
from ganedu.demos.latent import inversion, latent_path
from ganedu.demos.latent_langevin import langevin_bias
from ganedu.demos.markov_chains import chains_apart, leapfrog, walk
from ganedu.demos.rep_gan import ceiling, chain_strip, independence
from ganedu.demos.step_sizes import step_size, unadjusted
from ganedu.demos.surface import jacobians

__all__ = [
    "calibration_temperature",
    "ceiling",
    "chain_strip",
    "chains_apart",
    "independence",
    "inversion",
    "jacobians",
    "langevin_bias",
    "latent_path",
    "leapfrog",
    "rejection_gamma",
    "reliability",
    "step_size",
    "unadjusted",
    "walk",
]
