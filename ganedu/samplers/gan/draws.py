"""What a GAN sampler returns, and the run that most of them share."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import Kernel
from ganedu.samplers.driver import Trace, run
from ganedu.targets import LatentTarget


class Evaluations(NamedTuple):
    """Passes of single latent points through D∘G: all forward ones, and backward ones."""

    forward: int
    gradient: int


@dataclass(frozen=True)
class Draws:
    """``z`` (n, d), ``x`` = G(z) (n, ...), and what they cost.

    ``accept_rate`` is the share of proposals that were accepted, over all chains and steps.
    """

    z: Tensor
    x: Tensor
    accept_rate: float
    evaluations: Evaluations
    trace: Trace | None = None


class CountedTarget(LatentTarget):
    """A latent target of the folded GAN that counts its evaluations."""

    def __init__(self, gan: GAN, calibration: Calibration | None, batch_size: int | None):
        super().__init__(gan, calibration, batch_size)  # refuses an unfrozen GAN, which folding would hide
        self.gan = gan.folded()
        self.forward = self.gradient = 0

    def _log_weight(self, z: Tensor) -> Tensor:
        self.forward += len(z)
        return super()._log_weight(z)

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        self.gradient += len(z)
        return super().log_prob_and_grad(z)

    def start(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws from the prior, on the device of ``rng``.

        Raises ValueError for another n, or where D∘G does not take a few of them or is not finite.
        """
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n: expected a positive int, got {n!r}")
        z = self.prior.sample(n, rng)
        few = z[:16]
        with torch.no_grad():
            try:
                x = self.gan.generator(few)
            except RuntimeError as error:
                raise ValueError(
                    f"latent_dim: the generator does not take z of shape {tuple(few.shape)} "
                    f"on {z.device}: {error}"
                ) from error
            logit = self.gan.logit(x)
        if not torch.isfinite(logit).all():
            raise ValueError(
                "discriminator: expected finite logits, got NaN or infinity on draws of the prior"
            )
        return z

    @property
    def evaluations(self) -> Evaluations:
        return Evaluations(self.forward, self.gradient)


def run_chains(
    kernel: Kernel,
    target: CountedTarget,
    n: int,
    steps: int,
    burn_in: int,
    thin: int,
    trace: bool,
    progress: bool | str,
    rng: torch.Generator,
) -> Draws:
    """n chains from the prior; the last state of each. The trace is kept only where asked for."""
    z = target.start(n, rng)
    kept = run(kernel, target, z, steps, burn_in, thin, rng, progress=progress) if trace else None
    if kept is None:
        kept = run(kernel, target, z, steps, steps - 1, 1, rng, progress=progress)
    z = kept.last.z
    rate = float(kept.accept_rate.mean())
    return Draws(z, target.images(z), rate, target.evaluations, kept if trace else None)
