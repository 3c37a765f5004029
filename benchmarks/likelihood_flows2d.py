"""Flows on four densities in the plane, beside zuko's on the same batches in the same run.

Both sides go through ``fit_mle`` with one recipe, so that batches, optimiser, schedule and number of steps
are the same; parameters differ by 2% at most. Each side has the learning rate that is best for it: of three,
after a quarter of the steps (a RealNVP after all of them), by a seed and draws that judge nothing else. Flow
matching trains zuko's CNF on our objective. ``nats`` is the mean of -log q over fresh draws, the same for
all, in the units of the data; ``floor`` that of -log p, p the density that they come from: the difference
estimates KL(p || q).
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.rows import Job, load
from ganedu.data import Checkerboard, GaussianMixture, Rings, grid, two_moons
from ganedu.flows import (
    CNF,
    Flow,
    FlowMatching,
    NegativeLogLikelihood,
    cnf,
    neural_spline,
    real_nvp,
)
from ganedu.flows.matching import squared_error
from ganedu.rng import generator
from ganedu.training import MLERecipe, fit_mle

LIBRARIES = ("ours", "zuko")
EXACT = 1e-5  # tolerance at which a trained CNF is judged, whatever it was trained at
DRAWS = 20_000
SEEDS = 3
RATES = (1e-3, 5e-3, 2e-2)
JUDGE, MOMENTS, VALIDATION = range(10**6, 10**6 + 3)  # seeds of draws that nothing is trained on
TUNING_SEED = 100


class Density(NamedTuple):
    sample: Callable[[int, torch.Generator], Tensor]
    log_prob: Callable[[Tensor], Tensor]


class Setting(NamedTuple):
    """A model on either side, and how both are trained: a minute or two on one thread of a laptop."""

    ours: Callable[[], nn.Module]
    zuko: Callable[[], nn.Module]
    recipe: MLERecipe
    matching: FlowMatching | None = None
    tuning: float = 0.25  # share of the steps after which a learning rate is judged


@dataclass(frozen=True)
class TheirLikelihood:
    """``NegativeLogLikelihood`` of a flow of zuko's."""

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor]:
        return (x,)

    def loss(self, model: nn.Module, x: Tensor) -> Tensor:
        return -model().log_prob(x)


