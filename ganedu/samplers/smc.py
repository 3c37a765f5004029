"""Sequential Monte Carlo: a population of draws moves from the prior to the target together.

The two modes of ``annealed``, with neither temperatures nor step sizes to choose:

>>> import math
>>> import torch
>>> from torch.distributions import Normal
>>> from ganedu.samplers import MetropolisHastings, RandomWalk, smc
>>> from ganedu.targets import StandardNormal, Tilted
>>> def log_weight(z):
...     left, right = (Normal(m, 0.2).log_prob(z[:, 0]) for m in (-1.0, 1.0))
...     return torch.logaddexp(left + math.log(0.25), right + math.log(0.75))
>>> target = Tilted(StandardNormal(1), log_weight)
>>> kernel = MetropolisHastings(RandomWalk(step_size=1.0))
>>> population = smc(target, kernel, 10_000, torch.Generator().manual_seed(0))
>>> mean, error = population.expectation(lambda z: z[:, 0] > 0)
>>> f"{mean:.2f} of the mass is on the right, error {error:.3f}"
'0.74 of the mass is on the right, error 0.005'
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu.rng import draw_seed, generator
from ganedu.samplers.adaptation import with_step_size
from ganedu.samplers.annealed import KernelAt, kernel_at, weigh
from ganedu.samplers.base import Kernel, check_count, innermost, require_tilted
from ganedu.samplers.importance import Estimate, effective_sample_size, log_mean_exp, relative_error
from ganedu.samplers.resampling import systematic
from ganedu.samplers.tempered import Tempered
from ganedu.targets import Tilted


@dataclass(frozen=True)
class Population:
    """Equally weighted draws of the target, which are not independent, and how they came about.

    ``z`` (n, d); ``ancestor`` (n,) the draw of the prior that each descends from, the number of
    different ones telling how much of the population is family; ``log_evidence`` the estimate of
    log Z; for each of T temperatures ``betas`` (from 0, T + 1 of them), ``ess`` (before resampling)
    and ``accept_rate`` (mean probability of acceptance); ``kernel`` the last, with the step size it
    ended at; ``seed`` the run's.
    """

    z: Tensor
    ancestor: Tensor
    log_evidence: float
    betas: tuple[float, ...]
    ess: tuple[float, ...]
    accept_rate: tuple[float, ...]
    kernel: Kernel
    seed: int

    def __len__(self) -> int:
        return len(self.z)

    @property
    def log_evidence_error(self) -> float:
        """Standard error of ``log_evidence``, from how unequal the families of the ancestors are.

        As in importance sampling, the share of its descendants being the weight of an ancestor (Chan
        and Lai 2013; Lee and Whiteley 2018). Too small where moves hardly move and few ancestors are
        left, but then large enough to warn.
        """
        families = self.ancestor.bincount(minlength=len(self))
        return relative_error(families.double() / len(self))

    def expectation(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """E[f(z)] under the target, for f from (n, d) to (n,) or (n, k).

        The error is that of sums over families, for draws of one ancestor are alike as long as moves
        have not made them forget it (Chan and Lai 2013). One family alone says nothing of it: inf.
        """
        value = f(self.z).double()
        mean = value.mean(0)
        families = torch.zeros_like(value).index_add(0, self.ancestor, value - mean)
        # k equal families spread about their own mean by (k - 1) / k too little.
        short = 1.0 - (self.ancestor.bincount().double() / len(self)).square().sum()
        spread = families.square().sum(0) / short if short > 0 else torch.full_like(mean, math.inf)
        return Estimate(mean, spread.sqrt() / len(self))


def smc(
    target: Tilted,
    kernel: Kernel | KernelAt,
    n: int,
    rng: torch.Generator,
    n_moves: int = 5,
    ess_ratio: float = 0.5,
    *,
    progress: bool | str = False,
) -> Population:
    """n draws from the prior to the target along prior × weight^β (Del Moral, Doucet and Jasra 2006).

    At each temperature, until β = 1: (1) the next β is the one at which the weights
    weight(z)^(β - β before) leave an effective sample size of ``ess_ratio`` n (Jasra et al. 2011);
    (2) log Z grows by the log of the mean of these weights; (3) systematic resampling; (4)
    ``n_moves`` steps of the kernel at β. Where weights are zero, ``ess_ratio`` is of the others.

    A kernel with a ``step_size`` (itself, its proposal or the kernel it wraps) is adapted: after each
    move the step size is multiplied by exp(rate - ``target_accept``), rate being the population's
    mean probability of acceptance. A function from β to a kernel is used as it is.

    As in importance sampling the prior must reach wherever the target does: what lies beyond its
    draws is found by the moves alone.

    So temperatures, step sizes and resampling couple the chains, by design: no draw is independent
    of another, and unlike that of annealed importance sampling the estimate of Z has a bias, of
    order 1/n, which vanishes beside its error (Beskos et al. 2016). Changing one draw changes all.

    At the t-th temperature, t and m from 1 on, step m draws from a generator made of (seed, t, m)
    alone and resampling from that of (seed, t, 0), the seed taken from ``rng``. Cost per temperature:
    ``n_moves`` steps, one log weight and the kernel's ``init``, for n chains.

    Raises ValueError for a target without prior and weight, for a kernel that does not leave its
    target invariant, for counts below 1, for ``ess_ratio`` outside (0, 1), and for log weights that
    are NaN or inf, or all -inf.
    """
    require_tilted(target, "smc")
    check_count("n", n)
    check_count("n_moves", n_moves)
    if not 0.0 < ess_ratio < 1.0:
        raise ValueError(f"ess_ratio: expected a number between 0 and 1, got {ess_ratio}")
    adapt, seed, device = hasattr(kernel, "step"), draw_seed(rng), rng.device
    z, ancestor = target.prior.sample(n, generator(seed, 0, device=device)), torch.arange(n, device=device)
    betas, ess, rates, log_evidence = [0.0], [], [], 0.0
    bar = tqdm(
        desc=progress if isinstance(progress, str) else None, disable=not progress, unit=" temperatures"
    )
    while betas[-1] < 1.0:
        t, log_weight = len(betas), weigh(target, z)
        betas.append(next_beta(log_weight, betas[-1], ess_ratio))
        increment = (betas[-1] - betas[-2]) * log_weight
        ess.append(effective_sample_size(increment))
        log_evidence += float(log_mean_exp(increment))
        index = systematic(increment, n, generator(seed, t, 0, device=device))

        tempered, here, total = Tempered(target, betas[-1]), kernel_at(kernel, betas[-1]), 0.0
        state = here.init(tempered, z[index])
        for m in range(1, n_moves + 1):
            state, info = here.step(tempered, state, generator(seed, t, m, device=device))
            rate = float(info.log_alpha.exp().mean())
            here, total = adapted(here, rate) if adapt else here, total + rate
        z, ancestor, kernel = state.z, ancestor[index], here if adapt else kernel
        rates.append(total / n_moves)
        bar.set_postfix(beta=f"{betas[-1]:.3g}", acceptance=f"{rates[-1]:.2f}")
        bar.update()
    bar.close()
    return Population(z, ancestor, log_evidence, tuple(betas), tuple(ess), tuple(rates), here, seed)


def next_beta(log_weight: Tensor, beta: float, ess_ratio: float) -> float:
    """The next β in (``beta``, 1], by bisection: the ESS falls as β - ``beta`` grows.

    The upper end of the last interval is taken, so that the population moves on by 2⁻⁵⁰ of what is
    left at least.
    """
    alive = int(torch.isfinite(log_weight).sum())

    def enough(other: float) -> bool:
        return effective_sample_size((other - beta) * log_weight) >= ess_ratio * alive

    if enough(1.0):
        return 1.0
    low, high = beta, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if enough(middle) else (low, middle)
    return high


def adapted(kernel: Kernel, rate: float) -> Kernel:
    """The kernel with a longer step where its acceptance ``rate`` is above its goal, else a shorter one."""
    move = innermost(kernel)
    if not hasattr(move, "target_accept"):
        return kernel
    return with_step_size(kernel, move.step_size * math.exp(rate - move.target_accept))
