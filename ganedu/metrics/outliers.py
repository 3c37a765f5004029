"""How many draws the discriminator finds more real than almost any real image."""

import math

import torch
from torch import Tensor


def outlier_share(logits: Tensor, threshold: float) -> float:
    """Share of ``logits`` (n,) above ``threshold``, in [0, 1].

    With calibrated logits *without* the ceiling, and as threshold their 99.9% quantile on
    held-out real images (``zoo.outlier_logit``): real images give 0.001, adversarial latents 1.

    Raises ValueError for an empty or wrongly shaped ``logits``, or NaN in either argument.
    """
    if logits.ndim != 1 or not len(logits):
        raise ValueError(f"logits: expected shape (n,), n > 0, got {tuple(logits.shape)}")
    if math.isnan(threshold) or torch.isnan(logits).any():
        raise ValueError("logits, threshold: expected numbers, got NaN")
    return float((logits > threshold).double().mean())
