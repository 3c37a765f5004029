"""What test_contract.py asks of a flow, and test_power.py of flows that are wrong.

Each function returns an error as a multiple of what is tolerated: above 1 the flow is rejected.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ganedu.flows import Flow
from tests.flows.registry import CASES, Case
from tests.laws import worst

STEP = 1e-6  # of differences
NETWORKS = (torch.nn.Linear, torch.nn.Conv2d)  # whose layers autocast may round
ANGLES = torch.tensor([0.3, 1.1, 1.9, 2.7])  # of projections: along no side of the cells


def rng(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def silent(flow: Flow) -> Flow:
    """``flow``, whose networks say zero of whatever they see."""
    for part in flow.modules():
        if isinstance(part, torch.nn.Sequential):
            torch.nn.init.zeros_(part[-1].weight)
            torch.nn.init.zeros_(part[-1].bias)
    return flow


def points(flow: Flow, n: int, seed: int = 0) -> Tensor:
    """z (n, d), wider than the base, so that the tails are tried too."""
    return 1.5 * torch.randn(n, flow.base.dim, generator=rng(seed), dtype=torch.float64)


def largest(errors: Iterable[Tensor]) -> float:
    """Infinite where one is not a number: Python's ``max`` would pass over it."""
    worst_error = float(torch.stack([error.abs().max() for error in errors]).max())
    return math.inf if math.isnan(worst_error) else worst_error


@torch.no_grad()
def inverse_error(flow: Flow, case: Case) -> float:
    z = points(flow, 500)
    x, log_det = flow(z)
    back, log_det_back = flow.inverse(x)
    again, _ = flow(back)
    return largest((back - z, again - x, log_det + log_det_back)) / case.tolerance


def log_det_error(flow: Flow, case: Case) -> float:
    """Both directions, each against the Jacobian of its own map; a row at a time."""
    z = points(flow, 4)
    x = flow(z)[0].detach()
    errors = []
    for function, inputs in ((flow.forward, z), (flow.inverse, x)):
        found = function(inputs)[1].detach()
        for row, log_det in zip(inputs, found, strict=True):
            jacobian = torch.autograd.functional.jacobian(lambda row, f=function: f(row[None])[0][0], row)
            exact = torch.linalg.slogdet(jacobian.reshape(row.numel(), -1)).logabsdet
            errors.append(log_det - exact)
    return largest(errors) / case.tolerance


def gradient_error(flow: Flow, case: Case) -> float:
    """Of log densities and of draws, towards the parameters and the point at once, along a line.

    The better of three lines: on one of them a difference may have crossed a kink of ReLU, while a wrong
    gradient is wrong along all. Infinite where a parameter's gradient is zero or not finite.
    """
    z = points(flow, 16)
    x = flow(z)[0].detach()

    def density(x):
        return flow.log_prob(x).mean()

    def draws(z):
        x, log_det = flow(z)
        return (x.sin().flatten(1).sum(1) + log_det).mean()

    errors = []
    for function, at in ((density, x), (draws, z)):
        at = at.clone().requires_grad_()
        places = [*flow.parameters(), at]
        gradients = torch.autograd.grad(function(at), places, allow_unused=True, materialize_grads=True)
        if not all(bool(g.isfinite().all() and g.any()) for g in gradients):
            return float("inf")
        lines = [_difference_error(function, places, gradients, seed) for seed in range(3)]
        errors.append(torch.tensor(lines).min())
    return largest(errors) / max(1e-5, 100 * case.tolerance)


@torch.no_grad()
def _difference_error(function, places: list[Tensor], gradients: list[Tensor], seed: int) -> float:
    generator = rng(seed)
    lines = [torch.randn(place.shape, generator=generator, dtype=torch.float64) for place in places]
    slope = float(sum((g * line).sum() for g, line in zip(gradients, lines, strict=True)))
    before, values = [place.clone() for place in places], []
    for step in (STEP, -STEP):
        for place, old, line in zip(places, before, lines, strict=True):
            place.copy_(old + step * line)
        values.append(float(function(places[-1])))
    for place, old in zip(places, before, strict=True):
        place.copy_(old)
    return abs(slope - (values[0] - values[1]) / (2 * STEP)) / max(1.0, abs(slope))


