"""Ex²MCMC on a GAN: the prior explores, Langevin moves exploit."""

import torch

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.gan.draws import CountedTarget, Draws, run_chains
from ganedu.samplers.isir import Ex2
from ganedu.samplers.langevin import Langevin
from ganedu.samplers.metropolis_hastings import MetropolisHastings


def ex2(
    gan: GAN,
    n: int,
    *,
    n_particles: int = 10,
    n_moves: int = 3,
    calibration: Calibration | None = None,
    steps: int = 640,
    step_size: float = 0.01,
    proposal: GAN | None = None,
    burn_in: int = 0,
    thin: int = 1,
    batch_size: int | None = None,
    trace: bool = False,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n draws by Ex²MCMC (Samsonov et al. 2022, algorithm 2): i-SIR over the prior, then MALA.

    A step is one choice among ``n_particles`` points, all but one of them fresh draws of the prior,
    and ``n_moves`` moves of MALA, whose gradient is taken anew where the choice fell. It costs
    n_particles + n_moves passes a chain. Other arguments and errors as in ``rep_gan``.
    """
    target = CountedTarget(gan, calibration, batch_size, proposal)
    kernel = Ex2(MetropolisHastings(Langevin(step_size)), n_particles, n_moves)
    return run_chains(kernel, target, target.start(n, rng), steps, burn_in, thin, trace, progress, rng)
