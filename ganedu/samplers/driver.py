"""The loop that runs a kernel and keeps what was asked for."""

import secrets
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu.rng import draw_seed, generator
from ganedu.samplers.base import GradPoint, Kernel, Point
from ganedu.targets import Target


@dataclass(frozen=True)
class Trace:
    """What a run kept.

    ``z`` (draws, chains, d) and ``log_prob`` (draws, chains) after burn-in and thinning;
    ``accept_rate`` (chains,) over all steps, burn-in included; ``last`` the state to go on from.
    """

    z: Tensor
    log_prob: Tensor
    accept_rate: Tensor
    last: Point | GradPoint
    seed: int

    def __len__(self) -> int:
        return len(self.z)


def run(
    kernel: Kernel,
    target: Target,
    z: Tensor,
    steps: int,
    burn_in: int = 0,
    thin: int = 1,
    rng: torch.Generator | None = None,
    *,
    progress: bool | str = False,
) -> Trace:
    """Run one chain from each row of ``z`` (chains, d) for ``steps`` steps, as one batch.

    The first ``burn_in`` of the steps are not kept, and then every ``thin``-th is, so that
    (steps - burn_in) // thin draws remain. Step t draws from a generator made of (seed, t)
    alone, the seed taken from ``rng``; without ``rng`` the run is not repeatable.

    Raises ValueError for a start of another shape or of zero or unknown density, and for
    counts that keep nothing.
    """
    if z.ndim != 2 or len(z) == 0:
        raise ValueError(f"z: expected starts of shape (chains, dim), chains > 0, got {tuple(z.shape)}")
    check_counts(steps, burn_in, thin)
    seed = secrets.randbits(62) if rng is None else draw_seed(rng)
    state = kernel.init(target, z)
    finite = torch.stack([torch.isfinite(part).reshape(len(z), -1).all(-1) for part in state]).all(0)
    if not finite.all():
        raise ValueError(
            f"z: expected starts of finite log density (and gradient, where the kernel uses one), "
            f"got {int((~finite).sum())} of {len(z)} that are not"
        )

    keep = (steps - burn_in) // thin
    trace_z = state.z.new_empty(keep, *state.z.shape)
    trace_log_prob = state.log_prob.new_empty(keep, len(z))
    accepted = torch.zeros(len(z), device=z.device)
    bar = tqdm(range(steps), desc=progress if isinstance(progress, str) else None, disable=not progress)
    for t in bar:
        state, info = kernel.step(target, state, generator(seed, t, device=z.device))
        accepted += info.accepted
        draw, off = divmod(t + 1 - burn_in, thin)
        if draw >= 1 and off == 0:
            trace_z[draw - 1] = state.z
            trace_log_prob[draw - 1] = state.log_prob
        if progress and t % 20 == 19:
            bar.set_postfix(acceptance=f"{float(accepted.mean()) / (t + 1):.2f}")
    return Trace(trace_z, trace_log_prob, accepted / steps, state, seed)


def check_counts(steps: int, burn_in: int, thin: int) -> None:
    """Raise ValueError for counts that are no ints or keep nothing."""
    for name, value, least in (("steps", steps, 1), ("burn_in", burn_in, 0), ("thin", thin, 1)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}: expected an int of at least {least}, got {value!r}")
    if burn_in + thin > steps:
        raise ValueError(f"burn_in, thin: expected burn_in + thin <= steps, got {burn_in} + {thin} > {steps}")
