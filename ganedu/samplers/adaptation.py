"""Warm-up: the step size and the scale of each coordinate are learnt, and then frozen.

While they change the kernel depends on the past, so that no state of the warm-up is kept. All chains
share one step size and one scale: here, and nowhere later, they learn from each other.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.rng import generator
from ganedu.samplers.barker import Barker
from ganedu.samplers.base import Kernel, State, innermost
from ganedu.samplers.hamiltonian import Hamiltonian
from ganedu.samplers.langevin import Langevin
from ganedu.samplers.nuts import NUTS
from ganedu.samplers.preconditioned import Preconditioned
from ganedu.samplers.progress import Bar
from ganedu.samplers.random_walk import RandomWalk
from ganedu.samplers.slice import Slice
from ganedu.targets import Target

# Moves on any target. The others keep to a prior, whose scale is known.
SCALED = (RandomWalk, Langevin, Barker, Hamiltonian, NUTS, Slice)


class DualAveraging(NamedTuple):
    """Nesterov's dual averaging of log ε, towards an acceptance (Hoffman and Gelman 2014, sec. 3.2).

    >>> import math
    >>> from ganedu.samplers.adaptation import DualAveraging
    >>> tuner = DualAveraging.start(0.1)
    >>> for accept in [0.2] * 20: tuner = tuner.update(accept, target_accept=0.8)
    >>> tuner.log_average < math.log(0.1)
    True
    """

    centre: float
    log_step: float
    log_average: float = 0.0
    error: float = 0.0
    count: int = 0
    highest: float = 60.0

    @classmethod
    def start(cls, step_size: float, steps: int = 100, largest: float = math.inf) -> "DualAveraging":
        """For a window of so many ``steps``. Where there is time it looks for step sizes about ten times as
        large first, for too small a step costs more. None is above ``largest``."""
        first = 10.0 if steps >= 20 else 1.0
        highest = min(cls._field_defaults["highest"], math.log(largest))
        return cls(math.log(first * step_size), math.log(step_size), highest=highest)

    def update(self, accept: float, target_accept: float) -> "DualAveraging":
        """After a step that was accepted with probability ``accept``, the mean over chains."""
        count = self.count + 1
        share = 1.0 / (count + 10.0)
        error = (1.0 - share) * self.error + share * (target_accept - accept)
        log_step = self.centre - math.sqrt(count) / 0.05 * error
        log_step = max(min(log_step, self.highest), -60.0)
        weight = count**-0.75
        log_average = weight * log_step + (1.0 - weight) * self.log_average
        return self._replace(log_step=log_step, log_average=log_average, error=error, count=count)


@dataclass(frozen=True)
class Window:
    """Steps ``first`` to ``last`` - 1 of a warm-up; ``scaled``: learn the scales from them."""

    first: int
    last: int
    scaled: bool


def windows(steps: int) -> list[Window]:
    """Stan's schedule (reference manual, sec. 15.2): a start for the step size alone, scales over windows
    that double, an end for the step size alone. Short warm-ups have a shorter start and end, and those
    below 40 steps are for the step size alone."""
    if steps < 40:
        return [Window(0, steps, False)] if steps else []
    start, end = (75, 50) if steps >= 150 else (int(0.15 * steps), 20)
    stop, first, length, middle = steps - end, start, 25, []
    while first < stop:
        last = first + length if first + 3 * length <= stop else stop
        middle.append(Window(first, last, True))
        first, length = last, 2 * length
    borders = [Window(0, start, False), *middle, Window(stop, steps, False)]
    return [window for window in borders if window.first < window.last]


def adapt(
    kernel: Kernel, target: Target, state: State, window: Window, seed: int, bar: Bar
) -> tuple[Kernel, State]:
    """(the kernel with what the window taught it, the state that it left the chains in)."""
    move = innermost(kernel)
    # An unadjusted kernel accepts everything: its step is a choice between bias and speed, not ours.
    tunable = kernel.adjusted and hasattr(move, "target_accept")
    largest = getattr(move, "largest", math.inf)
    tuner = DualAveraging.start(move.step_size, window.last - window.first, largest) if tunable else None
    draws = []
    for t in range(window.first, window.last):
        state, info = kernel.step(target, state, generator(seed, t, device=state.z.device))
        if tunable:
            tuner = tuner.update(float(info.log_alpha.exp().mean()), move.target_accept)
            kernel = with_step_size(kernel, math.exp(tuner.log_step))
        draws.append(state.z)
        bar.learn(kernel, info)
    if tunable:
        kernel = with_step_size(kernel, math.exp(tuner.log_average))
    bare = kernel.kernel if isinstance(kernel, Preconditioned) else kernel
    if window.scaled and kernel.adjusted and isinstance(getattr(bare, "proposal", bare), SCALED):
        kernel = Preconditioned(bare, spread(torch.stack(draws)))
        state = kernel.init(target, state.z)
    return kernel, state


def with_step_size(kernel: Kernel, step_size: float) -> Kernel:
    """The same kernel, its innermost move with ``step_size``, or the largest that the move allows."""
    if hasattr(kernel, "step_size"):
        return replace(kernel, step_size=min(step_size, getattr(kernel, "largest", math.inf)))
    inner = next(field.name for field in fields(kernel) if field.name in ("proposal", "kernel"))
    return replace(kernel, **{inner: with_step_size(getattr(kernel, inner), step_size)})


def spread(draws: Tensor) -> Tensor:
    """Standard deviation (d,) of draws (draws, chains, d), drawn a little towards 0.03 as Stan does, so
    that a window in which nothing moved gives no scale of zero."""
    n = draws.shape[0] * draws.shape[1]
    variance = draws.flatten(0, 1).var(0)
    return ((n * variance + 5 * 1e-3) / (n + 5)).sqrt()
