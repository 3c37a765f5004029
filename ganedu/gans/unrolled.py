"""The generator plays against the critic as it will be in K steps (Metz et al. 2017; seed slide 003).

    φ_0 = φ,    φ_{k+1} = φ_k - step(∂ critic loss(θ, φ_k) / ∂φ_k),    f_K(θ) = generator loss(θ, φ_K(θ))

The generator descends the total derivative of f_K (sec. 2.2 to 2.4): how it fares against φ_K, and how
φ_K answers to it. Code that trains a copy of the critic for K steps and stops there has the first term
alone. The seed's TensorFlow code does have both, but its ``xrange(unrolling_steps) - 1`` is a TypeError:
the parenthesis closes too early.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganedu.gans.game import Critic, Game, Nets, TwoPlayer
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive

Weights = dict[str, Tensor]


class InnerStep(Protocol):
    """An optimiser as a function, so that its steps can be differentiated."""

    def start(self, critic: nn.Module, optimiser: torch.optim.Optimizer | None) -> tuple | None:
        """What it remembers before the first step; ``optimiser`` is the critic's own, where it is known."""

    def step(self, weights: Weights, gradients: Weights, state) -> tuple[Weights, tuple | None]:
        """The next weights and what it remembers; nothing is changed in place."""


@dataclass(frozen=True)
class GradientStep:
    """Plain gradient descent, as in the paper's equations."""

    learning_rate: float

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)

    def start(self, critic: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> None:
        return None

    def step(self, weights: Weights, gradients: Weights, state: None) -> tuple[Weights, None]:
        return {k: w - self.learning_rate * gradients[k] for k, w in weights.items()}, None


class Moments(NamedTuple):
    """Adam's running averages of gradients and of their squares, and the steps taken, by weight."""

    mean: Weights
    square: Weights
    steps: dict[str, int]


def check_betas(betas: tuple[float, float]) -> None:
    """Raise ValueError for what are no decays of Adam's two averages."""
    if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
        raise ValueError(f"betas: expected two numbers in [0, 1), got {betas}")


@dataclass(frozen=True)
class AdamStep:
    """Adam (Kingma and Ba 2015, algorithm 1), from the averages that the critic's own Adam has by now.

    That is what the paper's code does. Where that optimiser is unknown, or no Adam, it begins anew: its
    first step is then nearly the sign of the gradient, through which hardly any derivative passes.
    """

    learning_rate: float
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_positive("eps", self.eps)
        check_betas(self.betas)

    def start(self, critic: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Moments:
        known = {} if optimiser is None else optimiser.state
        mean, square, steps = {}, {}, {}
        for name, weight in critic.named_parameters():
            kept = known.get(weight, {})
            if "exp_avg_sq" in kept:
                # A copy: the critic's own next step changes its averages in place.
                mean[name], square[name] = kept["exp_avg"].clone(), kept["exp_avg_sq"].clone()
                steps[name] = int(kept["step"])
            else:
                mean[name] = square[name] = torch.zeros_like(weight)
                steps[name] = 0
        return Moments(mean, square, steps)

    def step(self, weights: Weights, gradients: Weights, state: Moments) -> tuple[Weights, Moments]:
        first, second = self.betas
        moved, mean, square, steps = {}, {}, {}, {}
        for name, weight in weights.items():
            gradient = gradients[name]
            t = steps[name] = state.steps[name] + 1
            m = mean[name] = first * state.mean[name] + (1.0 - first) * gradient
            v = square[name] = second * state.square[name] + (1.0 - second) * gradient.square()
            # The slope of a root at 0 is infinite, and infinity times the slope of the square there NaN.
            root = torch.where(v > 0, torch.where(v > 0, v, 1.0).sqrt(), 0.0)
            root = root / (1.0 - second**t) ** 0.5
            moved[name] = weight - self.learning_rate / (1.0 - first**t) * m / (root + self.eps)
        return moved, Moments(mean, square, steps)


def unroll(
    critic: nn.Module,
    loss: Callable[[Critic], Tensor],
    steps: int,
    inner: InnerStep,
    optimiser: torch.optim.Optimizer | None = None,
) -> Critic:
    """The critic after ``steps`` descents of ``loss(critic)``, as a function of all that the loss depends on.

    The critic's own weights stay as they are, and no gradient reaches them. For 0 steps it is ``critic``.
    """
    if steps == 0:
        return critic
    own = {name: weight for name, weight in critic.named_parameters() if weight.requires_grad}
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in own.items()}
    state = inner.start(critic, optimiser)
    for _ in range(steps):
        found = torch.autograd.grad(
            loss(_at(critic, weights)), list(weights.values()), create_graph=True, materialize_grads=True
        )
        weights, state = inner.step(weights, dict(zip(weights, found, strict=True)), state)
    return _at(critic, weights)


def _at(critic: nn.Module, weights: Mapping[str, Tensor]) -> Critic:
    return lambda x: functional_call(critic, weights, (x,))


@dataclass(frozen=True)
class Unrolled(Game):
    """``game`` with a generator that looks ``steps`` steps of the critic ahead, on its own batch.

    The critic plays as before. ``Unrolled(ZeroSum(minimax, ...), ...)`` is the paper's game and the seed's
    code; with ``TwoPlayer(non_saturating, ...)`` only the fakes are scored by φ_K. With 0 steps it is
    ``game`` itself. ``inner`` should step as the critic's optimiser does; a critic's penalties are part of
    what it descends. A step costs K critic's backward passes that are differentiated again.

    A critic in its later state is a function, not a module: objectives that ask for more (EBGAN's pull-away
    term) cannot look ahead. Several processes unroll on their own rows: their mean is not what one
    process computes.

    Raises ValueError for a negative number of steps, and for a game whose loss is more than that of an
    objective (InfoGAN, consensus): what it adds would be lost on the way.
    """

    game: TwoPlayer
    steps: int
    inner: InnerStep
    optimiser: torch.optim.Optimizer | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_count("steps", self.steps, at_least=0)
        if type(self.game).loss is not TwoPlayer.loss:
            got = type(self.game).__name__
            raise ValueError(f"game: expected one whose loss is its objective's alone, got {got}")

    @property
    def moves(self) -> Mapping[str, tuple[str, ...]]:
        return self.game.moves

    def with_optimisers(self, optimisers: Mapping[str, torch.optim.Optimizer]) -> "Unrolled":
        """The same game, knowing the optimisers of its players: ``fit_adversarial`` asks for it."""
        return replace(self, optimiser=optimisers["critic"])

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
        return self.game.draw(x, rng)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        if player != "generator" or self.steps == 0:
            return self.game.loss(player, nets, x, z, mixing)
        fake = nets["generator"](z)

        def inner_loss(critic: Critic) -> Tensor:
            return self.game.critic_loss(critic, x, fake, mixing)

        later = unroll(nets["critic"], inner_loss, self.steps, self.inner, self.optimiser)
        return self.game.generator_loss(later, x, fake)

    def after(self, player: str, nets: Nets, *rows: Tensor) -> None:
        self.game.after(player, nets, *rows)
