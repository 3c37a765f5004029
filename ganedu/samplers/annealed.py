"""Annealed importance sampling: from the prior to the target in steps small enough to be weighed.

Two narrow modes, one with three times the mass of the other, ten of their widths apart: a chain
stays where it starts, but every draw of the prior finds one of them, and its weight says how much
it stands for.

>>> import math
>>> import torch
>>> from torch.distributions import Normal
>>> from ganedu.samplers import MetropolisHastings, RandomWalk, annealed_importance_sampling
>>> from ganedu.targets import StandardNormal, Tilted
>>> def log_weight(z):
...     left, right = (Normal(m, 0.2).log_prob(z[:, 0]) for m in (-1.0, 1.0))
...     return torch.logaddexp(left + math.log(0.25), right + math.log(0.75))
>>> target = Tilted(StandardNormal(1), log_weight)
>>> draws = annealed_importance_sampling(
...     target,
...     lambda beta: MetropolisHastings(RandomWalk(step_size=0.1 / (0.1 + beta))),
...     betas=torch.linspace(0, 1, 101).tolist(),
...     n=40_000,
...     rng=torch.Generator().manual_seed(0),
... )
>>> mean, error = draws.expectation(lambda z: z[:, 0] > 0)
>>> f"{mean:.2f} of the mass is on the right, error {error:.3f}"
'0.75 of the mass is on the right, error 0.002'
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu.rng import draw_seed, generator
from ganedu.samplers.base import Kernel, check_count, require_tilted
from ganedu.samplers.importance import Weighted, effective_sample_size
from ganedu.samplers.resampling import check_log_weight
from ganedu.samplers.tempered import Tempered
from ganedu.targets import Tilted

KernelAt = Callable[[float], Kernel]


@dataclass(frozen=True)
class Annealed(Weighted):
    """Weighted draws of the target, one of each chain, and how they came about.

    ``betas`` (T + 1,) from 0 to 1; ``accept_rate`` (T - 1,) the mean probability of acceptance over
    the chains at each β between; ``seed`` the run's.
    """

    betas: tuple[float, ...]
    accept_rate: Tensor
    seed: int


def annealed_importance_sampling(
    target: Tilted,
    kernel: Kernel | KernelAt,
    betas: Sequence[float],
    n: int,
    rng: torch.Generator,
    n_moves: int = 1,
    *,
    progress: bool | str = False,
) -> Annealed:
    """n independent chains from the prior along prior × weight^β, as one batch (Neal 2001).

    A chain starts as a draw of the prior. At each next β its weight is multiplied by
    weight(z)^(β - β before), *then* it takes ``n_moves`` steps of the kernel at that β; none at
    β = 1, where nothing is left to weigh. Whatever the kernel mixes, E[mean weight] is Z, the
    integral of the target where the prior is normalised: better mixing and more steps only make
    the weights more equal. With ``betas`` (0, 1) this is importance sampling from the prior.

    ``kernel`` is one for every β, or a function from β to one: a step size that suits the prior is
    often too large for the target. ``smc`` finds ``betas`` that suit a target; reused in a fresh
    run they cost its estimate nothing, for they do not depend on the chains of that run.

    Step m at the t-th β draws from a generator made of (seed, t, m) alone, the seed taken from
    ``rng``, so that no chain depends on another. Cost per β: ``n_moves`` steps, one log weight and
    the kernel's ``init``.

    Raises ValueError for a target without prior and weight, for ``betas`` that do not rise from 0
    to 1, for a kernel that does not leave its target invariant, for counts below 1, and for log
    weights that are NaN or inf, or all -inf.
    """
    require_tilted(target, "annealed importance sampling")
    betas = check_betas(betas)
    check_count("n", n)
    check_count("n_moves", n_moves)
    seed, device = draw_seed(rng), rng.device
    z = target.prior.sample(n, generator(seed, 0, device=device))
    log_weight = torch.zeros(n, dtype=torch.float64, device=device)
    rates = []
    bar = tqdm(betas[1:], desc=progress if isinstance(progress, str) else None, disable=not progress)
    for t, (before, beta) in enumerate(pairwise(betas), start=1):
        log_weight = log_weight + (beta - before) * weigh(target, z)
        if beta < 1.0:
            tempered, here = Tempered(target, beta), kernel_at(kernel, beta)
            state, accepted = here.init(tempered, z), 0.0
            for m in range(n_moves):
                state, info = here.step(tempered, state, generator(seed, t, m, device=device))
                accepted = accepted + info.log_alpha.exp().mean()
            z = state.z
            rates.append(accepted / n_moves)
        if progress:
            share = effective_sample_size(log_weight) / n
            bar.set_postfix(ess=f"{share:.0%}", acceptance=f"{float(rates[-1]) if rates else 1:.2f}")
            bar.update()
    bar.close()
    return Annealed(z, log_weight, betas, torch.stack(rates) if rates else z.new_empty(0), seed)


def weigh(target: Tilted, z: Tensor) -> Tensor:
    """The log weights (n,) of z (n, d), float64, without a graph.

    Raises ValueError where one is NaN or inf, or all are -inf.
    """
    with torch.no_grad():
        return check_log_weight(target.log_weight(z)).double()


def kernel_at(kernel: Kernel | KernelAt, beta: float) -> Kernel:
    """The kernel to use at β.

    Raises ValueError for what is none, as a bare proposal, and for one that changes the law of its
    target: its bias would pass into the weights.
    """
    if not hasattr(kernel, "step") and callable(kernel):
        kernel = kernel(beta)
    if not hasattr(kernel, "step"):
        raise ValueError(f"kernel: expected one with a step, or a function from beta to one, got {kernel!r}")
    if not kernel.adjusted:
        raise ValueError(f"kernel: expected one that leaves its target invariant, got {kernel}")
    return kernel


def check_betas(betas: Sequence[float]) -> tuple[float, ...]:
    """``betas`` as floats. Raises ValueError where they do not rise from 0 to 1."""
    betas = tuple(float(beta) for beta in betas)
    rising = all(a < b for a, b in pairwise(betas))
    if len(betas) < 2 or betas[0] != 0.0 or betas[-1] != 1.0 or not rising:
        shown = betas if len(betas) < 6 else f"{len(betas)} from {betas[0]} to {betas[-1]}"
        raise ValueError(f"betas: expected two or more numbers that rise from 0 to 1, got {shown}")
    return betas
