"""How well a clustering names the classes: accuracy after the best matching, and what chance would give."""

from typing import NamedTuple

import torch
from torch import Tensor

CONFIDENCE = 0.95


class MatchedAccuracy(NamedTuple):
    """``hits`` of ``n``, their share ``accuracy``, its exact 95% binomial interval from ``low`` to ``high``
    (Clopper and Pearson 1934), and ``chance``: the mean accuracy of clusters that know nothing, which is
    that over all orders of the labels."""

    accuracy: float
    hits: int
    n: int
    low: float
    high: float
    chance: float


def matching(cluster: Tensor, label: Tensor, classes: int = 10) -> Tensor:
    """The one-to-one map, (classes,), cluster -> label, that agrees with the most of the pairs cluster (n,),
    label (n,), both in 0 .. classes - 1: the assignment problem (Kuhn 1955), solved by scipy.

    A matching that is judged on the pairs that it was fitted on is kind to itself: of n = 20 pairs and 10
    classes one that knows nothing gets nearly half right. So fit it on some pairs and judge it on others.

    Raises ValueError for no pairs, different numbers of clusters and labels, or an index out of range.
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(cluster, label, classes)
    return torch.from_numpy(linear_sum_assignment(counts.numpy(), maximize=True)[1])


def matched_accuracy(mapping: Tensor, cluster: Tensor, label: Tensor) -> MatchedAccuracy:
    """Of pairs cluster (n,), label (n,) by the ``mapping`` (classes,) that ``matching`` found on others.

    The interval takes the pairs for independent, and the mapping for given.

    Raises ValueError as ``matching`` does, and for a mapping that is not one to one.
    """
    from scipy.stats import beta

    classes = len(mapping)
    if sorted(mapping.tolist()) != list(range(classes)):
        raise ValueError(f"mapping: expected a permutation of 0 .. {classes - 1}, got {mapping.tolist()}")
    counts = contingency(cluster, label, classes)[:, mapping]
    n, hits = int(counts.sum()), int(counts.diagonal().sum())
    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1.0 - tail, hits + 1, n - hits)) if hits < n else 1.0
    chance = float((counts.sum(1) * counts.sum(0)).sum()) / n**2
    return MatchedAccuracy(hits / n, hits, n, low, high, chance)


def contingency(cluster: Tensor, label: Tensor, classes: int) -> Tensor:
    """(classes, classes), int64: how many of the pairs have this cluster (row) and that label (column)."""
    if cluster.ndim != 1 or cluster.shape != label.shape or not len(cluster):
        got = f"{tuple(cluster.shape)}, {tuple(label.shape)}"
        raise ValueError(f"cluster, label: expected shape (n,) both, n > 0, got {got}")
    for name, index in (("cluster", cluster), ("label", label)):
        if index.is_floating_point() or index.min() < 0 or index.max() >= classes:
            raise ValueError(
                f"{name}: expected integers in 0 .. {classes - 1}, got {index.dtype} "
                f"{index.min().item()} to {index.max().item()}"
            )
    pairs = cluster.long().cpu() * classes + label.long().cpu()
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)
