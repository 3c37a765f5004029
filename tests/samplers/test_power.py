"""The power of the conservation test: it rejects a planted error in every family of kernels.

Each is compared as in test_contract.py, with the same number of chains, steps and marginals.
"""

import pytest

from ganedu.samplers import Gibbs, Langevin, MetropolisHastings
from tests.samplers import kernels as planted
from tests.samplers.contract import CASES, MALA
from tests.samplers.test_contract import rejection

TARGET = CASES["mala"].target
MH = MetropolisHastings
ERRORS = {
    "random_walk": MH(planted.Drifting(0.5)),
    "independence": MH(planted.NoLawRatio()),
    "adaptation": MH(planted.NeverFrozen(0.5)),
    "ula": Langevin(0.5),
    "mala, old gradient": MH(planted.OldGradient(0.5)),
    "mala, no ratio": MH(planted.NoProposalRatio(0.5)),
    "mala, variance": MH(planted.VarianceAsDeviation(0.5)),
    "mala, no prior": planted.PriorDropped(Langevin(0.5)),
    "barker": MH(planted.BarkerAsRandomWalk(0.8)),
    "crank_nicolson": MH(planted.PriorTwice(0.6)),
    "crank_nicolson_langevin": MH(planted.WholeGradient(0.7)),
    "hmc, no momentum": MH(planted.PotentialOnly(0.6, 4)),
    "hmc, euler": MH(planted.Euler(0.3, 2)),
    "nuts": planted.LastPoint(0.6),
    "elliptical_slice": planted.LevelOfDensity(),
    "slice": planted.LowLevel(1.0),
    "isir": planted.DensityAsWeight(4),
    "ex2": planted.StaleGradient(MALA, n_particles=4, n_moves=2),
    "tempering": planted.AlwaysSwaps(MALA, (1.0, 0.5, 0.2), n_moves=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_is_rejected(name):
    assert rejection(ERRORS[name], TARGET) > 1.5


@pytest.mark.slow
def test_wrong_conditionals_are_rejected():
    assert rejection(Gibbs(), planted.Unconditional()) > 1.5
