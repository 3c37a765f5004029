"""REP-GAN: a Metropolis-Hastings chain in the latent space of a GAN."""

from collections.abc import Sequence

import torch

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import Kernel
from ganedu.samplers.gan.draws import CountedTarget, Draws, few_chains, run_chains
from ganedu.samplers.langevin import Langevin
from ganedu.samplers.metropolis_hastings import MetropolisHastings


def rep_gan(
    gan: GAN,
    n: int,
    *,
    kernel: Kernel | None = None,
    calibration: Calibration | None = None,
    steps: int = 640,
    step_size: float = 0.01,
    held: Sequence[int] = (),
    proposal: GAN | None = None,
    chains: int | None = None,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws by REP-GAN (Wang et al. 2021, algorithm 1; seed slide 000, theorem 1).

    >>> import torch
    >>> from ganedu import zoo
    >>> from ganedu.samplers.gan import rep_gan
    >>> draws = rep_gan(zoo.load("cifar10-dcgan"), 64, rng=torch.Generator().manual_seed(0))

    Args:
        gan: frozen, see ``GAN.frozen``.
        n: independent chains, started at the prior; the last state of each is returned.
        kernel: any kernel on the latent target, because theorem 1 admits any latent proposal;
            by default ``MetropolisHastings(Langevin(step_size))``. One with ``adjusted = False``
            runs too, and has its own law.
        calibration: of D's logits; by default D is taken at its word.
        steps: of each chain, ``burn_in`` included.
        held: coordinates that stay what the prior drew (seed slide 004); the others are exact given
            them, the whole is not. Not for kernels with several points a chain (i-SIR, tempering).
        proposal: a GAN whose gradients take the place of ``gan``'s, e.g. ``half(gan)`` of
            ``gans.precision``. With an adjusted kernel it costs acceptance at most, never exactness.
        chains: where n is large, how many chains share it. Then ``steps`` is their warm-up, in which
            the step size is tuned, and the draws are worth n independent ones before n of them are
            picked; see ``samplers.sample``. 64 chains for 50,000 images, say.
        burn_in, thin: which states the trace keeps, see ``samplers.run``; not with ``chains``.
        batch_size: how many chains are evaluated at once; changes no draw.
        trace: keep it (steps * n * d numbers).
        rng: the device of the run is its device.

    Raises:
        ValueError: for a GAN that is not frozen, or whose logits are not (B,) or (B, 1), not
            finite, or coupled across a batch; for a generator that does not take
            ``gan.latent_dim``; for step sizes, counts and calibrations that make no sense.
    """
    kernel = kernel or MetropolisHastings(Langevin(step_size))
    target = CountedTarget(gan, calibration, batch_size, proposal)
    if chains is not None:
        if held or (burn_in, thin) != (0, 1):
            raise ValueError("chains: expected neither held, burn_in nor thin beside it")
        return few_chains(kernel, target, n, chains, steps, trace, progress, rng)
    z = target.start(n, rng)
    return run_chains(kernel, target, z, steps, burn_in, thin, trace, progress, rng, held=held)
