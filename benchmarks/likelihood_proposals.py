"""A trained flow as a proposal: beside tuned MALA on the banana, and beside the prior for an evidence.

Training is by reverse KL, which needs the target's density and gradient and no draws of it. One row of
a batch is one gradient evaluation of the target, and so is one step of one MALA chain; a step of the
independence sampler is one evaluation of the density alone, and is counted as if it had a gradient too.
"""

import math
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Normal

from benchmarks.rows import Job
from ganedu.flows import Affine, Flow, ForwardKL, ReverseKL, WeightVariance, beside_prior, real_nvp
from ganedu.rng import generator
from ganedu.samplers import Independence, Langevin, MetropolisHastings, Preconditioned, Trace, run
from ganedu.samplers.sample import worth
from ganedu.targets import Banana, StandardNormal, Target, Tilted
from ganedu.training import MLERecipe, fit_mle

CHAINS, STEPS, BURN_IN = 64, 2000, 100
STEP_SIZES = {"plain": (1.0, 2.0, 4.0), "scaled": (0.02, 0.03, 0.05)}
SEEDS = 3


class Training(NamedTuple):
    """Sizes of a proposal's training; ``evaluations`` of the target and its gradient are its price."""

    layers: int = 6
    steps: int = 1000
    batch_size: int = 256

    @property
    def evaluations(self) -> int:
        return self.steps * self.batch_size


class ThinBanana(Tilted):
    """z ~ N(0, I) in the plane, and 0.5 was observed, z2 + 1.2 (z1² - 1) plus noise of std 0.15: the
    posterior is a thin banana. Given z1 the observation is Gaussian, so Z is an integral over z1 alone."""

    def __init__(self):
        super().__init__(StandardNormal(2, torch.float64), self.likelihood)

    def likelihood(self, z: Tensor) -> Tensor:
        return Normal(z[:, 1] + 1.2 * (z[:, 0].square() - 1), 0.15).log_prob(torch.tensor(0.5).to(z))

    def evidence(self) -> float:
        def density(first: float) -> float:
            return stats.norm.pdf(first) * stats.norm.pdf(0.5, 1.2 * (first**2 - 1), math.hypot(1.0, 0.15))

        return integrate.quad(density, -10, 10, epsabs=1e-13)[0]


def jobs(quick: bool) -> Iterator[Job]:
    """(key, what makes its row) of both problems, over seeds."""
    for seed in range(1 if quick else SEEDS):
        yield f"proposals/banana/{seed}", partial(banana, seed, 200 if quick else STEPS)
        yield f"proposals/evidence/{seed}", partial(evidence, seed, 500 if quick else 50_000)


def trained_proposal(target: Target, dim: int, training: Training, folder: Path, seed: int = 0) -> Flow:
    """A RealNVP with a scale and a shift at the end, for targets of another size, by reverse KL."""
    torch.manual_seed(seed)
    couplings = real_nvp(dim, training.layers, (64, 64)).transforms
    flow = Flow(StandardNormal(dim), [*couplings, Affine(dim)])
    recipe = MLERecipe(training.steps, training.batch_size, 5e-3, schedule="cosine", clip=10.0, seed=seed)
    return fit_mle(flow, ReverseKL(target), flow.base.sample, recipe, folder, progress=False)


def ess_per_evaluation(trace: Trace) -> float:
    """The worst effective number of draws, over the coordinates and log_prob, of one evaluation."""
    return worth(trace.z, trace.log_prob)[0] / trace.log_prob.numel()


def independence(target: Target, flow: Flow, steps: int, seed: int = 0) -> Trace:
    """Chains that start from the flow, and propose from it."""
    kernel = MetropolisHastings(Independence(flow))
    return run(
        kernel, target, flow.sample(CHAINS, generator(seed, 1)), steps, BURN_IN, rng=generator(seed, 2)
    )


def tuned_mala(target: Banana, steps: int, seed: int = 0) -> tuple[float, str]:
    """(the best ESS per evaluation, of which). MALA starts from exact draws, with the true standard
    deviations as its scale or without, and has the best of six step sizes; none of that is counted."""
    starts, scale = target.sample(CHAINS, generator(seed, 3)), target.sample(100_000, generator(4)).std(0)
    found = {}
    for kind, sizes in STEP_SIZES.items():
        for size in sizes:
            kernel = MetropolisHastings(Langevin(size))
            kernel = Preconditioned(kernel, scale) if kind == "scaled" else kernel
            found[f"{kind}, step {size:g}"] = ess_per_evaluation(
                run(kernel, target, starts, steps, rng=generator(seed, 5))
            )
    best = max(found, key=found.get)
    return found[best], best


def banana(seed: int, steps: int) -> dict:
    """Independence Metropolis-Hastings with a flow, beside tuned MALA. ``even``: after how many evaluations
    the flow, its training with it, has as many effective draws as MALA."""
    target, training = Banana(), Training()
    with tempfile.TemporaryDirectory() as folder:
        flow = trained_proposal(target, 2, training, Path(folder), seed)
    trace, (mala, which) = independence(target, flow, steps, seed), tuned_mala(target, steps, seed)
    ours = ess_per_evaluation(trace)
    return {
        "acceptance": float(trace.accept_rate.mean()),
        "ess_per_evaluation": ours,
        "mala": mala,
        "mala_best": which,
        "training_evaluations": training.evaluations,
        "even": training.evaluations * ours / (ours - mala) if ours > mala else None,
        "chains": CHAINS,
        "steps": steps,
    }


def evidence(seed: int, draws: int) -> dict:
    """Neural importance sampling of the thin banana's Z by three objectives, one after the other: how many
    times as many draws the prior needs for the same error, and how far log Z is from quadrature."""
    target = ThinBanana()
    torch.manual_seed(seed)
    flow = real_nvp(2, layers=6, hidden=(32, 32)).double()
    stages = [(ReverseKL(target), 600, 5e-3), (ForwardKL(target), 200, 1e-3)]
    stages += [(WeightVariance(target), 200, 5e-4)]
    found = {"log_evidence": math.log(target.evidence()), "draws": draws}
    for objective, steps, rate in stages:
        recipe = MLERecipe(
            steps=steps, batch_size=512, learning_rate=rate, schedule="cosine", clip=10.0, seed=seed
        )
        with tempfile.TemporaryDirectory() as folder:
            fit_mle(flow, objective, flow.base.sample, recipe, Path(folder), progress=False)
        both = beside_prior(target, flow, draws, generator(seed, 5))
        found[type(objective).__name__] = {
            "gain": both.gain,
            "log_evidence": both.learnt.log_evidence,
            "error": both.learnt.log_evidence_error,
            "prior_log_evidence": both.prior.log_evidence,
            "prior_error": both.prior.log_evidence_error,
            "pareto_k": both.learnt.pareto_k,
        }
    return found
