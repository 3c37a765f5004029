"""Any f-divergence as a game (f-GAN, Nowozin et al. 2016; seed slide 003).

    F = E_P g(v) - E_Q f*(g(v))        (eq. 7, seed's "general algorithm")

v is the raw output of the critic and g the activation that maps it into the domain of f*. F is at most
D_f(P||Q), and equal to it where g(v) = f'(p/q). The critic maximises F and the generator minimises it.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ganedu.divergences.f_divergences import FDivergence
from ganedu.divergences.variational import variational_bound
from ganedu.gans.scores import scores


@dataclass(frozen=True)
class FGAN:
    """Critic and generator on one F: the saddle point of the paper's theory.

    With the divergence "GAN" these are ``minimax``'s losses. Raises ValueError for what is no divergence.
    """

    divergence: FDivergence

    def __post_init__(self) -> None:
        if isinstance(self.divergence, type) or not hasattr(self.divergence, "dual"):
            raise ValueError(
                f"divergence: expected one as in F_DIVERGENCES, KL() say, got {self.divergence!r}"
            )

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """-F, a scalar; -D_f(P||Q) at best."""
        return -variational_bound(self.divergence, scores(critic, real), scores(critic, fake))

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """-E_Q f*(g(v)), a scalar: what of F depends on the generator."""
        return -self.divergence.dual(scores(critic, fake)).mean()


class NonSaturatingFGAN(FGAN):
    """The generator maximises E_Q g(v) instead (sec. 3.2): as if its fakes were data.

    At g(v) = f'(p/q) the slope of f* is p/q, so that the two gradients differ by that factor: the saddle's
    dies where fakes are unlikely under P, and this one does not. What then falls is another divergence: with
    KL the reverse KL. With "GAN" the loss is ``non_saturating``'s.
    """

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """-E_Q g(v), a scalar."""
        return -self.divergence.activation(scores(critic, fake)).mean()
