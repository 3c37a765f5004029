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
from ganedu.samplers.base import Kernel, State, check_count, innermost
from ganedu.samplers.diagnostics import ess, rhat
from ganedu.samplers.driver import Trace, run, start
from ganedu.samplers.preconditioned import Preconditioned
from ganedu.samplers.progress import Bar
from ganedu.samplers.resume import check_same, described, fingerprint, packed, unpacked
from ganedu.targets import Target

BLOCK = 128  # kept draws of a chain before the first look: of fewer, the ESS is overrated

NUMBERS = ("windows", "blocks", "steps", "thin", "ess", "rhat")


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
    """Draws worth ``n`` independent ones, from chains started at z (chains, d), a few dozen of them, spread
    out more widely than the target.

    >>> import torch
    >>> from ganedu import zoo
    >>> from ganedu.samplers import CrankNicolson, MetropolisHastings, sample
    >>> from ganedu.targets import LatentTarget
    >>> target, rng = LatentTarget(zoo.load("cifar10-dcgan", "cpu")), torch.Generator().manual_seed(0)
    >>> z = target.prior.sample(64, rng)
    >>> found = sample(MetropolisHastings(CrankNicolson(0.5)), target, z, 50_000, rng=rng)

    1. ``warm_up`` steps, all thrown away, in which the step size goes to the kernel's best acceptance
       and, for moves without a prior, each coordinate to a scale of its own (``adaptation``). Then both
       are frozen: from here on this is a Markov chain with the target as its stationary law.
    2. Blocks of steps, until the kept draws are worth ``n`` and R-hat is at most ``max_rhat``. Kept is
       every ``thin``-th state of every chain, where ``thin`` doubles as long as the kept draws are worth
       less than half of as many independent ones. Why they are as good as the last states of as many
       chains: each has the law of a chain after the warm-up or later, what neighbours have in common is
       taken off in ``ess``, and nobody pays for the warm-up but these few chains.

    What they are worth is estimated, and stopping at the first estimate that is large enough overrates
    it: by a tenth for chains that were just long enough, by less the longer they are. Where
    ``max_steps`` (or up to a block more) are not enough, it warns, and returns what it has. With
    ``checkpoint`` it saves after each window of the warm-up and each block; the same call goes on from
    there with the same draws.

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
    state = start(kernel, target, z)
    identity = {"kernel": described(kernel), "starts": fingerprint(state), "warm_up": warm_up, "seed": seed}
    nothing = torch.empty(0, *z.shape, device=z.device, dtype=z.dtype)
    at = Search(
        kernel, state, nothing, nothing[:, :, 0], torch.zeros(3, len(z), device=z.device, dtype=torch.float64)
    )
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

    def enough() -> bool:
        return at.ess >= n and at.rhat <= max_rhat

    with tqdm(total=n, desc=f"{label}, effective draws", disable=not progress) as bar:
        while not enough() and at.steps < max_steps:
            at = extended(at, target, generator(seed, 0, at.blocks, device=z.device))
            _save(checkpoint, identity, at)
            bar.update(min(int(at.ess), n) - bar.n)
            bar.set_postfix({"R-hat": f"{at.rhat:.3f}", "thin": at.thin, "steps": at.steps})
    if not enough():
        warnings.warn(
            f"sample: {at.ess:.0f} of {n} effective draws and R-hat {at.rhat:.3f} after max_steps = "
            f"{max_steps} steps; give it more, more chains, or a kernel that moves further",
            stacklevel=2,
        )
    accepted, divergent, n_leapfrog = at.counts
    trace = Trace(at.z, at.log_prob, accepted / at.steps, at.state, seed, divergent, n_leapfrog)
    return Sample(trace, at.kernel, at.thin, at.steps, at.ess, at.rhat)


class Search(NamedTuple):
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
    ess: float = 0.0
    rhat: float = math.nan


def extended(at: Search, target: Target, rng: torch.Generator) -> Search:
    """One block further. Where draws next to each other are worth less than half, every second one goes."""
    if len(at.z) >= 2 * BLOCK and at.ess < 0.5 * at.log_prob.numel():
        at = at._replace(z=at.z[1::2], log_prob=at.log_prob[1::2], thin=2 * at.thin)
    # In proportion to what there is: each look is at all of it.
    steps = BLOCK * max(1, len(at.z) // (4 * BLOCK)) * at.thin
    block = run(at.kernel, target, at.state, steps, thin=at.thin, rng=rng)
    counts = torch.stack([steps * block.accept_rate, block.divergences, block.n_leapfrog])
    at = at._replace(
        state=block.last,
        z=torch.cat([at.z, block.z]),
        log_prob=torch.cat([at.log_prob, block.log_prob]),
        counts=at.counts + counts,
        blocks=at.blocks + 1,
        steps=at.steps + steps,
    )
    effective, largest = worth(at.z, at.log_prob)
    return at._replace(ess=effective, rhat=largest)


def worth(z: Tensor, log_prob: Tensor) -> tuple[float, float]:
    """(the smallest ESS, the largest R-hat) over log_prob and all coordinates but those that are one and
    the same number everywhere, of which there is nothing to learn; (0, NaN) where nothing is left."""
    everything = torch.cat([z, log_prob[:, :, None]], dim=-1)
    everything = everything[..., (everything != everything[:1, :1]).flatten(0, 1).any(0)]
    if everything.numel() == 0:
        return 0.0, math.nan
    # Draws that repel each other, or luck, make an ESS above their number: not a claim to make.
    return min(float(ess(everything).min()), float(log_prob.numel())), float(rhat(everything).max())


def _save(path: Path | None, identity: dict[str, Any], at: Search) -> None:
    if path is None:
        return
    tensors = packed(at.state) | {"z": at.z, "log_prob": at.log_prob, "counts": at.counts}
    if isinstance(at.kernel, Preconditioned):
        tensors["scale"] = at.kernel.scale
    numbers = {name: getattr(at, name) for name in NUMBERS}
    step_size = getattr(innermost(at.kernel), "step_size", None)
    checkpoints.save(path, tensors, search=identity, step_size=step_size, **numbers)


def _load(path: Path, identity: dict[str, Any], at: Search, target: Target) -> Search:
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
    state = unpacked(kernel.init(target, at.state.z), tensors)
    kept = {name: tensors[name] for name in ("z", "log_prob", "counts")}
    numbers = {name: meta[name] for name in NUMBERS}
    return at._replace(kernel=kernel, state=state, **kept, **numbers)
