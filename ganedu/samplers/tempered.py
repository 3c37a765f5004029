"""The path from a prior to a target: prior(z) exp(β log_weight(z)), β from 0 to 1."""

import math

import torch
from torch import Tensor

from ganedu.targets import Tilted, log_prob_and_grad


class Tempered(Tilted):
    """prior(z) exp(β log_weight(z)) of a ``Tilted`` target: its prior at β = 0, itself at β = 1.

    Parallel tempering runs chains at several β at once; annealed importance sampling and SMC walk
    along them. ``beta`` is one number, or a tensor (B,) with the β of each row of z (B, d). It is
    a ``Tilted`` again, so that every kernel that runs on the target runs here too.

    At β = 0 the weight counts for nothing, not even where it is zero: 0 times -inf is 0.

    Raises ValueError for a target without prior and weight, for a β that is negative or not
    finite, and for a z of other rows than β has.
    """

    def __init__(self, target: Tilted, beta: float | Tensor):
        if not isinstance(target, Tilted):
            raise ValueError(f"target: expected a Tilted (prior and weight apart), got {target!r}")
        if isinstance(beta, Tensor):
            if beta.ndim > 1:
                raise ValueError(f"beta: expected a number or a tensor (B,), got shape {tuple(beta.shape)}")
            right = bool((torch.isfinite(beta) & (beta >= 0)).all())
        else:
            right = math.isfinite(beta) and beta >= 0
        if not right:
            raise ValueError(f"beta: expected finite numbers of at least 0, got {beta}")
        super().__init__(target.prior, self._log_weight)
        self.target = target
        self.beta = beta

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(log density (B,), its gradient (B, d)) by the target's own ``log_prob_and_grad``.

        ∇ log prior + β (∇ log target - ∇ log prior): the target may know how to take its gradient
        in chunks, or that it has none.
        """
        value, grad = log_prob_and_grad(self.target, z)
        prior, prior_grad = log_prob_and_grad(self.prior, z)
        return prior + self._times_beta(value - prior), prior_grad + self._times_beta(grad - prior_grad)

    def _log_weight(self, z: Tensor) -> Tensor:
        return self._times_beta(self.target.log_weight(z))

    def _times_beta(self, x: Tensor) -> Tensor:
        """β x row by row, for x (B,) or (B, d)."""
        beta = torch.as_tensor(self.beta, dtype=x.dtype, device=x.device)
        if beta.ndim:
            if len(beta) != len(x):
                raise ValueError(f"z: expected as many rows as beta, {len(beta)}, got {len(x)}")
            beta = beta.reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(beta == 0, torch.zeros_like(x), beta * x)
