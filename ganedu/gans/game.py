"""Who plays what: an objective as a game that ``training.fit_adversarial`` can play.

A game says which networks a player moves, what is random about a step, and each player's loss. It knows
no optimiser, no device and no loop.

>>> from ganedu.gans import TwoPlayer, gradient_penalty, wasserstein
>>> game = TwoPlayer(wasserstein, latent_dim=2, penalties=((10.0, gradient_penalty),))
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ganedu.samplers.base import check_count

Nets = Mapping[str, nn.Module]
Critic = Callable[[Tensor], Tensor]  # x (n, ...) -> scores (n,) or (n, 1)
Penalty = Callable[..., Tensor]  # (critic, real, fake), and the weights ``mixing`` (n,) where it has such


class Objective(Protocol):
    """A module of two functions (``gans.non_saturating``), or an object with these methods."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar, for the critic to minimise."""

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        """Scalar, for the generator to minimise."""


class Game(Protocol):
    """What ``fit_adversarial`` plays. Derive from it, and write ``moves``, ``draw`` and ``loss``.

    ``moves``: player -> the names of the networks that it moves, in the order of play. Every game that
    samples has a network "generator". ``keeps``: networks that the game has and no player moves.
    """

    moves: Mapping[str, tuple[str, ...]]
    keeps: tuple[str, ...] = ()

    @property
    def critics(self) -> tuple[str, ...]:
        """The players that play ``n_critic`` times a step: all but the last."""
        return tuple(self.moves)[:-1]

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Everything that a turn needs for a batch x (n, ...), all randomness in it: n rows each, x first."""

    def loss(self, player: str, nets: Nets, *rows: Tensor) -> Tensor:
        """Scalar, for ``player`` to minimise by the networks that it moves."""

    def after(self, player: str, nets: Nets, *rows: Tensor) -> None:
        """What follows a step of ``player``, without gradients: a clip, a balance. Nothing by default."""


def latents(x: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    """(n, dim) ~ N(0, I) for n rows of x, in their precision. ValueError for rows that are no floats."""
    if not x.is_floating_point():
        raise ValueError(f"data: expected floats, got {x.dtype}")
    return torch.randn(len(x), dim, generator=rng, device=x.device, dtype=x.dtype)


def mixing_weights(x: Tensor, rng: torch.Generator) -> Tensor:
    """(n,) uniform on [0, 1) for n rows of x: where between real and fake a penalty looks."""
    return torch.rand(len(x), generator=rng, device=x.device, dtype=x.dtype)


def fakes(nets: Nets, z: Tensor, x: Tensor) -> Tensor:
    """The generator's rows for latents z (n, d). ValueError where they are not shaped as those of x are."""
    made = nets["generator"](z)
    if made.shape[1:] != x.shape[1:]:
        expected, got = tuple(x.shape[1:]), tuple(made.shape[1:])
        raise ValueError(f"generator: expected rows of shape {expected}, as the data are, got {got}")
    return made