@torch.no_grad()
def rows_are_independent(flow: Flow) -> bool:
    z = points(flow, 7)
    other = z.clone()
    other[4] = 2.5
    x = flow(z)[0]
    changed = x.clone()
    changed[4] = flow(other)[0][4]
    same = [i for i in range(7) if i != 4]
    pairs = [
        *zip(flow(z), flow(other), strict=True),
        *zip(flow.inverse(x), flow.inverse(changed), strict=True),
    ]
    return all(torch.equal(a[same], b[same]) for a, b in pairs)


@torch.no_grad()
def autocast_error(flow: Flow) -> float:
    """Of what every transform returns in float32, there and back, under autocast to bfloat16 against without:
    zero, unless a network tells the flow how to move. Infinite where a result is no longer in float32."""
    flow = flow.float()
    z = points(flow, 50).float()
    exact = _results(flow, z)
    with torch.autocast("cpu", torch.bfloat16):
        found = _results(flow, z)
    if any(part.dtype != torch.float32 for part in found):
        return math.inf
    if any(isinstance(layer, NETWORKS) for layer in flow.modules()):
        return 0.0
    return largest(a - b for a, b in zip(found, exact, strict=True)) / 1e-6


def _results(flow: Flow, at: Tensor) -> list[Tensor]:
    results = []
    for move in (*flow.transforms, *(transform.inverse for transform in reversed(flow.transforms))):
        at, log_det = move(at)
        results += [at, log_det]
    return results


@torch.no_grad()
def jump(flow: Flow, case: Case) -> float:
    """Along a line through the middle half of the box, the largest difference of log_prob between
    neighbours falls with the distance between them: sixteen times closer, to less than a quarter. A
    jump stays."""
    low, high = case.box
    direction = torch.randn(flow.shape, generator=rng(1), dtype=torch.float64)
    direction *= 0.25 * (high - low) / direction.abs().max()
    largest = []
    for n in (4_000, 64_000):
        t = torch.linspace(-1, 1, n, dtype=torch.float64).view(-1, *[1] * len(flow.shape))
        line = 0.5 * (low + high) + t * direction
        values = torch.cat([flow.log_prob(block) for block in line.split(8_000)])
        largest.append(float(values.diff().abs().max()))
    return largest[1] / (0.25 * largest[0])


@torch.no_grad()
def masses(flow: Flow, case: Case) -> tuple[Tensor, Tensor]:
    """The middles (cells², 2) of the cells of the box, and the mass of each by the midpoint rule."""
    low, high = case.box
    width = (high - low) / case.cells
    side = low + width * (torch.arange(case.cells, dtype=torch.float64) + 0.5)
    middles = torch.cartesian_prod(side, side)
    log_prob = torch.cat([flow.log_prob(block) for block in middles.split(20_000)])
    return middles, log_prob.exp() * width**2


def integral_error(flow: Flow, case: Case) -> float:
    return abs(float(masses(flow, case)[1].sum()) - 1) / 1e-3


def law_error(flow: Flow, case: Case) -> float:
    """The largest DKW distance over its bound; the false-fail rate of 1e-6 is that of all flows together."""
    middles, mass = masses(flow, case)
    draws = torch.cat(list(_draws(flow, case.draws)))
    pairs = {}
    for angle in ANGLES:
        line = torch.stack([angle.cos(), angle.sin()]).double()
        pairs[f"angle {angle:.1f}"] = (draws @ line, _cdf(middles @ line, mass))
    return worst(pairs, tests=len(CASES))[0]


def _draws(flow: Flow, n: int) -> Iterator[Tensor]:
    generator = rng(11)
    for start in range(0, n, 20_000):
        yield flow.sample(min(20_000, n - start), generator)


def _cdf(place: Tensor, mass: Tensor):
    """The CDF of masses at places on the line; half of a cell's mass lies before its middle."""
    place, order = place.sort()
    below = (mass[order].cumsum(0) - 0.5 * mass[order]).numpy()
    return lambda x: torch.from_numpy(np.interp(x.numpy(), place.numpy(), below))
