"""What a GAN sampler returns, and the run that most of them share."""

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import Kernel
from ganedu.samplers.driver import Trace, check_counts, run
from ganedu.targets import LatentTarget

TRIED = 16
# Far above what the order of a sum changes, bfloat16's included; far below what coupling does.
COUPLED = 0.05


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

        Raises ValueError for another n, and where D∘G, tried on a few of them (which is not
        counted), does not take them, is not finite, or depends on the batch or on chance.
        """
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n: expected a positive int, got {n!r}")
        z = self.prior.sample(int(n), rng)
        few = z[:TRIED]
        logit = self._try(few)
        if not torch.isfinite(logit).all():
            raise ValueError(
                "discriminator: expected finite logits, got NaN or infinity on draws of the prior"
            )
        alone = torch.cat([self._try(part) for part in few.split(max(1, len(few) // 2))])
        if not torch.allclose(logit, alone, rtol=COUPLED, atol=COUPLED):
            raise ValueError(
                "gan: the logit of an image depends on the others of its batch, or on chance, so no "
                "density can be kept (batch statistics in eval mode, or active dropout?)"
            )
        return z

    def _try(self, z: Tensor) -> Tensor:
        try:
            with torch.no_grad():
                x = self.gan.generator(z)
                if len(x) != len(z):
                    raise ValueError(f"generator: expected {len(z)} images, got shape {tuple(x.shape)}")
                return self.gan.logit(x)
        except RuntimeError as error:
            raise ValueError(
                f"gan: its networks do not take z of shape {tuple(z.shape)} (latent_dim "
                f"{self.gan.latent_dim}), {z.dtype}, on {z.device}: {error}"
            ) from error

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
    check_counts(steps, burn_in, thin)
    z = target.start(n, rng)
    window = (burn_in, thin) if trace else (steps - 1, 1)
    kept = run(kernel, target, z, steps, *window, rng, progress=progress)
    z = kept.last.z
    rate = float(kept.accept_rate.mean())
    return Draws(z, target.images(z), rate, target.evaluations, kept if trace else None)
