"""Every flow, registered once; tests/flows/test_contract.py proves each of them right.

A new flow gets one line in CASES. A proof that does not apply to it is named there, with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from ganedu.flows import (
    CNF,
    ActNorm,
    Affine,
    Flow,
    Invertible1x1,
    Logit,
    LULinear,
    Multiscale,
    Permutation,
    RationalQuadratic,
    Transform,
    Velocity,
    glow,
    iaf,
    maf,
    neural_spline,
    nice,
    planar,
    radial,
    real_nvp,
)
from ganedu.targets import StandardNormal

PROOFS = {
    "shapes": "of both directions, draws and densities; neither parameters nor torch's generator change",
    "inverse": "inverse(forward(z)) = z, forward(inverse(x)) = x, and log determinants that add up to zero",
    "log_det": "both log determinants are those of autograd's Jacobian",
    "gradient": "every parameter gets a gradient, and all gradients agree with differences",
    "checkpoint": "a saved and loaded flow has the same log_prob, bit for bit",
    "rows": "changing one row leaves the others, bit for bit",
    "precision": "float32 agrees with float64",
    "autocast": "under autocast to bfloat16 results stay in float32, and nothing but networks is rounded",
    "continuity": "log_prob has no jumps",
    "integral": "the density integrates to 1 over the plane, by quadrature",
    "law": "draws have the law that log_prob says (DKW on projections, CDFs by quadrature)",
    "gpu": "a GPU gives the numbers of a CPU",
    "errors": "rows of a wrong shape raise a ValueError",
}


@dataclass(frozen=True)
class Case:
    """How to make a flow, and which proofs are not for it: name -> why.

    ``spread`` is the standard deviation of the noise by which its parameters are moved away from
    their initial values, ``tolerance`` that of inverses and log determinants in float64. Quadrature
    takes ``cells`` cells along each side of the square ``box``, the proof of the law ``draws`` draws.
    """

    make: Callable[[], Flow]
    excluded: Mapping[str, str] = field(default_factory=dict)
    spread: float = 0.15
    tolerance: float = 1e-8
    box: tuple[float, float] = (-9.0, 9.0)
    cells: int = 300
    draws: int = 100_000

    def build(self, seed: int = 0) -> Flow:
        """The flow in float64, away from the identity, with parameters that ``seed`` determines."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flow = self.make().double().eval()
            with torch.no_grad():
                for parameter in flow.parameters():
                    parameter += self.spread * torch.randn_like(parameter)
        return flow


def on_normal(dim: int, *transforms: Transform) -> Flow:
    return Flow(StandardNormal(dim), transforms)


def not_planar(dim: int) -> dict[str, str]:
    """The exclusions of a flow that is tried in another dimension than two."""
    return dict.fromkeys(("integral", "law"), f"quadrature is for the plane, and this has {dim} dimensions")


SPLINE = RationalQuadratic(bins=4, bound=2.0)
CASES = {
    "affine": Case(lambda: on_normal(2, Affine(2), Affine(2))),
    "actnorm": Case(lambda: on_normal(2, ActNorm(2))),
    "lu_linear": Case(lambda: on_normal(2, LULinear(2))),
    # Not in the plane, where every permutation is its own inverse.
    "permutation": Case(
        lambda: on_normal(4, Affine(4), Permutation(torch.tensor([2, 0, 3, 1])), Affine(4)), not_planar(4)
    ),
    "logit": Case(lambda: on_normal(2, Affine(2), LULinear(2), Logit(0.05)), box=(-0.06, 1.06)),
    "nice": Case(lambda: nice(2, 4, (16, 16))),
    "real_nvp": Case(lambda: real_nvp(2, 4, (16, 16)), box=(-25.0, 25.0), cells=800),
    "real_nvp_5d": Case(lambda: real_nvp(5, 4, (16,)), not_planar(5)),
    "neural_spline": Case(lambda: neural_spline(2, 3, (16, 16), bins=5, bound=2.0)),
    "neural_spline_3d": Case(lambda: neural_spline(3, 3, (16,), bins=5, bound=2.0), not_planar(3)),
    "maf": Case(lambda: maf(2, 3, (16, 16))),
    "maf_6d": Case(lambda: maf(6, 3, (4, 20)), not_planar(6)),
    "maf_spline": Case(lambda: maf(2, 2, (16,), SPLINE)),
    "iaf": Case(lambda: iaf(2, 3, (16, 16))),
    "iaf_spline": Case(lambda: iaf(2, 2, (16,), SPLINE)),
    "planar": Case(lambda: planar(2, 6), spread=0.6),
    "radial": Case(lambda: radial(2, 6), spread=0.3, box=(-6.0, 6.0)),
    "invertible_1x1": Case(
        lambda: on_normal(32, Multiscale((2, 4, 4), [[Invertible1x1(8)]])), not_planar(32), spread=0.1
    ),
    "cnf": Case(
        lambda: on_normal(2, CNF(Velocity(2, width=16, depth=2), rtol=1e-7, atol=1e-7)),
        {
            "rows": "the solver chooses its steps for the whole batch",
            "precision": "a tolerance of 1e-7 is below what float32 resolves",
        },
        tolerance=1e-5,
        cells=90,
        draws=10_000,
    ),
    "glow": Case(
        lambda: glow((1, 8, 8), levels=2, steps=2, width=8),
        not_planar(64) | {"continuity": "slow in so many dimensions; its couplings are those of the plane"},
        spread=0.1,
    ),
}


def cases(proof: str) -> list[str]:
    """The names of the flows that ``proof`` applies to."""
    return [name for name, case in CASES.items() if proof not in case.excluded]
