"""What a lecturer moves: each demo is a ``Panel`` over a pure function, and returns it.

The numbers that a demo shows come from a function of their own beside it, so that what a lecture says about
them is asserted in ``tests/demos/``.
"""
