"""What a lecturer moves: each demo is a ``Panel`` over a pure function, and returns it.

The numbers that a demo shows come from a function of their own beside it, so that what a lecture says about
them is asserted in ``tests/demos/``.
"""

from ganedu.demos.markov_chains import chains_apart, leapfrog, walk
from ganedu.demos.step_sizes import step_size, unadjusted

__all__ = [
    "chains_apart",
    "leapfrog",
    "step_size",
    "unadjusted",
    "walk",
]
