"""The classifier score: the formula of the Inception Score in a network of our own."""

import torch
from torch import Tensor, nn

from ganedu.data import Images
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.networks import in_batches, label


def score(logits: Tensor) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) from logits (n, classes), n >= 2; and its jackknife standard error.

    From 1 (every image gets the same label distribution) to the number of classes. The marginal
    p(y) is the mean over all n, without the ten splits of Salimans et al. (2016): splitting
    raises the bias and its spread is no standard error of the mean.

    Raises ValueError for another shape or logits that are not finite.
    """
    if logits.ndim != 2 or len(logits) < 2:
        raise ValueError(f"logits: expected shape (n >= 2, classes), got {tuple(logits.shape)}")
    if not torch.isfinite(logits).all():
        raise ValueError("logits: expected finite numbers, got NaN or infinity")
    p = logits.double().softmax(dim=1)
    n = len(p)
    own = _entropy(p)
    # E KL(p_i || mean p) = H(mean p) - mean H(p_i), so leaving one image out costs one row.
    value = torch.exp(_entropy(p.mean(0)) - own.mean())
    left_out = torch.exp(_entropy((p.sum(0) - p).clamp_min(0.0) / (n - 1)) - (own.sum() - own) / (n - 1))
    spread = (left_out - left_out.mean()).square().sum()
    return float(value), float((spread * (n - 1) / n).sqrt())


def classifier_score(x: Tensor | Images, net: nn.Module) -> Measurement:
    """``score`` of images ``x`` (floats (n, C, H, W) in [-1, 1], or ``Images``) in the logits of ``net``.

    Biased downwards for small n: compare only at equal n.

    Raises ValueError as ``score`` does and for a network in train mode.
    """
    logits = torch.cat(list(in_batches(net, x, net)))
    value, error = score(logits)
    return Measurement(value, len(logits), "Classifier score", **label(net), standard_error=error)


def _entropy(p: Tensor) -> Tensor:
    """In nats, over the last axis; 0 log 0 = 0."""
    return torch.special.entr(p).sum(-1)
