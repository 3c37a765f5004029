"""How far two distributions are apart: f-divergences, integral probability metrics, optimal transport.

The losses that learn a density ratio are in the module ``density_ratio``.
"""

from ganedu.divergences import density_ratio
from ganedu.divergences.exact import (
    Fit,
    Gaussian,
    best_gaussian,
    discrete_f_divergence,
    f_divergence,
    gaussian_f_divergence,
    gaussian_kl,
    log_gaussian_integral,
)
from ganedu.divergences.f_divergences import (
    F_DIVERGENCES,
    GAN,
    KL,
    Alpha,
    FDivergence,
    Jeffrey,
    JensenShannon,
    Neyman,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
    WeightedJensenShannon,
)
from ganedu.divergences.kantorovich import KantorovichDual, w1_dual_value, w1_lower_bound
from ganedu.divergences.mmd import (
    RBF,
    Features,
    Kernel,
    Polynomial,
    RationalQuadratic,
    Sum,
    mmd2_biased,
    mmd2_linear,
    mmd2_unbiased,
    witness,
)
from ganedu.divergences.sinkhorn import Sinkhorn, sinkhorn, sinkhorn_divergence
from ganedu.divergences.special import log_lambert_w
from ganedu.divergences.transport import (
    Plan,
    cost_1d,
    distance_cost,
    optimal_plan,
    random_directions,
    sliced_cost,
    wasserstein,
)
from ganedu.divergences.two_sample import TwoSampleTest, permutation_test
from ganedu.divergences.variational import variational_bound

__all__ = [
    "F_DIVERGENCES",
    "GAN",
    "KL",
    "RBF",
    "Alpha",
    "FDivergence",
    "Features",
    "Fit",
    "Gaussian",
    "Jeffrey",
    "JensenShannon",
    "KantorovichDual",
    "Kernel",
    "Neyman",
    "Pearson",
    "Plan",
    "Polynomial",
    "RationalQuadratic",
    "ReverseKL",
    "Sinkhorn",
    "SquaredHellinger",
    "Sum",
    "TotalVariation",
    "TwoSampleTest",
    "WeightedJensenShannon",
    "best_gaussian",
    "cost_1d",
    "density_ratio",
    "discrete_f_divergence",
    "distance_cost",
    "f_divergence",
    "gaussian_f_divergence",
    "gaussian_kl",
    "log_gaussian_integral",
    "log_lambert_w",
    "mmd2_biased",
    "mmd2_linear",
    "mmd2_unbiased",
    "optimal_plan",
    "permutation_test",
    "random_directions",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_cost",
    "variational_bound",
    "w1_dual_value",
    "w1_lower_bound",
    "wasserstein",
    "witness",
]
