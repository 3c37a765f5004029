"""Discriminator-driven latent sampling: Langevin dynamics that never rejects."""

import torch

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.gan.draws import CountedTarget, Draws, run_chains
from ganedu.samplers.langevin import Langevin


def ddls(
    gan: GAN,
    n: int,
    *,
    calibration: Calibration | None = None,
    steps: int = 640,
    step_size: float = 0.01,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws by DDLS (Che et al. 2020, algorithm 1; seed slide 004), the unadjusted ``Langevin``.

    Biased: without a rejection step its law is p_t only as ``step_size`` goes to 0. Arguments
    and errors as in ``rep_gan``.
    """
    target = CountedTarget(gan, calibration, batch_size)
    return run_chains(Langevin(step_size), target, n, steps, burn_in, thin, trace, progress, rng)
