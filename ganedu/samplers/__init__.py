"""How a target is sampled: transition kernels and the loops that run them.

>>> import torch
>>> from ganedu.samplers import Langevin, MetropolisHastings, run
>>> from ganedu.targets import StandardNormal
>>> rng = torch.Generator().manual_seed(0)
>>> kernel = MetropolisHastings(Langevin(step_size=0.1))
>>> trace = run(kernel, StandardNormal(2), torch.zeros(100, 2), steps=1000, rng=rng)

=============================================== ======================= ==========================
kernel                                          asks the target for     law
=============================================== ======================= ==========================
MetropolisHastings(RandomWalk(step_size))       log_prob                exact
MetropolisHastings(Independence(law))           log_prob                exact
MetropolisHastings(Langevin(step_size)), MALA   gradient                exact
Langevin(step_size), ULA                        gradient                biased by its step size
MetropolisHastings(Barker(step_size))           gradient                exact
MetropolisHastings(CrankNicolson(step_size))    prior N(0, I)           exact
MetropolisHastings(CrankNicolsonLangevin(...))  prior N(0, I), gradient exact
MetropolisHastings(Hamiltonian(...)), HMC       gradient                exact
NUTS(step_size)                                 gradient                exact
EllipticalSlice()                               prior N(0, I)           exact
Slice(width)                                    log_prob                exact
Gibbs()                                         conditional             exact
ISIR(n_particles), Ex2(kernel)                  prior or a law          exact, if the kernel is
Tempering(kernel, betas)                        prior                   exact, if the kernel is
StochasticLangevin(step_size, batch_size)       mini-batches            biased
=============================================== ======================= ==========================

``importance_sampling``, ``annealed_importance_sampling`` and ``smc`` weigh draws of the prior (the last
two move them by any exact kernel) and estimate Z as well.
"""

from ganedu.samplers.annealed import annealed_importance_sampling
from ganedu.samplers.barker import Barker
from ganedu.samplers.crank_nicolson import CrankNicolson, CrankNicolsonLangevin
from ganedu.samplers.driver import Trace, run
from ganedu.samplers.elliptical_slice import EllipticalSlice
from ganedu.samplers.gibbs import Gibbs
from ganedu.samplers.hamiltonian import Hamiltonian
from ganedu.samplers.importance import importance_sampling
from ganedu.samplers.independence import Independence
from ganedu.samplers.isir import ISIR, Ex2
from ganedu.samplers.langevin import Langevin
from ganedu.samplers.metropolis_hastings import MetropolisHastings
from ganedu.samplers.nuts import NUTS
from ganedu.samplers.preconditioned import Preconditioned
from ganedu.samplers.random_walk import RandomWalk
from ganedu.samplers.sample import Sample, sample
from ganedu.samplers.sgld import StochasticLangevin
from ganedu.samplers.slice import Slice
from ganedu.samplers.smc import smc
from ganedu.samplers.summaries import summary
from ganedu.samplers.tempered import Tempered
from ganedu.samplers.tempering import Tempering
from ganedu.samplers.traces import load_trace, save_trace

__all__ = [
    "ISIR",
    "NUTS",
    "Barker",
    "CrankNicolson",
    "CrankNicolsonLangevin",
    "EllipticalSlice",
    "Ex2",
    "Gibbs",
    "Hamiltonian",
    "Independence",
    "Langevin",
    "MetropolisHastings",
    "Preconditioned",
    "RandomWalk",
    "Sample",
    "Slice",
    "StochasticLangevin",
    "Tempered",
    "Tempering",
    "Trace",
    "annealed_importance_sampling",
    "importance_sampling",
    "load_trace",
    "run",
    "sample",
    "save_trace",
    "smc",
    "summary",
]
