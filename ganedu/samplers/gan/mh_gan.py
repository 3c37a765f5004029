"""MH-GAN: the prior proposes, the discriminator decides."""

import torch

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.gan.draws import CountedTarget, Draws, run_chains
from ganedu.samplers.independence import Independence
from ganedu.samplers.metropolis_hastings import MetropolisHastings


def mh_gan(
    gan: GAN,
    n: int,
    *,
    calibration: Calibration | None = None,
    steps: int = 640,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws by MH-GAN (Turner et al. 2019, algorithm 1; seed slide 000): α = min(1, e^{d' - d}).

    Any calibration serves, isotonic too: no gradient is taken. Chains start at the prior, where
    the paper starts them at a real image's score. Other arguments and errors as in ``rep_gan``.
    """
    target = CountedTarget(gan, calibration, batch_size)
    kernel = MetropolisHastings(Independence())
    return run_chains(kernel, target, target.start(n, rng), steps, burn_in, thin, trace, progress, rng)