def penalise(penalty: Penalty, critic: Critic, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """The penalty, a scalar, with ``mixing`` where it asks for it (``penalties.gradient_penalty`` does)."""
    if "mixing" in inspect.signature(penalty).parameters:
        return penalty(critic, real, fake, mixing=mixing)
    return penalty(critic, real, fake)


def check_objective(objective: Any, needs: tuple[str, ...], takes: tuple[str, ...]) -> None:
    """Raise ValueError for what has not the losses that a game ``needs``, the critic's of ``takes``."""
    if isinstance(objective, type):
        name = objective.__name__
        raise ValueError(f"objective: expected an instance, got the class {name}; write {name}(...)")
    for name in needs:
        if not callable(getattr(objective, name, None)):
            raise ValueError(f"objective: expected one with {name}, got {objective!r}")
    try:
        inspect.signature(objective.critic_loss).bind(*takes)
    except TypeError as error:
        expected = f"critic_loss({', '.join(takes)})"
        raise ValueError(
            f"objective: expected {expected}, got {objective!r}, for which there is {error}; "
            "BEGAN is for Balanced, all others for TwoPlayer"
        ) from None


@dataclass(frozen=True)
class TwoPlayer(Game):
    """An objective as a game of "critic" against "generator": networks x -> (n,) and z (n, latent_dim) -> x.

    ``penalties``: pairs (weight, penalty), added to the critic's loss. ``constrain(critic)`` follows each
    step of the critic (WGAN: ``lambda critic: clip(critic.parameters())``). In the critic's turn fakes carry
    no graph; in the generator's its loss reaches the generator through the critic, which stays where it is.

    Raises ValueError for a ``latent_dim`` below 1, a penalty without a weight, and what is no objective.
    """

    objective: Any
    latent_dim: int
    penalties: tuple[tuple[float, Penalty], ...] = ()
    constrain: Callable[[nn.Module], None] | None = None
    moves: ClassVar = {"critic": ("critic",), "generator": ("generator",)}
    needs: ClassVar = ("critic_loss", "generator_loss")
    takes: ClassVar = ("critic", "real", "fake")

    def __post_init__(self) -> None:
        check_objective(self.objective, self.needs, self.takes)
        check_count("latent_dim", self.latent_dim)
        for pair in self.penalties:
            number = isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], int | float)
            if not (number and callable(pair[1])):
                raise ValueError(f"penalties: expected pairs (weight, penalty), got {pair!r}")

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(x, latents (n, latent_dim), mixing weights (n,))."""
        return x, latents(x, self.latent_dim, rng), mixing_weights(x, rng)

    def critic_loss(self, critic: Critic, x: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
        """Scalar, penalties included."""
        loss = self.objective.critic_loss(critic, x, fake)
        return self.penalised(loss, critic, x, fake, mixing)

    def penalised(self, loss: Tensor, critic: Critic, x: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
        """The critic's loss and all penalties by their weights."""
        for weight, penalty in self.penalties:
            loss = loss + weight * penalise(penalty, critic, x, fake, mixing)
        return loss

    def generator_loss(self, critic: Critic, x: Tensor, fake: Tensor) -> Tensor:
        """Scalar; x is there for games whose generator looks at data."""
        return self.objective.generator_loss(critic, fake)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        if player == "generator":
            return self.generator_loss(nets["critic"], x, fakes(nets, z, x))
        with torch.no_grad():
            fake = fakes(nets, z, x)
        return self.critic_loss(nets["critic"], x, fake, mixing)

    def after(self, player: str, nets: Nets, *rows: Tensor) -> None:
        if player == "critic" and self.constrain is not None:
            self.constrain(nets["critic"])


@dataclass(frozen=True)
class ZeroSum(TwoPlayer):
    """The generator maximises what the critic minimises, with all its terms but the penalties.

    For a critic that stands still the term of the data is a constant and this is the saturating game of
    Goodfellow et al. (2014), eq. 1. For an unrolled critic it is not: that depends on the generator, and
    f_K of Metz et al. (2017, sec. 2.2) has both terms.
    """

    needs: ClassVar = ("critic_loss",)

    def generator_loss(self, critic: Critic, x: Tensor, fake: Tensor) -> Tensor:
        return -self.objective.critic_loss(critic, x, fake)


class Balance(nn.Module):
    """BEGAN's k as a network without weights, so that it is kept and restored with the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", torch.zeros(()))


@dataclass(frozen=True)
class Balanced(TwoPlayer):
    """BEGAN (``gans.energy.BEGAN``), with a third network "balance", a ``Balance()``.

    k moves after each step of the generator (Berthelot et al. 2017, sec. 3.4), by energies of the batch
    that was played on, taken anew where the step has led. Several processes each see their share of it;
    ``fit_adversarial`` shares the first one's k when it looks.
    """

    keeps: ClassVar = ("balance",)
    takes: ClassVar = ("critic", "real", "fake", "k")

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        if player == "generator":
            return self.objective.generator_loss(nets["critic"], fakes(nets, z, x))
        with torch.no_grad():
            fake = fakes(nets, z, x)
        loss = self.objective.critic_loss(nets["critic"], x, fake, nets["balance"].k)
        return self.penalised(loss, nets["critic"], x, fake, mixing)

    def after(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> None:
        super().after(player, nets)
        if player == "generator":
            real, fake = (nets["critic"](side).mean() for side in (x, nets["generator"](z)))
            k = nets["balance"].k
            k.copy_(self.objective.balance(k, real, fake))
