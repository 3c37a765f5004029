"""Discriminator rejection sampling: independent draws, no chain."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm

from ganedu.gans.calibration import Calibration
from ganedu.gans.pair import GAN
from ganedu.rng import draw_seed, generator
from ganedu.samplers.base import uniform_like
from ganedu.samplers.gan.draws import CountedTarget, Draws, law

EPSILON = 1e-6
BLOCK = 1000  # proposals at least, so that one bad block does not cost a pass over the networks


def drs(
    gan: GAN,
    n: int,
    *,
    gamma: float = 0.0,
    percentile: float | None = None,
    pilot: int = 10_000,
    calibration: Calibration | None = None,
    batch_size: int | None = None,
    max_proposals: int = 10**8,
    progress: bool | str = False,
    rng: torch.Generator,
) -> Draws:
    """n independent draws by rejection (Azadi et al. 2019, eq. 8; seed slide 000).

    A proposal from the prior is accepted with probability σ(F), F = Δ - log(1 - e^{Δ-ε}) - γ,
    Δ = d - max d. For γ = 0 this is e^Δ, plain rejection from p0 to p_t, and exact; γ > 0
    accepts less, γ < 0 more, and neither is exact. ``percentile`` (0 to 100) sets γ once, so that
    this share of the pilot draws has F < 0 under the pilot's maximum.

    max d is the calibration's ceiling where it has one. Otherwise it starts as the maximum over
    ``pilot`` draws, and where a later proposal exceeds it, everything accepted so far is tested
    again, with its own uniform, against the new maximum: so all n draws face the same bound.
    (The published running maximum leaves the early draws in, and with them a bias.)

    Raises ValueError as ``rep_gan`` does, and RuntimeError where ``max_proposals`` are not enough.
    """
    if percentile is not None and not 0.0 <= percentile <= 100.0:
        raise ValueError(f"percentile: expected 0 to 100, got {percentile}")
    if not math.isfinite(gamma):
        raise ValueError(f"gamma: expected a finite number, got {gamma}")
    if not isinstance(pilot, int) or pilot < 1:
        raise ValueError(f"pilot: expected a positive int, got {pilot!r}")
    target = CountedTarget(gan, calibration, batch_size)
    target.start(n, rng)
    bound = target.calibration.ceiling
    if math.isinf(bound) or percentile is not None:
        logit = _logits(target, target.prior.sample(pilot, rng))
        bound = float(logit.max()) if math.isinf(bound) else bound
        if percentile is not None:
            gamma = float(torch.quantile(log_odds(logit, bound, 0.0), percentile / 100.0))

    seed, block = draw_seed(rng), max(n, BLOCK)
    z = torch.empty(0, gan.latent_dim, dtype=gan.dtype, device=rng.device)
    logit, uniform = z.new_empty(0), z.new_empty(0)
    proposals = 0
    with tqdm(total=n, desc=progress if isinstance(progress, str) else None, disable=not progress) as bar:
        while len(z) < n:
            if proposals >= max_proposals:
                raise RuntimeError(
                    f"drs: {len(z)} of {n} draws after {proposals} proposals; a calibration with a "
                    f"ceiling, or gamma < 0 (no longer exact), accepts more"
                )
            step_rng = generator(seed, proposals // block, device=rng.device)
            new_z = target.prior.sample(block, step_rng)
            new_logit = _logits(target, new_z)
            new_uniform = uniform_like(new_logit, step_rng)
            proposals += block
            bound = max(bound, float(new_logit.max()))
            z, logit, uniform = (
                torch.cat(pair) for pair in ((z, new_z), (logit, new_logit), (uniform, new_uniform))
            )
            keep = uniform.log() <= logsigmoid(log_odds(logit, bound, gamma))
            z, logit, uniform = z[keep], logit[keep], uniform[keep]
            bar.update(min(len(z), n) - bar.n)
    why = [f"gamma = {gamma:g} accepts too {'little' if gamma > 0 else 'much'}"] if gamma else []
    rate = len(z) / proposals
    return Draws(z[:n], target.images(z[:n]), rate, target.evaluations, law(*why))


def _logits(target: CountedTarget, z: Tensor) -> Tensor:
    """d(G(z)), of which a maximum can be taken: ValueError for NaN and +inf (-inf is density zero)."""
    with torch.no_grad():
        logit = target.log_weight(z)
    if not (logit < math.inf).all():
        raise ValueError("discriminator: expected finite logits, got NaN or infinity on draws of the prior")
    return logit


def log_odds(logit: Tensor, bound: float, gamma: float) -> Tensor:
    """F of the paper's equation 8, in float64: 1 - e^{Δ-ε} is nearly 0 at the maximum."""
    delta = logit.double() - bound
    return delta - torch.log(-torch.expm1(delta - EPSILON)) - gamma
