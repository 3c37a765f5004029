"""The loop that runs a kernel and keeps what was asked for."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ganedu import checkpoints
from ganedu.rng import draw_seed, generator
from ganedu.samplers.base import Info, Kernel, State, check_count, leaves
from ganedu.samplers.progress import Bar
from ganedu.samplers.resume import check_same, described, fingerprint, packed, unpacked
from ganedu.targets import Target

if TYPE_CHECKING:
    from arviz import InferenceData

SAVED_EVERY = 30.0  # seconds
COUNTS = ("accepted", "divergent", "n_leapfrog")  # of what a step reports, summed chain by chain


@dataclass(frozen=True)
class Trace:
    """What a run kept.

    ``z`` (draws, chains, d) and ``log_prob`` (draws, chains) after burn-in and thinning; over all
    steps, burn-in included, ``accept_rate``, ``divergences`` and ``n_leapfrog`` (chains,), of which
    the last two count, and are 0 where the kernel has no such thing; ``last`` the state to go on from.
    """

    z: Tensor
    log_prob: Tensor
    accept_rate: Tensor
    last: State
    seed: int
    divergences: Tensor | None = None
    n_leapfrog: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z)

    def to_arviz(self, names: Sequence[str] | None = None) -> "InferenceData":
        """For arviz's tables and plots; ``names`` of the d coordinates."""
        from ganedu.samplers.traces import to_arviz

        return to_arviz(self, names)


