"""Critics that are energies: low on the data, high elsewhere (EBGAN, BEGAN; seed slide 003, "EBGAN").

An energy E maps x (n, ...) to (n,), and is not negative. In both papers it is how badly an autoencoder
restores x.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from ganedu.divergences.samples import at_least_float32, full_precision
from ganedu.gans.scores import scores
from ganedu.targets.base import check_positive


class AutoencoderEnergy(nn.Module):
    """E(x) = mean over the numbers of x of |decoder(encoder(x)) - x|^power, (n,).

    power 2: the mean squared error of EBGAN's experiments; power 1: BEGAN's. The seed slide
    writes the norm itself, which is not squared and grows with the size of an image.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, power: float = 2.0):
        super().__init__()
        if not power >= 1.0:
            raise ValueError(f"power: expected at least 1, below which 0 has no slope, got {power}")
        self.encoder = encoder
        self.decoder = decoder
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        return self.energy(x, self.encoder(x))

    def energy(self, x: Tensor, code: Tensor) -> Tensor:
        """E(x), (n,), at least in float32, where the code of x is known."""
        x = at_least_float32(x)  # fakes of a bfloat16 generator, too
        restored = self.decoder(code).to(x.dtype)
        if restored.shape != x.shape:
            raise ValueError(f"decoder: expected to get {tuple(x.shape)}, got {tuple(restored.shape)}")
        return (restored - x).abs().pow(self.power).flatten(1).mean(1)


@dataclass(frozen=True)
class EBGAN:
    """Energies of fakes are pushed up to ``margin`` and no further (Zhao et al. 2017, eq. 1 and 2).

        critic  E_P E(x) + E_Q [margin - E(x)]+,    generator  E_Q E(x)

    At equilibrium P = Q, E is a constant of at most ``margin``, and the critic's loss is ``margin``
    (theorems 1 and 2). The hinge is one for every sample. ``pull_away`` > 0 adds that much of
    ``pull_away(code)`` to the generator's loss (EBGAN-PT, sec. 2.4: 0.1); the critic then is an
    ``AutoencoderEnergy``, or has ``encoder`` and ``energy(x, code)`` like one.
    """

    margin: float
    pull_away: float = 0.0

    def __post_init__(self) -> None:
        check_positive("margin", self.margin)
        if not self.pull_away >= 0:
            raise ValueError(f"pull_away: expected a weight of at least 0, got {self.pull_away}")

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar, at least 0."""
        return scores(critic, real).mean() + relu(self.margin - scores(critic, fake)).mean()

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """Scalar, at least 0. Raises ValueError for pull-away of a critic without codes."""
        if self.pull_away == 0:
            return scores(critic, fake).mean()
        if not (hasattr(critic, "encoder") and hasattr(critic, "energy")):
            raise ValueError(
                "critic: expected an AutoencoderEnergy, whose codes pull-away is about, "
                f"got {type(critic).__name__}"
            )
        code = critic.encoder(fake)
        return critic.energy(fake, code).mean() + self.pull_away * pull_away(code)


def pull_away(code: Tensor) -> Tensor:
    """Mean squared cosine between the codes (n, ...) of two different samples, a scalar in [0, 1].

    Zhao et al. (2017), sec. 2.4: the sum over i and j != i, over n (n - 1). A sample's cosine with itself
    is 1, and on the diagonal it would add a constant 1/(n - 1) and no gradient.

    Raises ValueError for fewer than two samples.
    """
    n = len(code)
    if n < 2:
        raise ValueError(f"code: expected at least 2 samples, got {n}")
    code = at_least_float32(code.flatten(1))
    directions = normalize(code, dim=1)
    with full_precision(code):
        cosines = directions @ directions.T
    others = ~torch.eye(n, dtype=torch.bool, device=code.device)
    return torch.where(others, cosines.square(), 0.0).sum() / (n * (n - 1))


@dataclass(frozen=True)
class BEGAN:
    """Energies of data and fakes in a given proportion (Berthelot et al. 2017, sec. 3.4).

        critic  E_P E - k E_Q E,    generator  E_Q E,    k' = k + rate (gamma E_P E - E_Q E) in [0, 1]

    k weighs how much the critic cares for fakes. It rises while fakes are restored too well, so that in
    the end E_Q E = gamma E_P E: a small gamma trades variety for looks. k is state and is handed
    through: a scalar tensor or a number, 0 at the start. It is played by ``game.Balanced``, which keeps it.
    """

    gamma: float = 0.5
    rate: float = 1e-3

    def __post_init__(self) -> None:
        check_positive("gamma", self.gamma, at_most=1.0)
        check_positive("rate", self.rate)

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, k: Tensor | float) -> Tensor:
        """Scalar, of either sign."""
        return scores(critic, real).mean() - k * scores(critic, fake).mean()

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """Scalar, at least 0."""
        return scores(critic, fake).mean()

    def balance(self, k: Tensor | float, real: Tensor, fake: Tensor) -> Tensor:
        """The next k, a scalar tensor, from the mean energies of data and of the generator's fakes."""
        return (k + self.rate * (self.gamma * real - fake).detach()).clamp(0.0, 1.0)

    def convergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """M = E_P E + |gamma E_P E - E_Q E| (sec. 3.4.1), which falls as training goes on."""
        return (real + (self.gamma * real - fake).abs()).detach()
