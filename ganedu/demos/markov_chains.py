"""Lecture 8, what a chain does: a particle on a banana, a leapfrog trajectory, chains that do not meet."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from ipywidgets import Dropdown, FloatLogSlider, FloatSlider, IntSlider, Play, jslink
from torch import Tensor

from ganedu.demos.panel import Panel
from ganedu.rng import generator
from ganedu.samplers import Hamiltonian, Langevin, MetropolisHastings, RandomWalk, run
from ganedu.samplers.base import Kernel, evaluate_with_grad
from ganedu.samplers.diagnostics import ess, split_rhat
from ganedu.samplers.hamiltonian import kinetic
from ganedu.samplers.hamiltonian import leapfrog as leapfrog_step
from ganedu.targets import Banana, StandardNormal, far_modes
from ganedu.viz import mixing, walks

WIDE = {"description_width": "initial"}
ROOM = {"width": "27em"}  # for a slider with a long description

# --- a particle on a banana

BUDGET = 400  # evaluations of the target's density, with its gradient where the kernel uses one
CHAINS = 32
COSTS = {"random walk": 1, "MALA": 1, "HMC, 10 leapfrogs": 10}
BANANA = {"scale": 2.0, "bend": 0.25}
PLANE = (-7.0, 7.0, -10.0, 4.5)


def kernel_of(name: str, step: float) -> Kernel:
    """The kernel of that name in ``COSTS`` whose moves have noise of standard deviation ``step`` = √τ, for
    HMC ε: one scale for all three, as MALA is one leapfrog step with ε² = τ."""
    moves = {
        "random walk": lambda: RandomWalk(step**2),
        "MALA": lambda: Langevin(step**2),
        "HMC, 10 leapfrogs": lambda: Hamiltonian(step, n_leapfrog=10),
    }
    return MetropolisHastings(moves[name]())


class Walk(NamedTuple):
    """The ``path`` (draws + 1, 2) of one chain in the first two coordinates, and of all chains the share of
    proposals that were accepted and the effective draws of one chain (the worse of x1 and x2)."""

    path: Tensor
    acceptance: float
    ess: float


@lru_cache(maxsize=32)
def walks_of(name: str, dim: int, step: float, seed: int) -> Tensor:
    """(draws + 1, chains, 2): chains from exact draws of the banana, for ``BUDGET`` evaluations each."""
    target = Banana(dim, **BANANA)
    z = target.sample(CHAINS, generator(8, 1, seed))
    steps = BUDGET // COSTS[name]
    trace = run(kernel_of(name, step), target, z, steps, rng=generator(8, 2, seed))
    return torch.cat([z[None], trace.z])[:, :, :2]


def walk_numbers(name: str, dim: int, step: float, evaluations: int, seed: int) -> Walk:
    """A particle on a banana in R^dim after so many ``evaluations``, at most ``BUDGET``."""
    z = walks_of(name, dim, step, seed)[: 1 + evaluations // COSTS[name]]
    moved = (z[1:] != z[:-1]).any(-1)
    return Walk(z[:, 0], float(moved.double().mean()), float(ess(z).min()) / CHAINS)


def walk() -> Panel:
    """A particle on a banana, by three kernels: its way, its acceptance, and what its draws are worth."""

    def draw(kernel: str, dim: int, step: float, evaluations: int, seed: int):
        path, acceptance, effective = walk_numbers(kernel, dim, step, evaluations, seed)
        title = f"{kernel}: accepted {acceptance:.0%}, {evaluations} evaluations worth {effective:.1f} draws"
        return walks.particle(path, Banana(2, **BANANA).log_prob, PLANE, title, COSTS[kernel])

    evaluations = IntSlider(
        BUDGET, min=50, max=BUDGET, step=10, description="evaluations", style=WIDE, continuous_update=False
    )
    controls = {
        "kernel": Dropdown(options=list(COSTS), description="kernel"),
        "dim": Dropdown(options=[2, 20], description="dimensions", style=WIDE),
        "step": FloatLogSlider(
            1.0, base=10, min=-1.0, max=0.6, step=0.05, description="step √τ = ε", style=WIDE, layout=ROOM
        ),
        "evaluations": evaluations,
        "seed": IntSlider(0, min=0, max=9, description="seed"),
    }
    panel = Panel(draw, controls, "The path of a Markov chain over the contours of a banana-shaped density")
    # At its end, as the slider is: linked, they begin with one value, and from its end it plays anew.
    play = Play(value=BUDGET, min=50, max=BUDGET, step=10, interval=400)
    jslink((play, "value"), (evaluations, "value"))
    row = panel.children[0]
    row.children = (*row.children, play)
    return panel


# --- a leapfrog trajectory


class Orbit(NamedTuple):
    """``z``, ``momentum`` and ``energy`` of a trajectory, all (steps + 1,)."""

    z: Tensor
    momentum: Tensor
    energy: Tensor


def orbit_numbers(step_size: float, steps: int) -> Orbit:
    """So many leapfrog steps of size ε on N(0, 1), from z = 0 with momentum 1, in double precision."""
    target = StandardNormal(1, torch.float64)
    state = evaluate_with_grad(target, torch.zeros(1, 1, dtype=torch.float64))
    momentum, points = torch.ones_like(state.z), []
    for k in range(steps + 1):
        if k:
            state, momentum = leapfrog_step(target, state, momentum, step_size)
        points.append(torch.stack([state.z[0, 0], momentum[0, 0], kinetic(momentum)[0] - state.log_prob[0]]))
    return Orbit(*torch.stack(points).T)


def leapfrog() -> Panel:
    """A trajectory of HMC in phase space, and the energy that it gains."""

    def draw(step_size: float, steps: int):
        z, momentum, energy = orbit_numbers(step_size, steps)
        gain = float(energy[-1] - energy[0])
        alpha = torch.tensor(-gain).clamp(max=0).exp().item()
        title = f"ε = {step_size:.2f}: the end gains {gain:.3g}, and is accepted with probability {alpha:.2f}"
        return walks.orbit(z, momentum, energy, title)

    controls = {
        "step_size": FloatSlider(0.5, min=0.05, max=2.1, step=0.05, description="step size ε", style=WIDE),
        "steps": IntSlider(12, min=1, max=40, description="leapfrog steps", style=WIDE),
    }
    return Panel(draw, controls, "A leapfrog trajectory in phase space and its energy error")


# --- chains that do not meet

DRAWS = 600
STARTS = ("two in each mode", "all in the wide mode")


class Meeting(NamedTuple):
    """``x`` (draws, 4): places along the line between the modes; split R-hat (k,) of the first ``looks``
    (k,) draws; the ``share`` of draws on the right, at x > 0, and what it is in truth; effective draws in
    all."""

    x: Tensor
    looks: Tensor
    rhat: Tensor
    share: float
    truth: float
    ess: float


@lru_cache(maxsize=32)
def apart(distance: float, starts: str, seed: int) -> Tensor:
    """(DRAWS, 4): random walks on two modes, 1/3 of the mass on the left and 2/3 on the right."""
    target = far_modes(2, distance)
    mode = torch.tensor([0, 0, 1, 1] if starts == STARTS[0] else [0, 0, 0, 0])
    noise = torch.randn(4, 2, generator=generator(8, 3, seed))
    z = target.means[mode] + target.std[mode, None] * noise
    trace = run(MetropolisHastings(RandomWalk(1.0)), target, z, DRAWS, rng=generator(8, 4, seed))
    return trace.z.sum(-1) / 2**0.5


def apart_numbers(distance: float, starts: str, draws: int, seed: int) -> Meeting:
    """What four chains say about one another after so many ``draws``, at most ``DRAWS``."""
    x = apart(distance, starts, seed)[:draws]
    looks = torch.linspace(20, draws, 12).long()
    return Meeting(
        x,
        looks,
        torch.stack([split_rhat(x[:k]) for k in looks]),
        float((x > 0).double().mean()),
        (math.erfc(distance / 8**0.5) + 2 * math.erfc(-distance / 2**0.5)) / 6,
        float(ess(x)),
    )


def chains_apart() -> Panel:
    """Four chains and two modes: what R-hat sees, and what it cannot see."""

    def draw(distance: float, starts: str, draws: int, seed: int):
        x, looks, rhat, share, truth, effective = apart_numbers(distance, starts, draws, seed)
        title = (
            f"R-hat {rhat[-1]:.2f}, ESS {effective:.0f} of {x.numel()} draws; "
            f"on the right {share:.0%} of the draws, {truth:.0%} of the target"
        )
        return mixing.meeting(x, looks, rhat, 1.01, title)

    controls = {
        "distance": FloatSlider(
            8.0, min=1.0, max=10.0, step=0.5, description="distance of the modes", style=WIDE, layout=ROOM
        ),
        "starts": Dropdown(options=STARTS, description="chains start", style=WIDE),
        "draws": IntSlider(DRAWS, min=50, max=DRAWS, step=50, description="draws a chain", style=WIDE),
        "seed": IntSlider(0, min=0, max=9, description="seed"),
    }
    return Panel(draw, controls, "Traces of four chains on two modes, and their R-hat")
