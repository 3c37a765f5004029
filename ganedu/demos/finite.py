"""Chains on a few states, where everything is a matrix: no random number is drawn."""

import torch
from torch import Tensor

from ganedu.samplers.metropolis_hastings import log_acceptance

LAW = torch.tensor([0.10, 0.25, 0.40, 0.20, 0.05], dtype=torch.float64)


def ring(k: int, clockwise: float) -> Tensor:
    """(k, k): from state i to i + 1 with probability ``clockwise``, to i - 1 otherwise, all modulo k."""
    step = torch.eye(k, dtype=torch.float64).roll(1, dims=1)
    return clockwise * step + (1.0 - clockwise) * step.T


def metropolis_matrix(law: Tensor, proposal: Tensor) -> Tensor:
    """P (k, k) of Metropolis and Hastings for the ``law`` (k,) and a matrix of proposals (k, k).

    Off the diagonal q_ij α_ij, by the library's own acceptance; on it what is left, and so the rejections.
    """
    log_p, log_q = law.log(), proposal.log()
    alpha = log_acceptance(log_p[:, None], log_p[None, :], log_q.T - log_q).exp()
    moves = (proposal * alpha).fill_diagonal_(0.0)
    return moves + torch.diag(1.0 - moves.sum(1))


def carousel(law: Tensor, speed: float = 1.0) -> Tensor:
    """P (k, k) that leaves ``law`` (k,) as it is and turns one way: from i to i + 1 modulo k with probability
    ``speed`` min(law) / law_i, so that the same mass leaves every state and enters the next."""
    leave = speed * law.min() / law
    return torch.diag(1.0 - leave) + torch.diag(leave) @ ring(len(law), 1.0)


def distances(start: Tensor, matrix: Tensor, law: Tensor, steps: int) -> Tensor:
    """(steps + 1,): half the sum of |start P^n - law| for n = 0, ..., ``steps``: total variation."""
    found = []
    for _ in range(steps + 1):
        found.append(0.5 * (start - law).abs().sum())
        start = start @ matrix
    return torch.stack(found)


def decay_rate(matrix: Tensor, law: Tensor) -> float:
    """The second largest |eigenvalue| of a P (k, k) in detailed balance with ``law`` (k,).

    P is then similar to the symmetric D^½ P D^-½, D = diag(law), whose eigenvalues are real.
    """
    root = law.sqrt()
    values = torch.linalg.eigvalsh(root[:, None] * matrix / root[None, :])
    return float(values.abs().sort().values[-2])