@dataclass(frozen=True)
class TheirMatching(FlowMatching):
    """``FlowMatching`` of zuko's CNF, whose time runs from the data at 0 to the noise at 1."""

    def loss(self, model: nn.Module, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        return squared_error(lambda t, x: -model.transform.f(1.0 - t, x), t, *self.path(x1, x0, t))


def moons_density() -> GaussianMixture:
    """Of ``two_moons``: half circles with noise 0.05, as 2 x 500 normal laws 0.006 apart along them."""
    angle = math.pi * (torch.arange(500) + 0.5) / 500
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    return GaussianMixture(torch.cat([upper, lower]), torch.full((1000,), 0.05), torch.full((1000,), 1e-3))


DENSITIES = {
    "moons": Density(two_moons, moons_density().log_prob),
    "rings": Density(Rings().sample, Rings().log_prob),
    "25 Gaussians": Density(grid().sample, grid().log_prob),
    "checkerboard": Density(Checkerboard().sample, Checkerboard().log_prob),
}


def settings() -> dict[str, Setting]:
    """By the names of the report. zuko's velocity keeps its own embedding of the time and its ELU."""
    import zuko
    from zuko.transforms import MonotonicRQSTransform

    def couplings(layers: int, width: int, **univariate) -> nn.Module:
        return zuko.flows.NICE(2, transforms=layers, hidden_features=(width, width), **univariate)

    def field(**tolerance: float) -> nn.Module:
        return zuko.flows.CNF(2, hidden_features=(63, 63, 64), **tolerance)

    spline = {"univariate": MonotonicRQSTransform, "shapes": [(8,), (8,), (7,)]}
    loose = {"rtol": 1e-3, "atol": 1e-3}
    recipe = partial(MLERecipe, schedule="cosine", clip=5.0)
    return {
        "RealNVP": Setting(
            lambda: real_nvp(2, 12, (64, 64)),
            lambda: couplings(12, 64),
            # After a third of them three seeds can not tell 0.05 nats: it is chance where mass is left.
            recipe(steps=12_000, batch_size=512),
            # A quarter of them favours a rate that in the end is too high: on the rings, by 0.2 nats.
            tuning=1.0,
        ),
        "spline": Setting(
            lambda: neural_spline(2, 6, (128, 128)),
            lambda: couplings(6, 128, **spline),
            recipe(steps=3000, batch_size=256),
        ),
        # Smeared by a hundredth, because 0.1 is wider than the modes of the 25 Gaussians.
        "flow matching": Setting(
            lambda: cnf(2, EXACT, EXACT),
            field,
            recipe(steps=8000, batch_size=256),
            FlowMatching(sigma=0.01),
        ),
        "CNF": Setting(
            lambda: cnf(2, **loose),
            lambda: field(**loose),
            recipe(steps=600, batch_size=256),
        ),
    }


def jobs(quick: bool, path: Path) -> Iterator[Job]:
    """(key, what makes its row), CNF on two of the densities. ``path`` holds the rates found before."""
    for density in DENSITIES:
        for model in settings():
            if model == "CNF" and density not in ("moons", "checkerboard"):
                continue
            for library in LIBRARIES:
                rate_key = f"rate/{density}/{model}/{library}"
                yield rate_key, partial(rate_row, density, model, library, quick)
                for seed in range(1 if quick else SEEDS):
                    key = f"plane/{density}/{model}/{library}/{seed}"
                    yield key, partial(row, density, model, library, seed, quick, path, rate_key)


def rate_row(density: str, model: str, library: str, quick: bool) -> dict:
    """Nats by rate, of short fits that are judged by draws of their own; null where training diverged."""
    setting = settings()[model]
    steps = int(setting.tuning * (20 if quick else setting.recipe.steps))
    nats: dict[float, float] = {}
    for rate in RATES:
        with contextlib.suppress(FloatingPointError):
            flow, _ = fitted(density, model, library, steps=steps, seed=TUNING_SEED, learning_rate=rate)
            found = minus_log_q(flow, density, library, 500 if quick else DRAWS, VALIDATION)
            if found.isfinite().all():
                nats[rate] = float(found.mean())
    return {"steps": steps, "nats": [nats.get(rate) for rate in RATES], "rate": min(nats, key=nats.get)}


def row(density: str, model: str, library: str, seed: int, quick: bool, path: Path, rate_key: str) -> dict:
    """Train at the rate found before, judge. Raises LookupError where there is none."""
    rates = load(path)["rows"]
    if rate_key not in rates:
        raise LookupError(f"{rate_key} comes first")
    rate = rates[rate_key]["rate"]
    steps, draws = (20, 500) if quick else (settings()[model].recipe.steps, DRAWS)
    flow, times = fitted(density, model, library, steps=steps, seed=seed, learning_rate=rate)
    started = time.perf_counter()
    nats = minus_log_q(flow, density, library, draws, JUDGE)
    x = DENSITIES[density].sample(draws, generator(JUDGE))
    return {
        "density": density,
        "model": model,
        "library": library,
        "seed": seed,
        "nats": float(nats.mean()),
        "error": float(nats.std() / math.sqrt(draws)),
        "floor": -float(DENSITIES[density].log_prob(x.double()).mean()),
        "parameters": parameters(flow),
        "rate": rate,
        "steps": steps,
        "judging_seconds": time.perf_counter() - started,
        **times,
    }


def fitted(density: str, model: str, library: str, **recipe) -> tuple[nn.Module, dict[str, float]]:
    """A flow trained by the setting's recipe with these changes, and the time that it took. Raises
    ValueError where the two sides do not have the same size."""
    setting = settings()[model]
    sizes = [parameters(make()) for make in (setting.ours, setting.zuko)]
    if abs(sizes[0] / sizes[1] - 1) > 0.02:
        raise ValueError(f"{model}: expected as many parameters on both sides to 2%, got {sizes}")
    torch.manual_seed(recipe["seed"])
    flow = (setting.ours if library == "ours" else setting.zuko)()
    mean, std = moments(density)

    def standardised(n: int, rng: torch.Generator) -> Tensor:
        return (DENSITIES[density].sample(n, rng) - mean) / std

    started = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        changed = replace(setting.recipe, **recipe)
        fit_mle(flow, objective(setting, library), standardised, changed, Path(folder), progress=False)
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    return flow, {"seconds": seconds, "cpu_seconds": cpu_seconds}


def minus_log_q(flow: nn.Module, density: str, library: str, draws: int, seed: int) -> Tensor:
    """(draws,) of fresh draws, in the units of the data."""
    mean, std = moments(density)
    x = DENSITIES[density].sample(draws, generator(seed))
    return std.log().sum() - log_prob(flow, library, (x - mean) / std)


def objective(setting: Setting, library: str):
    """What a side is trained on."""
    if setting.matching is not None:
        return setting.matching if library == "ours" else TheirMatching(setting.matching.sigma)
    return NegativeLogLikelihood() if library == "ours" else TheirLikelihood()


@torch.no_grad()
def log_prob(flow: nn.Module, library: str, x: Tensor) -> Tensor:
    """(n,), float64; of a CNF with an exact trace and a tight tolerance."""
    if library == "zuko":
        if hasattr(flow.transform, "rtol"):
            # They allow the log determinant a hundred times the tolerance.
            flow.transform.rtol = flow.transform.atol = EXACT / 10
        density = flow().log_prob
    else:
        transforms = [
            CNF(part.velocity, EXACT, EXACT) if isinstance(part, CNF) else part for part in flow.transforms
        ]
        density = Flow(flow.base, transforms).log_prob
    return torch.cat([density(part) for part in x.split(5000)]).double()


@cache
def moments(density: str) -> tuple[Tensor, Tensor]:
    """(mean, standard deviation) (2,), of 100,000 draws: what the data are standardised by."""
    x = DENSITIES[density].sample(100_000, generator(MOMENTS))
    return x.mean(0), x.std(0)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