def run(
    kernel: Kernel,
    target: Target,
    z: Tensor | State,
    steps: int,
    burn_in: int = 0,
    thin: int = 1,
    rng: torch.Generator | None = None,
    *,
    progress: bool | str = False,
    checkpoint: Path | None = None,
) -> Trace:
    """Run one chain from each row of ``z`` (chains, d) for ``steps`` steps, as one batch.

    ``z`` may also be the ``last`` of an earlier trace, from which the chains then go on.

    The first ``burn_in`` of the steps are not kept, and then every ``thin``-th is, so that
    (steps - burn_in) // thin draws remain. Step t draws from a generator made of (seed, t)
    alone, the seed taken from ``rng``; without ``rng`` the run is not repeatable.

    With ``checkpoint`` the run is saved there twice a minute and when it is stopped; the same call
    goes on from there and keeps the same draws, bit for bit on a CPU, as a run that nobody stopped.

    Raises ValueError for a start of another shape or of zero or unknown density, for counts that
    keep nothing, and for a checkpoint of another run.
    """
    check_counts(steps, burn_in, thin)
    seed = secrets.randbits(62) if rng is None else draw_seed(rng)
    state = start(kernel, target, z)
    z = state.z

    keep = (steps - burn_in) // thin
    kept_z = state.z.new_empty(keep, *state.z.shape)
    kept_log_prob = state.log_prob.new_empty(keep, len(z))
    at = Reached(0, state, torch.zeros(len(COUNTS), len(z), device=z.device, dtype=torch.float64))
    # The density at the starts tells one target from another.
    identity = {"kernel": described(kernel), "starts": fingerprint(state)}
    identity |= {"steps": steps, "burn_in": burn_in, "thin": thin}
    if checkpoint is not None and checkpoint.exists():
        at, seed, (old_z, old_log_prob) = _load(checkpoint, identity, at, seed if rng is not None else None)
        kept_z[: len(old_z)], kept_log_prob[: len(old_z)] = old_z, old_log_prob

    def draws(t: int) -> int:
        return max((t - burn_in) // thin, 0)

    def save() -> None:
        kept = draws(at.steps)
        tensors = packed(at.state) | {"counts": at.counts}
        tensors |= {"z": kept_z[:kept], "log_prob": kept_log_prob[:kept]}
        checkpoints.save(checkpoint, tensors, run=identity, seed=seed, steps=at.steps)

    bar, saved = Bar(progress, kernel, at.steps, steps), time.monotonic()
    try:
        for t in range(at.steps, steps):
            state, info = kernel.step(target, at.state, generator(seed, t, device=z.device))
            if draws(t + 1) > draws(t):
                kept_z[draws(t)], kept_log_prob[draws(t)] = state.z, state.log_prob
            # In one assignment, so that an interrupt finds the step done or not done.
            at = Reached(t + 1, state, at.counts + _counted(info))
            bar.update(at.steps, at.counts[0], kept_z[: draws(t + 1)], kept_log_prob[: draws(t + 1)])
            if checkpoint is not None and time.monotonic() - saved > SAVED_EVERY:
                save()
                saved = time.monotonic()
    finally:
        bar.close()
        if checkpoint is not None:
            save()
    accepted, divergent, n_leapfrog = at.counts
    return Trace(kept_z, kept_log_prob, accepted / steps, at.state, seed, divergent, n_leapfrog)


class Reached(NamedTuple):
    """Where a run is: steps done, the state there, and the sums so far of COUNTS (3, chains)."""

    steps: int
    state: State
    counts: Tensor


def _counted(info: Info) -> Tensor:
    nothing = torch.zeros_like(info.log_alpha, dtype=torch.float64)
    parts = (getattr(info, name) for name in COUNTS)
    return torch.stack([nothing if part is None else part.to(nothing) for part in parts])


def check_counts(steps: int, burn_in: int, thin: int) -> None:
    """Raise ValueError for counts that are no ints or keep nothing."""
    for name, value, least in (("steps", steps, 1), ("burn_in", burn_in, 0), ("thin", thin, 1)):
        check_count(name, value, least)
    if burn_in + thin > steps:
        raise ValueError(f"burn_in, thin: expected burn_in + thin <= steps, got {burn_in} + {thin} > {steps}")


def start(kernel: Kernel, target: Target, z: Tensor | State) -> State:
    """The kernel's state at ``z``, or the state ``z`` itself. ValueError for another shape than (chains, d),
    where a chain would start at zero or unknown density, or without a gradient that the kernel needs, and
    for a state of another kernel or target."""
    if not isinstance(z, Tensor):
        check_state(kernel, target, z)
        return z
    if z.ndim != 2 or len(z) == 0:
        raise ValueError(f"z: expected starts of shape (chains, dim), chains > 0, got {tuple(z.shape)}")
    state = kernel.init(target, z)
    finite = torch.stack([torch.isfinite(leaf).reshape(len(z), -1).all(-1) for leaf in leaves(state)]).all(0)
    if not finite.all():
        raise ValueError(
            f"z: expected starts of finite log density (and gradient, where the kernel uses one), "
            f"got {int((~finite).sum())} of {len(z)} that are not"
        )
    return state


def check_state(kernel: Kernel, target: Target, state: State) -> None:
    """Raise ValueError for a state that ``kernel`` would not have left at ``state.z`` on ``target``."""
    fresh = kernel.init(target, state.z)
    pairs = list(zip(leaves(fresh), leaves(state), strict=False))
    same = type(fresh) is type(state) and all(ours.shape == theirs.shape for ours, theirs in pairs)
    # The first two are the point, and its density or, preconditioned, the point as the kernel sees it.
    # What an unadjusted kernel keeps there may be an estimate.
    if same and kernel.adjusted:
        same = all(torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3) for ours, theirs in pairs[:2])
    if not same:
        raise ValueError(
            "z: expected a state that this kernel left on this target, got one of another; pass its z to "
            "start anew from there"
        )


def _load(
    path: Path, identity: dict[str, Any], start: Reached, seed: int | None
) -> tuple[Reached, int, tuple[Tensor, Tensor]]:
    """(where that run is, its seed, its draws so far); ValueError for a checkpoint of another run."""
    tensors, meta = checkpoints.load(path)
    ours = identity | ({} if seed is None else {"seed": seed})
    check_same(path, ours, meta.get("run", {}) | {"seed": meta.get("seed")})
    tensors = {name: tensor.to(start.counts.device) for name, tensor in tensors.items()}
    at = Reached(meta["steps"], unpacked(start.state, tensors), tensors["counts"])
    return at, meta["seed"], (tensors["z"], tensors["log_prob"])
