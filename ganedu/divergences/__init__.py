"""How far two distributions are apart: f-divergences, integral probability metrics, optimal transport."""

from ganedu.divergences.exact import (
    Fit,
    Gaussian,
    best_gaussian,
    between_gaussians,
    discrete,
    f_divergence,
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
from ganedu.divergences.special import log_lambert_w
from ganedu.divergences.variational import bound

__all__ = [
    "F_DIVERGENCES",
    "GAN",
    "KL",
    "Alpha",
    "FDivergence",
    "Fit",
    "Gaussian",
    "Jeffrey",
    "JensenShannon",
    "Neyman",
    "Pearson",
    "ReverseKL",
    "SquaredHellinger",
    "TotalVariation",
    "WeightedJensenShannon",
    "best_gaussian",
    "bound",
    "discrete",
    "f_divergence",
    "between_gaussians",
    "gaussian_kl",
    "log_gaussian_integral",
    "log_lambert_w",
]
