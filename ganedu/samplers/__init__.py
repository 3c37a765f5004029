"""How a target is sampled: transition kernels and the loop that runs them.

>>> kernel = MetropolisHastings(Langevin(step_size=0.1))
>>> trace = run(kernel, StandardNormal(2), torch.zeros(100, 2), steps=1000, rng=rng)
"""

from ganedu.samplers.driver import Trace, run
from ganedu.samplers.independence import Independence
from ganedu.samplers.langevin import Langevin
from ganedu.samplers.metropolis_hastings import MetropolisHastings

__all__ = ["Independence", "Langevin", "MetropolisHastings", "Trace", "run"]
