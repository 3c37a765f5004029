"""Chains of blackjax's HMC or NUTS on a posterior, all at once: what ``samplers_posteriors`` compares with.

    PYTHON benchmarks/samplers_blackjax.py IN.npz OUT.npz

PYTHON has blackjax, and needs nothing of ours. The densities are written here anew, up to constants. The
step size and the diagonal mass matrix are those of IN; nothing adapts. The loop over draws is compiled
with the kernel inside, as blackjax's own examples do it; compilation is timed apart.
"""

import sys
import time
from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np


def eight_schools(z, effects, errors):
    mu, log_tau, eta = z[0], z[1], z[2:]
    tau = jnp.exp(log_tau)
    residual = (effects - mu - tau * eta) / errors
    prior = -0.5 * (mu / 5.0) ** 2 - jnp.log1p((tau / 5.0) ** 2) + log_tau
    return prior - 0.5 * eta @ eta - 0.5 * residual @ residual


def logistic_regression(z, x, sign):
    return -0.5 * z @ z - jax.nn.softplus(-sign * (x @ z)).sum()


def gaussian(z, whiten):
    white = whiten @ z
    return -0.5 * white @ white


LOG_DENSITIES = {
    "eight_schools": eight_schools,
    "logistic_regression": logistic_regression,
    "gaussian_100": gaussian,
}


def main(source: str, destination: str) -> None:
    given = dict(np.load(source))
    name, kind = str(given["name"]), str(given["kernel"])
    draws, burn_in = int(given["draws"]), int(given["burn_in"])
    data = {key[5:]: jnp.asarray(value) for key, value in given.items() if key.startswith("data_")}
    log_density = partial(LOG_DENSITIES[name], **data)
    fixed = {"step_size": float(given["step_size"]), "inverse_mass_matrix": jnp.asarray(given["scale"]) ** 2}
    if kind == "NUTS":
        kernel = blackjax.nuts(log_density, **fixed)
    else:
        kernel = blackjax.hmc(log_density, num_integration_steps=int(given["n_leapfrog"]), **fixed)

    def chains(steps, key, states):
        def step(states, key):
            keys = jax.random.split(key, len(states.position))
            states, info = jax.vmap(kernel.step)(keys, states)
            return states, (states.position, info.num_integration_steps)

        return jax.lax.scan(step, states, jax.random.split(key, steps))

    starts = jnp.asarray(given["starts"])
    states = jax.vmap(kernel.init)(starts)
    before, after = jax.random.split(jax.random.key(int(given["seed"])))
    started = time.perf_counter()
    warm, main_run = (
        jax.jit(partial(chains, steps)).lower(before, states).compile() for steps in (burn_in, draws)
    )
    compiled = time.perf_counter() - started
    states, _ = jax.block_until_ready(warm(before, states))
    started = time.perf_counter()
    _, (z, leapfrogs) = jax.block_until_ready(main_run(after, states))
    seconds = time.perf_counter() - started
    np.savez(
        destination,
        z=np.asarray(z),
        log_prob=np.asarray(jax.vmap(log_density)(starts)),
        gradients=np.broadcast_to(np.asarray(leapfrogs), (draws, len(starts))).sum(0),
        seconds=seconds,
        compile_seconds=compiled,
        version=f"blackjax {blackjax.__version__}, jax {jax.__version__}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
