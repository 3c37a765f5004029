"""α-GAN (Rosca et al. 2017; seed slide 002): a variational autoencoder whose two densities are critics'.

The ELBO E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)) without either density, by the ratios that two classifiers
learn: d(x) = log p*(x)/p_θ(x), data against fakes, and c(z) = log p(z)/q(z), prior against the codes of all
data, q(z) = E_P q(z|x). (A VAE's letters: p* is the law of the data, p_θ the generator's.)

    -KL(q(z) || p(z)) = E_q c(z),    and the generator makes its fakes rise in d.

The paper's first version (arXiv v1, algorithm 1, eq. 16 and 17) swaps prior and posterior in the code
critic's loss: encoder and code critic then pull the same way. The seed's line for the synthetic likelihood
has a sign that does not follow from its own r = D/(1 - D): log p_θ(x)/p*(x) is -d(x). What is trained, there
and here, is E d at fakes, which is -KL(fakes || data).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganedu.gans.game import Critic, Game, Nets, fakes, latents
from ganedu.gans.scores import scores
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive


def critic_loss(critic: Critic, real: Tensor, *fakes: Tensor) -> Tensor:
    """Scalar: a classifier's loss against an even mixture of ``fakes``; 2 log 2 where it cannot tell.

    At best the logit is the log of the density of ``real`` over the mixture's. With one fake it is
    ``non_saturating.critic_loss``. The paper adds up the terms of reconstructions and samples, which takes
    log 2 off every logit, and nothing from its gradient in x.
    """
    against = sum(softplus(scores(critic, fake)).mean() for fake in fakes) / len(fakes)
    return softplus(-scores(critic, real)).mean() + against


def reconstruction(x: Tensor, restored: Tensor) -> Tensor:
    """Mean over all numbers of |x - restored|, a scalar: a Laplace likelihood's, but for constants.

    Raises ValueError where the two differ in shape.
    """
    if restored.shape != x.shape:
        raise ValueError(f"generator: expected to get {tuple(x.shape)}, got shape {tuple(restored.shape)}")
    return (x - restored).abs().mean()


@dataclass(frozen=True)
class AlphaGAN(Game):
    """Networks "encoder" (x -> (n, latent_dim)), "generator", "critic" and "code_critic" (z -> (n,)).

        critic       data against reconstructions and samples
        code_critic  N(0, I) against codes
        encoder      weight |x - G(E(x))| - c(E(x))
        generator    weight |x - G(E(x))| - d(G(E(x))) - d(G(z))

    Each player moves one network in a turn of its own (algorithm 1). The paper's L1 is a norm, a sum
    over pixels; ``weight`` (10) multiplies the mean over them, as public code does. Leave BatchNorm out of
    the code critic.

    Raises ValueError for a ``latent_dim`` below 1 and a weight that is not positive.
    """

    latent_dim: int
    weight: float = 10.0
    moves: ClassVar = {name: (name,) for name in ("critic", "code_critic", "encoder", "generator")}

    def __post_init__(self) -> None:
        check_count("latent_dim", self.latent_dim)
        check_positive("weight", self.weight)

    @property
    def critics(self) -> tuple[str, ...]:
        return "critic", "code_critic"

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x, latents (n, latent_dim))."""
        return x, latents(x, self.latent_dim, rng)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        return getattr(self, f"_{player}")(nets, x, z)

    def _critic(self, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        with torch.no_grad():
            restored, fake = nets["generator"](nets["encoder"](x)), fakes(nets, z, x)
        return critic_loss(nets["critic"], x, restored, fake)

    def _code_critic(self, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        with torch.no_grad():
            code = nets["encoder"](x)
        return critic_loss(nets["code_critic"], z, code)

    def _encoder(self, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        code = nets["encoder"](x)
        restored = nets["generator"](code)
        return self.weight * reconstruction(x, restored) - scores(nets["code_critic"], code).mean()

    def _generator(self, nets: Nets, x: Tensor, z: Tensor) -> Tensor:
        with torch.no_grad():
            code = nets["encoder"](x)
        restored, fake = nets["generator"](code), nets["generator"](z)
        rise = scores(nets["critic"], restored).mean() + scores(nets["critic"], fake).mean()
        return self.weight * reconstruction(x, restored) - rise
