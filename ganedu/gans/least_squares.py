"""Least squares instead of likelihoods (LSGAN, Mao et al. 2017)."""

from dataclasses import dataclass

from torch import Tensor, nn

from ganedu.gans.scores import scores


@dataclass(frozen=True)
class LeastSquares:
    """The critic's scores are drawn to ``b`` on data and ``a`` on fakes, the generator's fakes to ``c``.

        critic      1/2 E_P (d - b)² + 1/2 E_Q (d - a)²,    generator  1/2 E_Q (d - c)²     (eq. 2)

    The best critic is (b p + a q) / (p + q). Add 1/2 E_P (d - c)², which for a given d does not depend on G:
    with b - c = 1 and b - a = 2, as in ``PEARSON``, the generator then faces half of ∫ (p - q)² / (p + q),
    which is Pearson's χ² between 2q and p + q (sec. 3.2).

    Raises ValueError where a and b are equal.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise ValueError(f"a, b: expected two different scores, got {self.a} for both")

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar, 0 at best."""
        on_real, on_fake = scores(critic, real), scores(critic, fake)
        return 0.5 * (on_real - self.b).square().mean() + 0.5 * (on_fake - self.a).square().mean()

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """Scalar, 0 at best."""
        return 0.5 * (scores(critic, fake) - self.c).square().mean()


PEARSON = LeastSquares(a=-1.0, b=1.0, c=0.0)
