"""HMC and NUTS on three posteriors, beside Pyro's and blackjax's with the same step size and mass matrix.

The peers run in an environment of their own, as scripts (``samplers_pyro``, ``samplers_blackjax``) that
are sent a problem and send back draws. All draws are judged by our diagnostics: the worst bulk ESS over
all coordinates. A gradient evaluation is a leapfrog step of one chain.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.samplers_figures import worth
from ganedu.rng import generator
from ganedu.samplers import NUTS, Hamiltonian, MetropolisHastings, Preconditioned, run
from ganedu.targets import TARGETS, Target, log_prob_and_grad, references

KERNELS = ("HMC", "NUTS")
CODES = ("ours", "compiled", "pyro", "blackjax")  # compiled: ours, with a density that torch compiled
BURN_IN = 100  # steps that nobody counts
ORACLES = (
    "python3.11 -m venv ORACLES && ORACLES/bin/pip install -c constraints.txt pyro-ppl blackjax torch numpy"
)


class Setting(NamedTuple):
    """``step_size`` in units of the mass matrix, about where NUTS accepts 0.8; ``n_leapfrog`` of HMC.
    ``draws`` of a chain, and how many chains Pyro runs of ours (one after the other) for how long."""

    step_size: float
    n_leapfrog: int
    draws: int
    pyro_chains: int
    pyro_draws: int


SETTINGS = {
    "eight_schools": Setting(0.3, 6, 1000, 16, 500),
    "logistic_regression": Setting(0.2, 11, 1000, 16, 400),
    "gaussian_100": Setting(0.025, 100, 400, 8, 200),
}
QUICK = {"eight_schools": Setting(0.3, 6, 100, 2, 50)}


class Counted:
    """A target that counts calls, and the seconds spent in them."""

    def __init__(self, target: Target):
        self.target = target
        self.calls, self.seconds = 0, 0.0
        self.log_prob = target.log_prob

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        started = time.perf_counter()
        found = log_prob_and_grad(self.target, z)
        self.calls, self.seconds = self.calls + 1, self.seconds + time.perf_counter() - started
        return found


class Compiled:
    """A target whose log density and gradient are one function compiled by torch."""

    def __init__(self, target: Target):
        def total(z: Tensor) -> tuple[Tensor, Tensor]:
            value = target.log_prob(z)
            return value.sum(), value

        self.log_prob = target.log_prob
        self._grad_and_value = torch.compile(torch.func.grad_and_value(total, has_aux=True))

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        grad, (_, value) = self._grad_and_value(z)
        return value, grad


def jobs(chains: int, quick: bool, oracles: Path | None) -> Iterator[tuple[str, Callable[[], dict]]]:
    """(key, what makes its row) of every posterior, kernel and code."""
    settings = QUICK if quick else SETTINGS
    for name, setting in settings.items():
        for kernel in KERNELS:
            for code in CODES:
                work = peer if code in ("pyro", "blackjax") else ours
                yield (
                    f"posteriors/{name}/{kernel}/{code}",
                    lambda work=work, args=(name, kernel, setting, chains, code, oracles): work(*args),
                )


def ours(name: str, kernel: str, setting: Setting, chains: int, code: str, _: Path | None) -> dict:
    """Our row. Where its time goes: in the density and its gradient, and in calls on behalf of one chain
    that all others wait for."""
    target, scale = TARGETS[name](), references(name).sd.float()
    move = MetropolisHastings(Hamiltonian(setting.step_size, setting.n_leapfrog))
    move = NUTS(setting.step_size) if kernel == "NUTS" else move
    move = Preconditioned(move, scale)
    started = time.perf_counter()
    target = Compiled(target) if code == "compiled" else target
    log_prob_and_grad(target, starts(name, chains))
    compiling = time.perf_counter() - started
    warm = run(move, target, starts(name, chains), BURN_IN, rng=generator(1))
    counted = Counted(target)
    started = time.perf_counter()
    trace = run(move, counted, warm.last, setting.draws, rng=generator(2))
    seconds = time.perf_counter() - started
    taken = trace.n_leapfrog if kernel == "NUTS" else torch.full((chains,), float(counted.calls))
    return row(name, trace.z, taken, seconds, compiling, f"torch {torch.__version__}") | {
        "density_share": counted.seconds / seconds,
        "own_share": float(taken.mean()) / counted.calls,
    }


def peer(name: str, kernel: str, setting: Setting, chains: int, code: str, oracles: Path | None) -> dict:
    """The row of Pyro or blackjax. Raises FileNotFoundError without their environment, and ValueError
    where their density is not ours up to a constant."""
    if oracles is None:
        raise FileNotFoundError(f"no --oracles PYTHON; {ORACLES}; then --oracles ORACLES/bin/python")
    chains, draws = (chains, setting.draws) if code == "blackjax" else setting[3:]
    begin = starts(name, chains)
    problem = {"name": name, "kernel": kernel, "draws": draws, "burn_in": BURN_IN, "seed": 3}
    problem |= {"step_size": setting.step_size, "n_leapfrog": setting.n_leapfrog, "starts": begin.numpy()}
    problem |= {"scale": references(name).sd.float().numpy()}
    problem |= {f"data_{key}": value.numpy() for key, value in data(name).items()}
    with tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder) / "problem.npz", Path(folder) / "draws.npz"
        np.savez(there, **problem)
        script = Path(__file__).with_name(f"samplers_{code}.py")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([oracles, script, there, back], check=True, env=environment)
        found = dict(np.load(back))
    difference = TARGETS[name]().log_prob(begin) - torch.from_numpy(found["log_prob"])
    if difference.max() - difference.min() > 1e-4 * difference.abs().max().clamp(min=100.0):
        raise ValueError(f"{code}: its density of {name} is not ours: they differ by {difference.tolist()}")
    taken = torch.from_numpy(found["gradients"].copy()).float()
    z = torch.from_numpy(found["z"].copy())
    return row(
        name, z, taken, float(found["seconds"]), float(found["compile_seconds"]), str(found["version"])
    )


def row(name: str, z: Tensor, gradients: Tensor, seconds: float, compiling: float, version: str) -> dict:
    """Figures of draws z (draws, chains, d) that took ``gradients`` (chains,); with the farthest that a
    mean lies from the reference, in standard errors of both: a sign that all sample the same law."""
    moments = references(name)
    found = worth(z)
    total = float(gradients.sum())
    each = torch.tensor(found.each_ess, dtype=torch.float64)
    error = torch.hypot(moments.sd / each.sqrt(), moments.mean_error)
    return {
        "chains": z.shape[1],
        "draws": z.shape[0],
        "ess": found.ess,
        "log_se": found.log_se,
        "rhat": max(found.each_rhat),
        "farthest_mean": float(((z.double().mean((0, 1)) - moments.mean) / error).abs().max()),
        "gradients": total,
        "gradients_per_draw": total / (z.shape[0] * z.shape[1]),
        "ess_per_gradient": found.ess / total,
        "seconds": seconds,
        "compile_seconds": compiling,
        "ess_per_second": found.ess / seconds,
        "version": version,
    }


@cache
def starts(name: str, chains: int) -> Tensor:
    """(chains, d), the same for every code: exact draws where there are any, otherwise the ends of chains of
    NUTS with a quarter of the step. Of 64 that started at once, from a normal law with the reference's
    moments, one began where the whole step is never accepted, and what that cost hid everything else."""
    target, moments = TARGETS[name](), references(name)
    if hasattr(target, "sample"):
        return target.sample(chains, generator(0))
    noise = torch.randn(chains, len(moments.mean), generator=generator(0), dtype=torch.float64)
    short = Preconditioned(NUTS(SETTINGS[name].step_size / 4), moments.sd.float())
    return run(short, target, (moments.mean + moments.sd * noise).float(), 200, rng=generator(4)).last.z


def data(name: str) -> dict[str, Tensor]:
    """What the density of a problem depends on, for those who write it down again."""
    target = TARGETS[name]()
    match name:
        case "eight_schools":
            return {"effects": target.effects, "errors": target.errors}
        case "logistic_regression":
            return {"x": target.x, "sign": 2.0 * target.y - 1.0}
        case "gaussian_100":
            factor = torch.linalg.cholesky(target.cov.double())
            eye = torch.eye(target.dim, dtype=torch.float64)
            return {"whiten": torch.linalg.solve_triangular(factor, eye, upper=False).float()}
