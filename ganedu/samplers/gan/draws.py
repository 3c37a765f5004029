"""What a GAN sampler returns, and the run that most of them share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.samplers.base import Kernel, Point
from ganedu.samplers.driver import Trace, check_counts, run
from ganedu.samplers.gan.held import Held
from ganedu.samplers.sample import sample
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
    """``z`` (n, d), ``x`` = G(z) (n, ...), what they cost, and what law they have.

    ``accept_rate`` is the share of proposals that were accepted, over all chains and steps. ``law`` is
    "exact" where the law of ``x`` becomes the data's as chains grow longer, if what the calibrated D says is
    log p/q; otherwise "biased: " and why it does not. It is a statement on the sampler: a D that is not
    optimal, or a calibration with a ceiling, makes another law the target, and chains are exact for that.
    """

    z: Tensor
    x: Tensor
    accept_rate: float
    evaluations: Evaluations
    law: str
    trace: Trace | None = None


def law(*why: str) -> str:
    """``Draws.law`` from the reasons, if there are any, why it is not exact."""
    return f"biased: {'; '.join(why)}" if why else "exact"


class CountedTarget(LatentTarget):
    """A latent target of the folded GAN that counts its evaluations.

    Where there is a ``proposal``, another GAN of the same latents, gradients are those of its log
    density, and values those of ``gan``'s.
    """

    def __init__(
        self,
        gan: GAN,
        calibration: Calibration | None,
        batch_size: int | None,
        proposal: GAN | None = None,
    ):
        super().__init__(gan, calibration, batch_size)  # refuses an unfrozen GAN, which folding would hide
        if proposal is not None and proposal.latent_dim != gan.latent_dim:
            raise ValueError(
                f"proposal: expected a GAN of latent_dim {gan.latent_dim}, got {proposal.latent_dim}"
            )
        self.gan = gan.folded()
        self.proposal = None if proposal is None else LatentTarget(proposal, calibration, batch_size)
        self.forward = self.gradient = 0

    def _log_weight(self, z: Tensor) -> Tensor:
        self.forward += len(z)
        return super()._log_weight(z)

    def log_prob_and_grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        self.gradient += len(z)
        if self.proposal is None:
            return super().log_prob_and_grad(z)
        self.forward += len(z)
        _, grad = self.proposal.log_prob_and_grad(z)
        with torch.no_grad():
            return self.log_prob(z), grad

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
    z: Tensor,
    steps: int,
    burn_in: int,
    thin: int,
    trace: bool,
    progress: bool | str,
    rng: torch.Generator,
    *,
    held: Sequence[int] = (),
    why: Sequence[str] = (),
) -> Draws:
    """Chains from z (chains, d); the last state of each. The trace is kept only where asked for.

    The coordinates ``held`` stay what they are in z; the trace has whole points all the same. ``why``
    the law is not exact is added to what the kernel gives away.
    """
    check_counts(steps, burn_in, thin)
    window = (burn_in, thin) if trace else (steps - 1, 1)
    if held:
        free = Held(target, z, held)
        kept = run(kernel, free, z[:, free.free], steps, *window, rng, progress=progress)
        z = free.whole(kept.last.z)
        kept = replace(kept, z=free.whole(kept.z), last=Point(z, kept.last.log_prob))
        why = ("held coordinates keep the prior's law", *why)
    else:
        kept = run(kernel, target, z, steps, *window, rng, progress=progress)
        z = kept.last.z
    if not kernel.adjusted:
        why = ("no proposal is rejected", *why)
    rate = float(kept.accept_rate.mean())
    return Draws(z, target.images(z), rate, target.evaluations, law(*why), kept if trace else None)


def few_chains(
    kernel: Kernel,
    target: CountedTarget,
    n: int,
    chains: int,
    warm_up: int,
    trace: bool,
    progress: bool | str,
    rng: torch.Generator,
) -> Draws:
    """n draws from few, long chains: of what ``samplers.sample`` keeps, evenly spread over its run.

    Raises RuntimeError where that gave up before it had n of them.
    """
    found = sample(kernel, target, target.start(chains, rng), n, warm_up=warm_up, progress=progress, rng=rng)
    if len(found.z) < n:
        raise RuntimeError(
            f"chains: {chains} of them kept {len(found.z)} of {n} draws in {found.steps} steps"
        )
    z = thinned(found.trace.z, n)
    why = () if kernel.adjusted else ("no proposal is rejected",)
    rate = float(found.trace.accept_rate.mean())
    return Draws(z, target.images(z), rate, target.evaluations, law(*why), found.trace if trace else None)


def thinned(kept: Tensor, n: int) -> Tensor:
    """n of the states ``kept`` (steps, chains, d), (n, d): evenly from one chain after the other. A stride
    through the steps of all chains would go round with their number, and take neighbours of few chains."""
    whole = kept.transpose(0, 1).flatten(0, 1)
    return whole[torch.linspace(0, len(whole) - 1, n, device=whole.device).round().long()]
