"""Latent-variable models fitted by bounds on their likelihood: ELBO, IWAE, BBVI, VAE."""

from ganedu.likelihood.aggregate import (
    Surgery,
    active_units,
    activity,
    log_aggregate,
    mean_kl_per_dim,
    surgery,
)
from ganedu.likelihood.black_box import Fit, bbvi
from ganedu.likelihood.bounds import Bounds, bounds_of, elbo, evidence_bounds, iwae, log_weight, naive
from ganedu.likelihood.decoders import Bernoulli, BernoulliHead, FixedStd, Gaussian, LearnedStd, SharedStd
from ganedu.likelihood.gradients import Gradient, reinforce, reinforce_with_baseline, reparameterised
from ganedu.likelihood.linear import LinearGaussian, fit_linear_gaussian
from ganedu.likelihood.models import VAE, Autoencoder, mlp_autoencoder, mlp_vae
from ganedu.likelihood.objectives import (
    DenoisingReconstruction,
    MonteCarloNegativeELBO,
    NegativeELBO,
    NegativeIWAE,
    Reconstruction,
)
from ganedu.likelihood.pixels import binarise, dequantise, floats, threshold
from ganedu.likelihood.posteriors import CholeskyGaussian, DiagonalGaussian, Posterior

__all__ = [
    "VAE",
    "Autoencoder",
    "Bernoulli",
    "BernoulliHead",
    "Bounds",
    "CholeskyGaussian",
    "DenoisingReconstruction",
    "DiagonalGaussian",
    "Fit",
    "FixedStd",
    "Gaussian",
    "Gradient",
    "LearnedStd",
    "LinearGaussian",
    "MonteCarloNegativeELBO",
    "NegativeELBO",
    "NegativeIWAE",
    "Posterior",
    "Reconstruction",
    "SharedStd",
    "Surgery",
    "active_units",
    "activity",
    "bbvi",
    "binarise",
    "bounds_of",
    "dequantise",
    "elbo",
    "evidence_bounds",
    "fit_linear_gaussian",
    "floats",
    "iwae",
    "log_aggregate",
    "log_weight",
    "mean_kl_per_dim",
    "mlp_autoencoder",
    "mlp_vae",
    "naive",
    "reinforce",
    "reinforce_with_baseline",
    "reparameterised",
    "surgery",
    "threshold",
]
