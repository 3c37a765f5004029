"""Normalising flows: x = f(z) with z from N(0, I), an invertible f, and so a density of x.

>>> import torch
>>> from ganedu.flows import real_nvp
>>> flow = real_nvp(2)
>>> x = flow.sample(5, torch.Generator().manual_seed(0))
>>> flow.log_prob(x).shape
torch.Size([5])

Trained on two moons, of which every step draws new points; a tensor of data (n, 2) will do as well:

    from ganedu.data import two_moons
    from ganedu.training import MLERecipe, fit_mle
    flow = fit_mle(flow, NegativeLogLikelihood(), two_moons, MLERecipe(steps=2000), Path("build/moons"))

============================================== ========= ========= ==============================
flow                                           log_prob  sample    parts
============================================== ========= ========= ==============================
nice(dim), real_nvp(dim), neural_spline(dim)   1 pass    1 pass    Coupling(net, univariate)
maf(dim)                                       1 pass    dim       Autoregressive(net, univariate)
iaf(dim)                                       dim       1 pass    Inverted(Autoregressive(...))
planar(dim)                                    bisection 1 pass    Planar(dim)
radial(dim)                                    1 pass    1 pass    Radial(dim)
glow(shape), images                            1 pass    1 pass    Multiscale(shape, levels)
cnf(dim)                                       solver    solver    CNF(velocity)
============================================== ========= ========= ==============================

A univariate map is Shift(), ScaleShift() or RationalQuadratic(bins, bound).

Objectives for ``ganedu.training.fit_mle``: NegativeLogLikelihood() for all of them; FlowMatching(sigma) and
OTFlowMatching(sigma) for a cnf; without data but with a target, ReverseKL(target) and its kin.
"""

from ganedu.flows.autoregressive import MADE, Autoregressive
from ganedu.flows.base import Flow, Inverted, Transform
from ganedu.flows.continuous import CNF, HutchinsonLikelihood, Velocity, cnf
from ganedu.flows.coupling import Coupling
from ganedu.flows.elementwise import ActNorm, Affine, Logit, initialise
from ganedu.flows.importance import ForwardKL, ReverseKL, WeightVariance, beside_prior
from ganedu.flows.linear import Invertible1x1, LULinear, Permutation
from ganedu.flows.matching import FlowMatching, OTFlowMatching
from ganedu.flows.multiscale import Multiscale
from ganedu.flows.objectives import DequantisedLogLikelihood, NegativeLogLikelihood, bits_per_dimension
from ganedu.flows.recipes import glow, iaf, maf, neural_spline, nice, planar, radial, real_nvp
from ganedu.flows.residual import Planar, Radial
from ganedu.flows.spline import RationalQuadratic
from ganedu.flows.univariate import ScaleShift, Shift

__all__ = [
    "CNF",
    "MADE",
    "ActNorm",
    "Affine",
    "Autoregressive",
    "Coupling",
    "DequantisedLogLikelihood",
    "Flow",
    "FlowMatching",
    "ForwardKL",
    "HutchinsonLikelihood",
    "Inverted",
    "Invertible1x1",
    "LULinear",
    "Logit",
    "Multiscale",
    "NegativeLogLikelihood",
    "OTFlowMatching",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadratic",
    "ReverseKL",
    "ScaleShift",
    "Shift",
    "Transform",
    "Velocity",
    "WeightVariance",
    "beside_prior",
    "bits_per_dimension",
    "cnf",
    "glow",
    "iaf",
    "initialise",
    "maf",
    "neural_spline",
    "nice",
    "planar",
    "radial",
    "real_nvp",
]
