"""How a model is fitted by one loss, and how far a run of it is."""

import math
from dataclasses import dataclass

from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive


@dataclass(frozen=True)
class MLERecipe:
    """Adam (Kingma and Ba 2015) on the mean loss of ``batch_size`` rows, for ``steps`` steps.

    ``schedule``: the learning rate stays as it is ("constant") or falls to zero along half a
    "cosine" (Loshchilov and Hutter 2017). ``clip``: a longer gradient is shortened to this norm.
    ``ema``: the weights that are judged and kept are a running average with this decay; 0 takes
    the weights as they are. Every ``evaluate_every`` steps the losses are written down; where
    ``patience`` such looks in a row bring no lower held-out loss, training ends.

    Raises ValueError for what makes no sense.
    """

    steps: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip: float | None = None
    ema: float = 0.0
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "evaluate_every", "checkpoint_every"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        if self.schedule not in {"constant", "cosine"}:
            raise ValueError(f"schedule: expected 'constant' or 'cosine', got {self.schedule!r}")
        if self.clip is not None:
            check_positive("clip", self.clip)
        if not 0.0 <= self.ema < 1.0:
            raise ValueError(f"ema: expected a number in [0, 1), got {self.ema}")
        if self.patience is not None:
            check_count("patience", self.patience)


@dataclass
class Progress:
    """What a run needs to go on, beside the weights."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # of the loss_steps since the last row of loss.csv
    loss_steps: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0  # looks since the best one

    def looked(self, loss: float) -> bool:
        """Note a held-out loss: whether it is the first or the lowest so far."""
        better = self.best_step == 0 or loss < self.best_loss
        if better:
            self.best_loss, self.best_step = loss, self.step
        self.stale = 0 if better else self.stale + 1
        return better

    def over(self, recipe: MLERecipe) -> bool:
        """Whether all steps are done, or patience is at an end."""
        return self.step >= recipe.steps or (recipe.patience is not None and self.stale >= recipe.patience)
