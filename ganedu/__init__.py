"""ganedu: a course as code on deep generative models and Markov chain Monte Carlo."""

__version__ = "0.1.0"
