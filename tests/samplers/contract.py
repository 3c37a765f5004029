"""Every kernel, registered once; tests/samplers/test_contract.py proves each of them right.

A new kernel gets one line in CASES. A proof that does not apply to it is named there, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ganedu.samplers import (
    ISIR,
    NUTS,
    Barker,
    CrankNicolson,
    CrankNicolsonLangevin,
    EllipticalSlice,
    Ex2,
    Gibbs,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    Preconditioned,
    RandomWalk,
    Slice,
    StochasticLangevin,
    Tempering,
)
from ganedu.samplers.base import Kernel
from ganedu.targets import StandardNormal, Tilted
from ganedu.targets.toys import Gaussian

MEAN = torch.tensor([0.8, -0.5], dtype=torch.float64)
COV = torch.tensor([[0.7, 0.25], [0.25, 0.5]], dtype=torch.float64)
PRIOR = StandardNormal(2, torch.float64)

PROOFS = {
    "conservation": "20 steps from exact draws change no marginal (DKW)",
    "cache": "what a state holds equals a fresh computation at its point, bit for bit",
    "batch": "changing one chain's start leaves the others bit for bit",
    "resume": "a run that was stopped keeps the draws of one that was not, bit for bit",
    "moments": "long runs have the moments of the target, within 5 standard errors",
    "repeat": "the same seed gives the same run; the start and torch's generator are left alone",
    "gpu": "conservation and repetition on a GPU",
}


class Correlated(Tilted):
    """N(MEAN, COV), as a weight on N(0, I), with conditionals, and as a sum of two "observations"."""

    size = 2

    def __init__(self) -> None:
        self.exact = Gaussian(MEAN, COV)
        self.conditional = self.exact.conditional
        self.sample = self.exact.sample
        root = torch.linalg.inv(torch.linalg.cholesky(COV)).T
        super().__init__(
            PRIOR, lambda z: 0.5 * (z.square() - ((z - MEAN.to(z)) @ root.to(z)).square()).sum(-1)
        )


class TwoObservations:
    """N(0, 1) from two "observations" at ±1 of variance 2: a mini-batch sees one or both of them."""

    size = 2

    def log_prob(self, z, batch=None):
        y = torch.tensor([1.0, -1.0], dtype=z.dtype, device=z.device)
        batch = torch.arange(2, device=z.device).expand(len(z), 2) if batch is None else batch
        return -0.25 * (z - y[batch]).square().sum(-1) * self.size / batch.shape[1]


@dataclass(frozen=True)
class Case:
    """A kernel, and which proofs are not for it: name -> why."""

    kernel: Kernel
    target: object = field(default_factory=Correlated)
    dim: int = 2
    excluded: Mapping[str, str] = field(default_factory=dict)


def biased(law: str) -> dict[str, str]:
    """The exclusions of an unadjusted kernel whose own law is proved elsewhere."""
    return dict.fromkeys(("conservation", "moments"), f"unadjusted; its own law is {law}")


MALA = MetropolisHastings(Langevin(0.5))
CASES = {
    "random_walk": Case(MetropolisHastings(RandomWalk(0.5))),
    "independence": Case(MetropolisHastings(Independence())),
    "ula": Case(Langevin(0.5), excluded=biased("proved in test_langevin.py")),
    "mala": Case(MALA),
    "mala_long": Case(MetropolisHastings(Langevin(1.5))),
    "barker": Case(MetropolisHastings(Barker(0.8))),
    "crank_nicolson": Case(MetropolisHastings(CrankNicolson(0.6))),
    "crank_nicolson_langevin": Case(MetropolisHastings(CrankNicolsonLangevin(0.7))),
    "hmc": Case(MetropolisHastings(Hamiltonian(0.6, 4))),
    "nuts": Case(NUTS(0.6)),
    "nuts_shallow": Case(NUTS(0.3, max_depth=2)),
    "elliptical_slice": Case(EllipticalSlice()),
    "slice": Case(Slice(1.0)),
    "slice_narrow": Case(Slice(0.4, max_steps=3)),
    "gibbs": Case(Gibbs()),
    "isir": Case(ISIR(4)),
    "ex2": Case(Ex2(MALA, n_particles=4, n_moves=2)),
    "tempering": Case(Tempering(MALA, (1.0, 0.5, 0.2), n_moves=2)),
    "preconditioned_mala": Case(Preconditioned(MALA, torch.tensor([0.6, 1.7], dtype=torch.float64))),
    "preconditioned_nuts": Case(Preconditioned(NUTS(0.6), torch.tensor([0.9, 0.6], dtype=torch.float64))),
    "ex2_ula": Case(Ex2(Langevin(0.5), n_particles=4), excluded=biased("between ULA's and the target")),
    "tempering_ula": Case(
        Tempering(Langevin(0.5), (1.0, 0.4)), excluded=biased("mixed from ULA's at two temperatures")
    ),
    "tempering_slices": Case(Tempering(EllipticalSlice(), (1.0, 0.4), n_moves=2)),
    "ex2_nuts": Case(Ex2(NUTS(0.6, max_depth=3), n_particles=3, n_moves=2)),
    "hmc_jittered": Case(MetropolisHastings(Hamiltonian(0.6, 4, jitter=0.5))),
    "sgld": Case(
        StochasticLangevin(0.3, 1),
        TwoObservations(),
        dim=1,
        excluded=biased("proved in test_sgld.py")
        | {"cache": "its gradient is a mini-batch's estimate, drawn with the step"},
    ),
}


def cases(proof: str) -> list[str]:
    """The names of the kernels that ``proof`` applies to."""
    return [name for name, case in CASES.items() if proof not in case.excluded]
