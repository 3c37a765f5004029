"""As many effective draws as asked for: warm-up, then chains as long as they have to be."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.rng import draw_seed, generator
from ganedu.samplers.adaptation import adapt, windows, with_step_size
from ganedu.samplers.base import Kernel, State, check_count, leaves, rebuild
from ganedu.samplers.diagnostics import ess, rhat
from ganedu.samplers.driver import Bar, Trace, check_same, fingerprint, innermost, run, start
from ganedu.samplers.preconditioned import Preconditioned
from ganedu.targets import Target

BLOCK = 32  # kept draws of a chain between two looks at what they are worth


@dataclass(frozen=True)
class Sample:
    """What ``sample`` found: ``trace`` with every ``thin``-th state of every chain after the warm-up,
    the ``kernel`` with what it learnt, the ``steps`` run after the warm-up, and over log_prob and all
    coordinates the smallest effective number of draws ``ess`` and the largest ``rhat``."""

    trace: Trace
    kernel: Kernel
    thin: int
    steps: int
    ess: float
    rhat: float

    @property
    def z(self) -> Tensor:
        """All kept draws in one row: (draws * chains, d)."""
        return self.trace.z.flatten(0, 1)


def sample(
    kernel: Kernel,
    target: Target,
    z: Tensor,
    n: int,
    *,
    warm_up: int = 300,
    max_steps: int = 100_000,
    max_rhat: float = 1.05,
    rng: torch.Generator,
    progress: bool | str = False,
    checkpoint: Path | None = None,
) -> Sample:
    """At least ``n`` effective draws from chains started at z (chains, d), a few dozen of them, spread
    out more widely than the target.

    >>> found = sample(MetropolisHastings(CrankNicolson(0.5)), target, prior.sample(64, rng), 50_000, rng=rng)

    1. ``warm_up`` steps, all thrown away, in which the step size goes to the kernel's best acceptance
       and, for moves without a prior, each coordinate to a scale of its own (``adaptation``). Then both
       are frozen: from here on this is a Markov chain with the target as its stationary law.
    2. Blocks of steps, until the kept draws are worth ``n`` and R-hat is at most ``max_rhat``. Which
       states are kept: every ``thin``-th of every chain, where ``thin`` doubles as long as kept
       neighbours are worth less than half of independent draws. They are as good as last states of as
       many chains: each has the law of the chain after warm-up at least, and what neighbours have
       in common is counted in ``ess``. What they save is the warm-up of each.

    Where ``max_steps`` are not enough, it warns, and returns what it has. With ``checkpoint`` it saves
    after each window of the warm-up and each block; the same call goes on from there with the same draws.

    Raises ValueError as ``run`` does.
    """
    check_count("n", n)
    check_count("warm_up", warm_up, at_least=0)
    check_count("max_steps", max_steps)
    if not max_rhat > 1.0:
        raise ValueError(f"max_rhat: expected a number above 1, got {max_rhat}")
    if z.ndim == 2 and len(z) < 2:
        raise ValueError(f"z: expected two chains or more, for one alone has no R-hat, got {len(z)}")
    seed = draw_seed(rng)
    identity = {"kernel": repr(kernel), "warm_up": warm_up, "starts": fingerprint(z), "seed": seed}
    state = start(kernel, target, z)
    nothing = torch.empty(0, *z.shape, device=z.device, dtype=z.dtype)
    at = Reached(kernel, state, nothing, nothing[:, :, 0], torch.zeros(3, len(z), device=z.device))
    if checkpoint is not None and checkpoint.exists():
        at = _load(checkpoint, identity, at, target)
    label = progress if isinstance(progress, str) else type(innermost(kernel)).__name__

    schedule = windows(warm_up)
    first = schedule[at.windows].first if at.windows < len(schedule) else warm_up
    bar = Bar(progress and f"{label}, warm-up", at.kernel, first, warm_up)
    for window in schedule[at.windows :]:
        learnt, state = adapt(at.kernel, target, at.state, window, seed, bar)
        at = at._replace(kernel=learnt, state=state, windows=at.windows + 1)
        _save(checkpoint, identity, at)
    bar.close()

    effective, worst_rhat = worth(at)
    with tqdm(total=n, desc=f"{label}, effective draws", disable=not progress) as bar:
        while not (effective >= n and worst_rhat <= max_rhat) and at.steps < max_steps:
            at = extended(at, target, generator(seed, 0, at.blocks, device=z.device))
            _save(checkpoint, identity, at)
            effective, worst_rhat = worth(at)
            bar.update(min(int(effective), n) - bar.n)
            bar.set_postfix({"R-hat": f"{worst_rhat:.3f}", "thin": at.thin, "steps": at.steps})
    if not (effective >= n and worst_rhat <= max_rhat):
        warnings.warn(
            f"sample: {effective:.0f} of {n} effective draws and R-hat {worst_rhat:.3f} after max_steps = "
            f"{max_steps} steps; give it more, more chains, or a kernel that moves further",
            stacklevel=2,
        )
    return _sample(at, seed, effective, worst_rhat)


class Reached(NamedTuple):
    """Where a search is: the kernel so far, its state, the draws kept (draws, chains, ...), windows of
    the warm-up and blocks done, and over the blocks' steps the counts of their traces (3, chains)."""

    kernel: Kernel
    state: State
    z: Tensor
    log_prob: Tensor
    counts: Tensor
    windows: int = 0
    blocks: int = 0
    steps: int = 0
    thin: int = 1


