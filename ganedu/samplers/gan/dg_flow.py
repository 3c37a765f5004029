"""Discriminator gradient flow: a short noisy ascent of the discriminator."""

import torch
from torch.nn.functional import logsigmoid, softplus

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import check_positive
from ganedu.samplers.gan.draws import Draws, run_chains
from ganedu.samplers.gan.flat import Flat
from ganedu.samplers.langevin import Langevin

# -f'(r) at r = p_G / p_data = e^{-d}, but for a constant. Its slope in d is the paper's s(d).
POTENTIALS = {
    "KL": lambda d: d,  # f = r log r; s = 1
    "log D": logsigmoid,  # f = (r + 1) log(r + 1); s = σ(-d)
    "JS": softplus,  # f = r log r - (r + 1) log((r + 1) / 2); s = σ(d)
}


def dg_flow(
    gan: GAN,
    n: int,
    *,
    f: str = "KL",
    noise: float = 0.01,
    calibration: Calibration | None = None,
    steps: int = 25,
    step_size: float = 0.1,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws of the prior, refined (Ansari, Ang and Soh 2021, algorithm 1, in the latent space).

    z' = z - η ∇f'(e^{-d(G(z))}) + √(2ηγ) ξ = z + η s(d) ∇d + √(2ηγ) ξ, with η = ``step_size`` and γ =
    ``noise``; ``f`` names the divergence: "KL" (s = 1), "log D" (s = σ(-d)) or "JS" (s = σ(d)). This
    is unadjusted ``Langevin`` with τ = 2ηγ on exp(-f'/γ), and runs as that.

    There is no prior term, so p_t is not its limit: for KL and small η that is e^{d∘G/γ}, where it can
    be normalised at all. What makes it useful is that it stops early. The ratio e^{-d}, moreover, is
    that of p_G, not that of where the draws have come to on the way.

    Other arguments as in ``rep_gan``; ``trace`` has -f'/γ as its ``log_prob``. Raises ValueError as
    ``rep_gan`` does, and for an unknown ``f``.
    """
    if f not in POTENTIALS:
        raise ValueError(f"f: expected one of {', '.join(POTENTIALS)}, got {f!r}")
    for name, value in (("step_size", step_size), ("noise", noise)):
        check_positive(name, value)
    target = Flat(gan, calibration, batch_size, lambda d: POTENTIALS[f](d) / noise)
    kernel = Langevin(2.0 * step_size * noise)
    why = ("no prior term, and a flow that is stopped early",)
    z = target.start(n, rng)
    return run_chains(kernel, target, z, steps, burn_in, thin, trace, progress, rng, why=why)
