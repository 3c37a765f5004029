"""Every kernel on the latent target of the zoo's CIFAR-10 GAN: what a thousand gradients are worth.

The target is that of the zoo's card: folded networks in float32, the calibration with its ceiling. Four
quantities are judged, the calibrated logit and three fixed projections of z, and the worst of them
counts. One forward and backward pass of D∘G is one gradient evaluation, a forward pass alone half of one;
all are counted that the machine made, those for chains that wait for others included.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.samplers_figures import interval, worth
from ganedu import zoo
from ganedu.rng import generator
from ganedu.samplers import (
    NUTS,
    CrankNicolson,
    CrankNicolsonLangevin,
    EllipticalSlice,
    Ex2,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    Tempering,
    run,
)
from ganedu.samplers.adaptation import Window, adapt, with_step_size
from ganedu.samplers.base import Kernel, innermost
from ganedu.samplers.gan.draws import CountedTarget
from ganedu.samplers.progress import Bar

GAN = "cifar10-dcgan"
PUBLISHED = 1000 / 640  # MALA, τ = 0.01, 640 steps from the prior, the last state kept: one draw
QUANTITIES = ("logit", "projection 1", "projection 2", "projection 3")
WAITING = ("NUTS", "elliptical slice")  # kernels whose chains wait for one another


class Size(NamedTuple):
    """Chains, and gradient evaluations of each: of a candidate's trial and of the run that counts. Steps
    in which dual averaging finds a step size, and the R-hat from which on there is no figure."""

    chains: int = 64
    trial: int = 150
    final: int = 1000
    warm_up: int = 100
    max_rhat: float = 1.05


QUICK = Size(chains=8, trial=6, final=20, warm_up=5, max_rhat=math.inf)


def mh(proposal) -> Kernel:
    return MetropolisHastings(proposal)


def hmc(step_size: float, n_leapfrog: int) -> Kernel:
    return mh(Hamiltonian(step_size, n_leapfrog))


# (kernel, is its step size tuned in a warm-up?). Under N(0, I) a trajectory of length π/2 forgets where it
# began; L leapfrog steps make it with cos(π/2L) = 1 - ε²/2.
TURN = {n: math.sqrt(2.0 - 2.0 * math.cos(0.5 * math.pi / n)) for n in (4, 5, 6)}
CANDIDATES: dict[str, tuple[tuple[Kernel, bool], ...]] = {
    "MALA": ((mh(Langevin(0.5)), True), *((mh(Langevin(tau)), False) for tau in (0.3, 0.5, 0.8))),
    "pCN": ((mh(CrankNicolson(0.5)), True), *((mh(CrankNicolson(b)), False) for b in (0.7, 0.85, 0.95))),
    "pCN-Langevin": (
        (mh(CrankNicolsonLangevin(0.5)), True),
        *((mh(CrankNicolsonLangevin(b)), False) for b in (0.7, 0.8, 0.9)),
    ),
    "HMC": tuple((hmc(step_size, n), False) for n, step_size in TURN.items()),
    "NUTS": tuple((NUTS(step_size), False) for step_size in (0.45, 0.6, 0.75)),
    "elliptical slice": ((EllipticalSlice(), False),),
    "independence": ((mh(Independence()), False),),
    "Ex2": (
        (Ex2(mh(Langevin(0.5))), False),
        (Ex2(mh(Langevin(0.5)), n_particles=4, n_moves=1), False),
        (Ex2(mh(CrankNicolson(0.9)), n_particles=4, n_moves=1), False),
    ),
    "tempering": (
        (Tempering(mh(Langevin(0.5))), False),
        (Tempering(mh(CrankNicolson(0.9)), (1.0, 0.4), n_moves=1), False),
        (Tempering(mh(CrankNicolsonLangevin(0.8)), (1.0, 0.4), n_moves=3), False),
    ),
}


def jobs(size: Size) -> Iterator[tuple[str, Callable[[], dict]]]:
    """(key, what makes its row) of every kernel."""
    for name in CANDIDATES:
        yield f"gan/{name}", lambda name=name: kernel_row(name, size)


def winner(rows: dict[str, dict]) -> str | None:
    """The kernel of the largest figure; None until every kernel has a row."""
    found = {name: rows.get(f"gan/{name}", {}).get("figure", math.nan) for name in CANDIDATES}
    figures = {name: value for name, value in found.items() if value is not None}
    if not figures or any(math.isnan(value) for value in figures.values()):
        return None
    return max(figures, key=figures.get)


def target() -> CountedTarget:
    return CountedTarget(zoo.load(GAN, device="cpu"), zoo.calibration(GAN), batch_size=512)


def cost(counted: CountedTarget) -> float:
    """Gradient evaluations so far: a backward pass comes with a forward one."""
    forward, gradient = counted.evaluations
    return gradient + 0.5 * (forward - gradient)


def kernel_row(name: str, size: Size) -> dict:
    """The best candidate by a trial of each, then that one from other starts with other random numbers:
    to choose and to measure by the same draws would flatter it."""
    kernels = [tune(kernel, size) if tuned else kernel for kernel, tuned in CANDIDATES[name]]
    trials = [chains(kernel, size.chains, size.trial, seed=1 + i) for i, kernel in enumerate(kernels)]
    best = max(range(len(kernels)), key=lambda i: trials[i]["estimate"])
    found = chains(kernels[best], size.chains, size.final, seed=0)
    converged = max(found["rhat"].values()) < size.max_rhat
    lower, upper = interval(found["estimate"], found["log_se"])
    alone = chain_alone(kernels[best]) if name in WAITING else found["cost_per_step"]
    return {
        "figure": lower if converged else None,
        "interval": [lower, upper],
        **found,
        "chain_alone_cost_per_step": alone,
        "chain_alone_figure": lower * found["cost_per_step"] / alone if converged else None,
        "kernel": repr(kernels[best]),
        "candidate": best,
        "step_size": getattr(innermost(kernels[best]), "step_size", None),
        "trials": {repr(kernel): trial["estimate"] for kernel, trial in zip(kernels, trials, strict=True)},
    }


def kernel_of(name: str, row: dict) -> Kernel:
    """The kernel that ``row`` is about."""
    kernel = CANDIDATES[name][row["candidate"]][0]
    return kernel if row["step_size"] is None else with_step_size(kernel, row["step_size"])


def tune(kernel: Kernel, size: Size) -> Kernel:
    """``kernel`` with the step size that dual averaging finds from the prior; its cost is not counted."""
    counted = target()
    state = kernel.init(counted, counted.prior.sample(size.chains, generator(200)))
    bar = Bar(False, kernel, 0, size.warm_up)
    return adapt(kernel, counted, state, Window(0, size.warm_up, scaled=False), 201, bar)[0]


def chains(kernel: Kernel, n: int, budget: int, seed: int) -> dict:
    """n chains from the prior, as many steps as ``budget`` gradient evaluations a chain pay for. Nothing
    is left out: the way from the prior counts in the cost, in R-hat and in the ESS."""
    counted = target()
    z = counted.prior.sample(n, generator(seed, 0))
    started = time.perf_counter()
    first = run(kernel, counted, z, 4, rng=generator(seed, 1))
    steps = max(int(budget * 4 * n / cost(counted)) - 4, 8)
    rest = run(kernel, counted, first.last, steps, rng=generator(seed, 2), progress=repr(kernel)[:60])
    seconds = time.perf_counter() - started
    kept, log_prob = torch.cat([first.z, rest.z]), torch.cat([first.log_prob, rest.log_prob])
    logit = log_prob - counted.prior.log_prob(kept)
    found = worth(torch.cat([logit[:, :, None], kept @ projections()], dim=-1))
    per_chain = cost(counted) / n
    return {
        "estimate": 1000.0 * found.ess / (n * per_chain),
        "log_se": found.log_se,
        "ess": dict(zip(QUANTITIES, found.each_ess, strict=True)),
        "rhat": dict(zip(QUANTITIES, found.each_rhat, strict=True)),
        "chains": n,
        "steps": len(kept),
        "cost_per_step": per_chain / len(kept),
        "accept_rate": float(rest.accept_rate.mean()),
        "mean_logit": float(logit.mean()),
        "seconds": round(seconds, 1),
    }


def projections() -> Tensor:
    """(100, 3), orthonormal and the same for ever."""
    return torch.linalg.qr(torch.randn(100, 3, generator=generator(12345)))[0]


def chain_alone(kernel: Kernel, chains: int = 8, steps: int = 25) -> float:
    """What a step costs a chain that waits for no other: a few that have left the prior, one by one."""
    counted = target()
    z = run(kernel, counted, counted.prior.sample(chains, generator(300)), 10, rng=generator(301)).last.z
    spent = 0.0
    for i in range(chains):
        state = kernel.init(counted, z[i : i + 1])
        before = cost(counted)
        run(kernel, counted, state, steps, rng=generator(302, i))
        spent += cost(counted) - before
    return spent / (chains * steps)
