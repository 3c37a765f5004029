"""Discriminator-driven latent sampling: Langevin dynamics that never rejects."""

from collections.abc import Sequence

import torch

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.gan.draws import CountedTarget, Draws, run_chains
from ganedu.samplers.gan.tuned import TunedLangevin
from ganedu.samplers.langevin import Langevin


def ddls(
    gan: GAN,
    n: int,
    *,
    calibration: Calibration | None = None,
    steps: int = 640,
    step_size: float = 0.01,
    decay: float = 0.0,
    diversity: float = 0.0,
    held: Sequence[int] = (),
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws by DDLS (Che et al. 2020, algorithm 1; seed slide 004), the unadjusted ``Langevin``.

    Biased: without a rejection step its law is p_t only as ``step_size`` goes to 0. The seed's options
    change the law further, or may (``Draws.law`` says so):

    - ``decay``: step t, from 0, has size ``step_size`` (1 + t)^-decay;
    - ``diversity``: λ of the term λ/m in each chain's energy, m the mean distance between the chains
      (over the free coordinates). No chain is independent of the others then, and none of n;
    - ``held``: see ``rep_gan``.

    Other arguments and errors as in ``rep_gan``.
    """
    target = CountedTarget(gan, calibration, batch_size)
    tuned = decay != 0.0 or diversity != 0.0
    kernel = TunedLangevin(step_size, decay, diversity) if tuned else Langevin(step_size)
    why = ("the diversity term moves chains apart",) if diversity else ()
    z = target.start(n, rng)
    return run_chains(kernel, target, z, steps, burn_in, thin, trace, progress, rng, held=held, why=why)