def extended(at: Reached, target: Target, rng: torch.Generator) -> Reached:
    """One block further. Where draws next to each other are worth less than half, every second one goes."""
    if len(at.z) >= 2 * BLOCK and worth(at)[0] < 0.5 * at.log_prob.numel():
        at = at._replace(z=at.z[1::2], log_prob=at.log_prob[1::2], thin=2 * at.thin)
    steps = BLOCK * at.thin
    block = run(at.kernel, target, at.state, steps, thin=at.thin, rng=rng)
    counts = torch.stack([steps * block.accept_rate, block.divergences, block.n_leapfrog])
    return at._replace(
        state=block.last,
        z=torch.cat([at.z, block.z]),
        log_prob=torch.cat([at.log_prob, block.log_prob]),
        counts=at.counts + counts,
        blocks=at.blocks + 1,
        steps=at.steps + steps,
    )


def worth(at: Reached) -> tuple[float, float]:
    """(the smallest ESS, the largest R-hat) over log_prob and all coordinates but those that are one and
    the same number everywhere, of which there is nothing to learn; (0, NaN) where nothing is left."""
    everything = torch.cat([at.z, at.log_prob[:, :, None]], dim=-1)
    everything = everything[..., (everything != everything[:1, :1]).flatten(0, 1).any(0)]
    if everything.numel() == 0:
        return 0.0, math.nan
    return float(ess(everything).min()), float(rhat(everything).max())


def _sample(at: Reached, seed: int, effective: float, worst_rhat: float) -> Sample:
    accepted, divergent, n_leapfrog = at.counts
    trace = Trace(at.z, at.log_prob, accepted / at.steps, at.state, seed, divergent, n_leapfrog)
    return Sample(trace, at.kernel, at.thin, at.steps, effective, worst_rhat)


def _save(path: Path | None, identity: dict[str, Any], at: Reached) -> None:
    if path is None:
        return
    tensors = {f"state.{i}": leaf for i, leaf in enumerate(leaves(at.state))}
    tensors |= {"z": at.z, "log_prob": at.log_prob, "counts": at.counts}
    if isinstance(at.kernel, Preconditioned):
        tensors["scale"] = at.kernel.scale
    numbers = {name: getattr(at, name) for name in ("windows", "blocks", "steps", "thin")}
    step_size = getattr(innermost(at.kernel), "step_size", None)
    checkpoints.save(path, tensors, search=identity, step_size=step_size, **numbers)


def _load(path: Path, identity: dict[str, Any], at: Reached, target: Target) -> Reached:
    """Where that search is. ValueError for a checkpoint of another one."""
    tensors, meta = checkpoints.load(path)
    check_same(path, identity, meta.get("search", {}))
    tensors = {name: tensor.to(at.z.device) for name, tensor in tensors.items()}
    kernel = at.kernel
    if "scale" in tensors:
        bare = kernel.kernel if isinstance(kernel, Preconditioned) else kernel
        kernel = Preconditioned(bare, tensors["scale"])
    if meta["step_size"] is not None:
        kernel = with_step_size(kernel, meta["step_size"])
    form = kernel.init(target, at.state.z)
    state = rebuild(form, (tensors[f"state.{i}"] for i, _ in enumerate(leaves(form))))
    kept = {name: tensors[name] for name in ("z", "log_prob", "counts")}
    numbers = {name: meta[name] for name in ("windows", "blocks", "steps", "thin")}
    return at._replace(kernel=kernel, state=state, **kept, **numbers)
