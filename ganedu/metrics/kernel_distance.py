"""The kernel distance between images: an unbiased MMD² in the features of a network.

Bińkowski et al. (2018) call it KID where the network is Inception. Unlike the Frechet distance it has no
bias, at any n, and a standard error.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganedu.data import Images
from ganedu.divergences.mmd import Kernel, Polynomial
from ganedu.divergences.samples import check_pair
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.networks import check_same_network, in_batches, label

ENTRIES = 2**20  # kernel values at once: 8 MiB in double precision, a few times


def image_features(images: Tensor | Images, net: nn.Module) -> dict:
    """``features`` (n, k), float64, of ``net.features`` over n images; with ``n``, ``network``, ``sha256``.

    ``images``: floats (n, C, H, W) in [-1, 1], or ``Images``. Raises ValueError as ``networks.in_batches``.
    """
    features = torch.cat(list(in_batches(net.features, images, net)))
    return {"features": features, "n": len(features), **label(net)}


def kernel_distance(x: Tensor | Images, net: nn.Module, reference: Mapping) -> Measurement:
    """MMD² with the kernel (⟨a, b⟩ / k + 1)³ between the features of the images ``x`` and those of
    ``reference``, which is what ``image_features`` gave for the same network. With its standard error.

    All pairs count; the paper averages over subsets of 1,000 instead, which has the same mean, a larger
    variance, and a spread that is no standard error. Figures are often printed times 1,000.

    Raises ValueError for less than two images on a side, features of another network, and as
    ``image_features`` does.
    """
    ours = image_features(x, net)
    check_same_network("reference", reference, ours)
    value, error = mmd2_and_error(ours["features"], reference["features"], Polynomial())
    return Measurement(
        value, ours["n"], "Kernel distance", ours["network"], ours["sha256"], standard_error=error
    )


@torch.no_grad()
def mmd2_and_error(x: Tensor, y: Tensor, kernel: Kernel) -> tuple[float, float]:
    """``mmd.mmd2_unbiased`` of x (n, d) and y (m, d), n, m >= 2, in blocks; and its jackknife standard error,
    over the points of both samples (inf below three points on a side).

    Where P = Q the statistic is of order 1/n and not Gaussian; its test is ``two_sample.permutation_test``.

    Raises ValueError for less than two points on a side, or samples of two spaces.
    """
    check_pair(x, y, at_least=2)
    x, y = x.double(), y.double()
    n, m = len(x), len(y)
    # What every point has in the three sums; leaving it out takes that away.
    x_within, y_within = _row_sums(x, x, kernel), _row_sums(y, y, kernel)
    x_within = x_within - kernel.pairs(x, x)
    y_within = y_within - kernel.pairs(y, y)
    x_across, y_across = _row_sums(x, y, kernel), _row_sums(y, x, kernel)
    xx, yy, xy = x_within.sum(), y_within.sum(), x_across.sum()
    value = float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2.0 * xy / (n * m))
    if min(n, m) < 3:
        return value, math.inf
    x_left_out = (xx - 2.0 * x_within) / ((n - 1) * (n - 2)) - 2.0 * (xy - x_across) / ((n - 1) * m)
    y_left_out = (yy - 2.0 * y_within) / ((m - 1) * (m - 2)) - 2.0 * (xy - y_across) / ((m - 1) * n)
    # The sample variance of the jackknife, of either sample with the other fixed.
    parts = ((n - 1) / n * _scatter(x_left_out), (m - 1) / m * _scatter(y_left_out))
    return value, math.sqrt(sum(parts))


def _row_sums(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """Σ_j k(x_i, y_j), (n,)."""
    size = max(1, ENTRIES // len(y))
    sums = x.new_empty(len(x))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        sums[rows] = kernel.gram(x[rows], y).sum(1)
    return sums


def _scatter(values: Tensor) -> float:
    return float((values - values.mean()).square().sum())
