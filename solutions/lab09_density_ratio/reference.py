"""References and random cases for the hidden checks of lab 9: from the definitions, in float64."""

import math

import torch
from torch.distributions import MultivariateNormal

from ganedu.grading.cases import normal
from ganedu.grading.checks import Named


def platt(real, fake):
    """(2,): the zero of the gradient of (9.4), by Newton's method with the derivatives written out."""
    logit = torch.cat([real, fake])
    centre, spread = logit.mean(), logit.std()
    design = torch.stack([(logit - centre) / spread, torch.ones_like(logit)], 1)
    is_real = (torch.arange(len(logit)) < len(real)).double()
    weight = torch.where(is_real > 0, 1 / len(real), 1 / len(fake))
    theta = torch.zeros(2, dtype=torch.float64)
    for _ in range(200):
        p = 1 / (1 + torch.exp(-design @ theta))
        curvature = (design.T * (weight * p * (1 - p))) @ design
        move = torch.linalg.solve(curvature, design.T @ (weight * (p - is_real)))
        theta = theta - move / max(1.0, float(move.abs().max()))
    s = theta[0] / spread
    return torch.stack([s, theta[1] - s * centre])


def acceptance(d, d_max, gamma, epsilon):
    """(9.6), with the odds of the acceptance written as a quotient."""
    ahead = torch.minimum(d - d_max, torch.zeros_like(d))
    behind = torch.log1p(-torch.exp(ahead - epsilon)) + gamma
    return torch.exp(ahead - torch.logaddexp(ahead, behind))


def inverse_odds(d):
    """D^-1 - 1, for d of moderate size."""
    return 1 / torch.sigmoid(d) - 1


def energy(z, generator, logit, scale):
    """E(z) up to a constant."""
    return z.square().sum(1) / 2 - scale * logit(generator(z))


def langevin(z, energy, step_size, noise):
    """The trace of (9.12)."""
    trace = []
    for xi in noise:
        z = z.clone().requires_grad_()
        (grad,) = torch.autograd.grad(energy(z), z, torch.ones(len(z), dtype=z.dtype))
        z = (z - step_size / 2 * grad + math.sqrt(step_size) * xi).detach()
        trace.append(z)
    return torch.stack(trace)


def five_pictures(s, b):
    """{"real", "fake"}: raw logits (d - b) / s where each picture is real exactly as often as d says."""
    real, fake = torch.tensor([30, 60, 180, 360, 720]), torch.tensor([240, 120, 180, 90, 45])
    d = (real.double() / real.sum()).log() - (fake.double() / fake.sum()).log()
    return {"real": ((d - b) / s).repeat_interleave(real), "fake": ((d - b) / s).repeat_interleave(fake)}


def linear_gan(rng, scale, offset):
    """(generator, logit, log p_d): affine G and Gaussian data, whose d is quadratic and written down.

    `logit` is raw: scale * logit + offset is d = log p_d - log p_g.
    """
    weight, bias = torch.eye(3).double() + 0.3 * normal(rng, 3, 3), normal(rng, 3)
    root, mean = torch.eye(3).double() + 0.3 * normal(rng, 3, 3), normal(rng, 3)
    data, model = MultivariateNormal(mean, root @ root.T), MultivariateNormal(bias, weight.T @ weight)
    matrix = (model.precision_matrix - data.precision_matrix) / 2
    slope = data.precision_matrix @ mean - model.precision_matrix @ bias
    zero = torch.zeros(1, 3).double()
    constant = float(data.log_prob(zero) - model.log_prob(zero))
    raw = {"matrix": matrix / scale, "weight": slope / scale, "bias": (constant - offset) / scale}
    return Named("affine", weight=weight, bias=bias), Named("quadratic_logit", **raw), data.log_prob


def blobs(rng, modes=25):
    """(log p_g, d) of a GAN that draws one of `modes` blobs, which the data have equally often."""
    log_model = torch.log_softmax(0.8 * normal(rng, modes), 0)
    return log_model, -math.log(modes) - log_model


def all_pairs(d):
    """{"d", "d_new"}: every move from one of n states to another, n² of them."""
    n = len(d)
    return {"d": d.repeat_interleave(n), "d_new": d.repeat(n)}


def law_after(log_model, alpha, steps=4096):
    """The law of an independence chain with acceptances alpha (n, n) that starts at the model's, (n,)."""
    move = log_model.exp() * alpha
    move = move - torch.diag(move.diagonal())
    matrix = move + torch.diag(1 - move.sum(1))
    return log_model.exp() @ torch.linalg.matrix_power(matrix, steps)


def four_blobs(rng, chains=64, steps=100):
    """DDLS in four blobs, all chains from one point near the first of them."""
    means = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]).double()
    density = {
        "weights": torch.full((4,), 0.25).double(),
        "means": means,
        "std": torch.full((4,), 0.5).double(),
    }
    return means, {
        "z": (means[0] + 0.2 * normal(rng, 2)).expand(chains, 2).clone(),
        "energy": Named("negative", function=Named("mixture", **density)),
        "step_size": 0.15,
        "noise": normal(rng, steps, chains, 2),
    }


def shares(points, means):
    """The share of points (n, k) that is nearest to each of means (m, k), (m,)."""
    nearest = torch.cdist(points.double(), means).argmin(1)
    return torch.bincount(nearest, minlength=len(means)).double() / len(points)
