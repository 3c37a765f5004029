"""What is sampled: log densities, batched over chains, that know nothing of kernels.

>>> import torch
>>> from ganedu.targets import TARGETS, references
>>> target = TARGETS["funnel"](dtype=torch.float64)   # or Funnel(dim=3), or LatentTarget(gan)
>>> target.log_prob(target.sample(5, torch.Generator().manual_seed(0))).shape
torch.Size([5])
>>> float(references("funnel").sd[0])                  # what a sampler should find
3.0
"""

from ganedu.targets.base import StandardNormal, Target, Tilted, log_prob_and_grad, tilted
from ganedu.targets.gan import LatentTarget
from ganedu.targets.moments import TARGETS, Moments, references
from ganedu.targets.posteriors import (
    BayesianLinear,
    EightSchools,
    EightSchoolsCentred,
    LogisticRegression,
    breast_cancer,
    diabetes,
)
from ganedu.targets.toys import (
    Banana,
    Funnel,
    Gaussian,
    Ring,
    far_modes,
    ill_conditioned_gaussian,
    twenty_five_gaussians,
)

__all__ = [
    "TARGETS",
    "Banana",
    "BayesianLinear",
    "EightSchools",
    "EightSchoolsCentred",
    "Funnel",
    "Gaussian",
    "LatentTarget",
    "LogisticRegression",
    "Moments",
    "Ring",
    "StandardNormal",
    "Target",
    "Tilted",
    "breast_cancer",
    "diabetes",
    "far_modes",
    "ill_conditioned_gaussian",
    "log_prob_and_grad",
    "references",
    "tilted",
    "twenty_five_gaussians",
]
