"""Latent-variable models fitted by bounds on their likelihood: ELBO, IWAE, BBVI, VAE.

A VAE of the digits as binary pixels, and how likely it finds the first hundred:

>>> import torch
>>> from pathlib import Path
>>> from ganedu.data import digits
>>> from ganedu.training import MLERecipe, fit_mle
>>> from ganedu.likelihood import NegativeELBO, binarise, evidence_bounds, mlp_vae
>>> vae = mlp_vae((1, 8, 8), latent_dim=8)
>>> objective = NegativeELBO(latent_dim=8, prepare=binarise)
>>> vae = fit_mle(vae, objective, digits().pixels, MLERecipe(steps=300), Path("build/digits"))
>>> rng = torch.Generator().manual_seed(0)
>>> x = binarise(digits().pixels[:100], rng)
>>> bounds = evidence_bounds(vae.log_joint, x, vae.posterior(x), k=200, rng=rng)
>>> bool((bounds.elbo < bounds.iwae).all()), vae.sample(3, rng).shape
(True, torch.Size([3, 1, 8, 8]))

``NegativeIWAE(latent_dim=8, k=8, prepare=binarise)`` trains the same model by the other bound. Pixels are
bytes or floats in [-1, 1]; with ``BernoulliHead``, the default, ``prepare`` has to make them binary, with
a Gaussian head continuous (``dequantise``).

``likelihood.energy`` has what a model without a likelihood is fitted by: PCA and K-means as energies, score
and ratio matching.

Notation: in this package p is the model, its joint law p(x, z) and its evidence p(x), and q(z|x) the
approximate posterior, as in Kingma and Welling (2014). Elsewhere P is the data and Q the model.
"""

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
from ganedu.likelihood.posteriors import CholeskyGaussian, DiagonalGaussian, LogVariance, Posterior

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
    "LogVariance",
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
