"""Chains of Pyro's HMC or NUTS on a posterior, one by one: what ``samplers_posteriors`` compares with.

    PYTHON benchmarks/samplers_pyro.py IN.npz OUT.npz

PYTHON has Pyro, and needs nothing of ours. The densities are written here anew, up to constants, and
traced by torch's compiler, which is the fastest that Pyro can be given. The step size and the diagonal
mass matrix are those of IN; nothing adapts.
"""

import math
import sys
import time

import numpy as np
import pyro
import torch
from pyro.infer import MCMC
from pyro.infer.mcmc import HMC, NUTS
from torch.nn.functional import softplus


def eight_schools(z, effects, errors):
    mu, log_tau, eta = z[0], z[1], z[2:]
    tau = log_tau.exp()
    residual = (effects - mu - tau * eta) / errors
    prior = 0.5 * (mu / 5.0) ** 2 + (1.0 + (tau / 5.0) ** 2).log() - log_tau
    return prior + 0.5 * eta.dot(eta) + 0.5 * residual.dot(residual)


def logistic_regression(z, x, sign):
    return 0.5 * z.dot(z) + softplus(-sign * (x @ z)).sum()


def gaussian(z, whiten):
    white = whiten @ z
    return 0.5 * white.dot(white)


POTENTIALS = {
    "eight_schools": eight_schools,
    "logistic_regression": logistic_regression,
    "gaussian_100": gaussian,
}


def main(source: str, destination: str) -> None:
    given = dict(np.load(source))
    name, kind, seed = str(given["name"]), str(given["kernel"]), int(given["seed"])
    draws, burn_in = int(given["draws"]), int(given["burn_in"])
    step_size, n_leapfrog = float(given["step_size"]), int(given["n_leapfrog"])
    starts, scale = torch.from_numpy(given["starts"]), torch.from_numpy(given["scale"])
    data = {key[5:]: torch.from_numpy(value) for key, value in given.items() if key.startswith("data_")}

    started = time.perf_counter()
    traced = torch.jit.trace(lambda z: POTENTIALS[name](z, **data), starts[0], check_trace=False)
    evaluations = 0

    def potential(params):
        nonlocal evaluations
        evaluations += 1
        return traced(params["z"])

    fixed = {"potential_fn": potential, "step_size": step_size}
    fixed |= {"adapt_step_size": False, "adapt_mass_matrix": False}
    # Half a step more, because Pyro rounds the number of steps down, and π/ε ε may fall short of π.
    length = {} if kind == "NUTS" else {"trajectory_length": (n_leapfrog + 0.5) * step_size}
    base = {"HMC": HMC, "NUTS": NUTS}[kind]

    class WithMass(base):
        def setup(self, warmup_steps, *args, **kwargs):
            super().setup(warmup_steps, *args, **kwargs)
            self.mass_matrix_adapter.inverse_mass_matrix = {("z",): scale**2}

    def run(start, draws, seed):
        """(draws, seconds and gradients of those after the burn-in)."""
        at = {}

        def watch(kernel, samples, stage, i):
            if stage.startswith("Warmup"):
                at["begin"] = time.perf_counter(), evaluations

        pyro.set_rng_seed(seed)
        kernel = WithMass(**fixed, **length)
        mcmc = MCMC(kernel, draws, burn_in, initial_params={"z": start}, hook_fn=watch, disable_progbar=True)
        mcmc.run()
        seconds, gradients = time.perf_counter() - at["begin"][0], evaluations - at["begin"][1]
        return mcmc.get_samples()["z"], seconds, gradients

    run(starts[0], 2, seed)  # the compiler settles in the first calls
    compiled = time.perf_counter() - started
    chains = [run(start, draws, seed + 1 + i) for i, start in enumerate(starts)]
    z, seconds, gradients = zip(*chains, strict=True)
    np.savez(
        destination,
        z=torch.stack(z, 1).numpy(),
        log_prob=np.array([-float(traced(start)) for start in starts]),
        gradients=np.array(gradients),
        seconds=math.fsum(seconds),
        compile_seconds=compiled,
        version=f"Pyro {pyro.__version__}, torch {torch.__version__}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
