"""What is sampled: log densities, batched over chains, that know nothing of kernels."""

from ganedu.targets.base import StandardNormal, Target, Tilted, log_prob_and_grad
from ganedu.targets.gan import LatentTarget

__all__ = ["LatentTarget", "StandardNormal", "Target", "Tilted", "log_prob_and_grad"]
