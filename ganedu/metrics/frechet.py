"""The Frechet distance between Gaussians, and between images in the features of a network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganedu.data import Images
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.networks import check_same_network, in_batches, label

# Below this the bias, which falls as 1/n, is larger than the differences one wants to see.
SMALLEST_N = 1_000


def frechet(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> float:
    """|m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^½ C_q C_p^½)^½), in float64.

    Squared Wasserstein-2 distance of two Gaussians (Dowson and Landau 1982); means (d,),
    covariances (d, d), units of the features squared.

    Raises ValueError where shapes disagree, a mean is not finite, or a covariance is not symmetric positive
    semidefinite.
    """
    mean_p, mean_q = mean_p.double(), mean_q.double()
    if mean_p.ndim != 1:
        raise ValueError(f"mean_p: expected shape (d,), got {tuple(mean_p.shape)}")
    for name, mean in (("mean_p", mean_p), ("mean_q", mean_q)):
        if mean.shape != mean_p.shape or not mean.isfinite().all():
            got = tuple(mean.shape) if mean.shape != mean_p.shape else "NaN or infinity among them"
            raise ValueError(f"{name}: expected {tuple(mean_p.shape)} = (d,) and finite, got {got}")
    root_p, root_q = _root("cov_p", cov_p, len(mean_p)), _root("cov_q", cov_q, len(mean_p))
    # (C_p^½ C_q C_p^½)^½ has the singular values of C_p^½ C_q^½ as its eigenvalues. Taking these
    # instead of roots of eigenvalues keeps a singular covariance exact to rounding.
    overlap = torch.linalg.svdvals(root_p @ root_q).sum()
    spread = cov_p.double().trace() + cov_q.double().trace() - 2.0 * overlap
    return float((mean_p - mean_q).square().sum() + spread)


def feature_statistics(images: Tensor | Images, net: nn.Module) -> dict:
    """``mean`` (k,) and ``cov`` (k, k), unbiased, float64, of ``net.features`` over n >= 2 images;
    with ``n``, ``network`` and ``sha256``.

    ``images``: floats (n, C, H, W) in [-1, 1], or ``Images``. Batches are merged by Chan's
    formula, so that a large mean costs no digits.

    Raises ValueError as ``networks.in_batches`` does, and for n < 2.
    """
    n, mean, scatter = 0, 0.0, 0.0
    if len(images) < 2:
        raise ValueError(f"images: a covariance needs at least 2, got {len(images)}")
    for features in in_batches(net.features, images, net):
        b = len(features)
        centre = features.mean(0)
        delta = centre - mean
        scatter = scatter + (features - centre).T @ (features - centre)
        scatter = scatter + torch.outer(delta, delta) * (n * b / (n + b))
        mean = mean + delta * (b / (n + b))
        n += b
    return {"mean": mean, "cov": scatter / (n - 1), "n": n, **label(net)}


def frechet_distance(x: Tensor | Images, net: nn.Module, statistics: Mapping) -> Measurement:
    """Frechet distance from the images ``x`` to those behind ``statistics``, in ``net.features``.

    ``statistics`` is what ``feature_statistics`` gave for the same network. The plug-in estimate
    is biased upwards, the more the smaller n: compare only at equal n (Heusel et al. 2017).

    Raises ValueError below 1,000 images on either side, for statistics of another network, and
    as ``feature_statistics`` does.
    """
    for name, n in (("x", len(x)), ("statistics", statistics["n"])):
        if n < SMALLEST_N:
            raise ValueError(f"{name}: a Frechet distance needs at least {SMALLEST_N:,} images, got {n}")
    ours = feature_statistics(x, net)
    check_same_network("statistics", statistics, ours)
    value = frechet(ours["mean"], ours["cov"], statistics["mean"], statistics["cov"])
    return Measurement(value, ours["n"], "Frechet distance", ours["network"], ours["sha256"])


def _root(name: str, cov: Tensor, d: int) -> Tensor:
    """Symmetric square root, in float64."""
    cov = cov.double()
    if cov.shape != (d, d):
        raise ValueError(f"{name}: expected shape ({d}, {d}), got {tuple(cov.shape)}")
    scale = float(cov.abs().max())
    if not ((cov - cov.T).abs() <= 1e-6 * scale).all():  # so that NaN is refused too
        raise ValueError(f"{name}: expected a finite symmetric matrix")
    values, vectors = torch.linalg.eigh(0.5 * (cov + cov.T))
    if values[0] < -1e-6 * scale:
        raise ValueError(f"{name}: expected no negative eigenvalue, got {float(values[0]):.3g}")
    # Of a rounded 0 the root would be 1e-8 and no longer rounding, d times over.
    values = values.where(values > d * torch.finfo(values.dtype).eps * values[-1], 0.0)
    return (vectors * values.sqrt()) @ vectors.T
