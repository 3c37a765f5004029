"""How a game is played: whose steps, how many, how long; and how far a run of it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import torch
from torch import nn

from ganedu.gans.unrolled import check_betas
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive
from ganedu.training.identity import described


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba (2015). GANs take a first beta of 0.5 or 0: a gradient of long ago was another game's."""

    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_betas(self.betas)

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.learning_rate, betas=self.betas)


@dataclass(frozen=True)
class RMSProp:
    """Division by a running root mean square: WGAN's (Arjovsky et al. 2017, sec. 4), at 5e-5."""

    learning_rate: float = 5e-5
    alpha: float = 0.99

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        if not 0.0 <= self.alpha < 1.0:
            raise ValueError(f"alpha: expected a number in [0, 1), got {self.alpha}")

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.learning_rate, alpha=self.alpha)


@dataclass(frozen=True)
class SGD:
    """Plain gradient steps: the dynamics that theory speaks of."""

    learning_rate: float

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.learning_rate)


Optimiser = Adam | RMSProp | SGD


@dataclass(frozen=True)
class ManyAtFirst:
    """A critic's steps by the step of the generator: ``many`` in the ``first`` ones and in every
    ``every``-th, ``few`` otherwise. The defaults are those of the WGAN authors' code."""

    few: int = 5
    many: int = 100
    first: int = 25
    every: int = 500

    def __post_init__(self) -> None:
        for name in ("few", "many", "every"):
            check_count(name, getattr(self, name))
        check_count("first", self.first, at_least=0)

    def __call__(self, step: int) -> int:
        return self.many if step < self.first or step % self.every == 0 else self.few


@dataclass(frozen=True)
class AdversarialRecipe:
    """``steps`` steps of a game, each with batches of ``batch_size`` rows.

    ``optimisers``: one for every player, or a mapping from each player to its own.

    ``play``: "alternating" is the double loop of Goodfellow et al. (2014), algorithm 1: the critics play
    ``n_critic`` times, each time on a new batch, then the others once, in order, on one more batch.
    "simultaneous" is the single step of f-GAN (Nowozin et al. 2016, algorithm 1): one batch, every
    gradient at the same weights, then everyone's step. ``n_critic`` is a number, or a function from the
    step (``ManyAtFirst``).

    ``decay``: learning rates stay ("constant") or fall linearly to zero ("linear"), step i of n at 1 - i/n.
    ``ema``: the decay of a running average of the generator's weights, once a step; 0 for none. Losses
    are written down every ``evaluate_every`` steps.

    Raises ValueError for what makes no sense.
    """

    steps: int
    batch_size: int = 64
    optimisers: Optimiser | Mapping[str, Optimiser] = field(default_factory=Adam)
    n_critic: int | ManyAtFirst = 1
    play: str = "alternating"
    decay: str = "constant"
    ema: float = 0.0
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "evaluate_every", "checkpoint_every"):
            check_count(name, getattr(self, name))
        if not callable(self.n_critic):
            check_count("n_critic", self.n_critic)
        several = isinstance(self.optimisers, Mapping)
        for optimiser in self.optimisers.values() if several else [self.optimisers]:
            if not isinstance(optimiser, Optimiser):
                raise ValueError(
                    f"optimisers: expected Adam(...), RMSProp(...) or SGD(...), got {optimiser!r}"
                )
        if self.play not in {"alternating", "simultaneous"}:
            raise ValueError(f"play: expected 'alternating' or 'simultaneous', got {self.play!r}")
        if self.play == "simultaneous" and self.n_critic != 1:
            raise ValueError(f"n_critic: expected 1 in simultaneous play, got {self.n_critic}")
        if self.decay not in {"constant", "linear"}:
            raise ValueError(f"decay: expected 'constant' or 'linear', got {self.decay!r}")
        if not 0.0 <= self.ema < 1.0:
            raise ValueError(f"ema: expected a number in [0, 1), got {self.ema}")

    def optimiser(self, player: str) -> Optimiser:
        return self.optimisers[player] if isinstance(self.optimisers, Mapping) else self.optimisers

    def critic_steps(self, step: int) -> int:
        """Raises ValueError where ``n_critic`` is a function that gives no number of steps."""
        count = self.n_critic(step) if callable(self.n_critic) else self.n_critic
        check_count("n_critic", count)
        return count

    def rate(self, step: int) -> float:
        """The factor on every learning rate."""
        return 1.0 - step / self.steps if self.decay == "linear" else 1.0

    def told(self) -> dict:
        """In words that a checkpoint keeps."""
        return {each.name: described(getattr(self, each.name)) for each in fields(self)}


@dataclass
class AdversarialProgress:
    """What a run needs to go on, beside the weights."""

    step: int = 0
    draws: int = 0  # batches taken so far
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)  # of each player's losses since the last row
    turns: dict[str, int] = field(default_factory=dict)  # that these are sums of
