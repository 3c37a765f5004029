"""One turn of a game: whose weights move, by which gradients, and what must stay as it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganedu.gans.game import Game
from ganedu.training.adversarial_recipe import AdversarialProgress, AdversarialRecipe
from ganedu.training.devices import autocast

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ganedu.training.devices import OneDevice


class Table:
    """Where the players sit: whose turn it is, what it changes, and what it cost."""

    def __init__(
        self,
        nets: dict[str, nn.Module],
        game: Game,
        weights: dict[str, list[nn.Parameter]],
        optimisers: dict[str, torch.optim.Optimizer],
        fabric: "Fabric | OneDevice",
        precision: str,
        batch_size: int,
    ):
        self.nets, self.game, self.weights, self.optimisers = nets, game, weights, optimisers
        self.fabric, self.precision, self.batch_size = fabric, precision, batch_size
        self.rates = {player: steps.param_groups[0]["lr"] for player, steps in optimisers.items()}
        self.clear()

    def clear(self) -> None:
        zero = torch.zeros((), device=self.fabric.device, dtype=torch.float64)
        self.sums = {player: zero.clone() for player in self.game.moves}
        self.turns = dict.fromkeys(self.game.moves, 0)

    def set_rate(self, recipe: AdversarialRecipe, step: int) -> None:
        for player, steps in self.optimisers.items():
            for group in steps.param_groups:
                group["lr"] = self.rates[player] * recipe.rate(step)

    def play(self, players: tuple[str, ...], rows: tuple[Tensor, ...], together: bool = False) -> None:
        """A step of each on the same rows: one after the other, or all from where they stand now."""
        for turn in [players] if together else [(player,) for player in players]:
            for player in turn:
                self.find_gradients(player, rows)
            for player in turn:
                self.optimisers[player].step()
                self.optimisers[player].zero_grad(set_to_none=True)
            for player in turn:
                with torch.no_grad():
                    self.game.after(player, self.nets, *rows)

    def find_gradients(self, player: str, rows: tuple[Tensor, ...]) -> None:
        """Those of the player's loss by its own weights, of the whole batch in every process."""
        with buffers_kept(self.nets, self.game.moves[player]):
            with autocast(self.fabric.device, self.precision):
                loss = self._loss(player, rows)
            loss = loss * (len(rows[0]) / self.batch_size)
            found = torch.autograd.grad(loss, self.weights[player], allow_unused=True)
        if all(gradient is None for gradient in found):
            raise ValueError(f"game: the loss of {player} depends on no weight that {player} moves")
        for weight, gradient in zip(self.weights[player], added(found, self.fabric), strict=True):
            weight.grad = gradient
        self.sums[player] += loss.detach()
        self.turns[player] += 1

    def _loss(self, player: str, rows: tuple[Tensor, ...]) -> Tensor:
        try:
            loss = self.game.loss(player, self.nets, *rows)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            shown = f"{tuple(rows[0].shape)}, {rows[0].dtype}"
            raise ValueError(f"nets: {player} cannot play on rows of shape {shown}: {error}") from error
        if not isinstance(loss, Tensor) or loss.shape != ():
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ValueError(f"game: expected a scalar loss of {player}, got {got}")
        if not loss.requires_grad:
            raise ValueError(f"game: the loss of {player} depends on no weight: is something detached?")
        return loss

    def report(self, run: AdversarialProgress) -> None:
        """Add what was lost since the last time to ``run``; it waits for the device."""
        for player, total in self.sums.items():
            total = self.fabric.all_reduce(total, reduce_op="sum").item()
            run.sums[player] = run.sums.get(player, 0.0) + total
            run.turns[player] = run.turns.get(player, 0) + self.turns[player]
        self.clear()


def own_weights(nets: Mapping[str, nn.Module], names: tuple[str, ...]) -> list[nn.Parameter]:
    """The parameters of these networks that are not frozen, each once."""
    found = {id(p): p for name in names for p in nets[name].parameters() if p.requires_grad}
    return list(found.values())


@contextmanager
def buffers_kept(nets: Mapping[str, nn.Module], moved: tuple[str, ...]) -> Iterator[None]:
    """Afterwards all buffers but those of the networks ``moved`` are what they were."""
    own = {id(buffer) for name in moved for buffer in nets[name].buffers()}
    others = [buffer for net in nets.values() for buffer in net.buffers() if id(buffer) not in own]
    before = [buffer.clone() for buffer in others]
    yield
    with torch.no_grad():
        for buffer, value in zip(others, before, strict=True):
            buffer.copy_(value)


def added(gradients: tuple[Tensor | None, ...], fabric: "Fabric | OneDevice") -> list[Tensor | None]:
    """Over all processes, in one message."""
    if fabric.world_size == 1:
        return list(gradients)
    found = [gradient for gradient in gradients if gradient is not None]
    flat = fabric.all_reduce(torch.cat([gradient.flatten() for gradient in found]), reduce_op="sum")
    parts = iter(flat.split([gradient.numel() for gradient in found]))
    return [None if gradient is None else next(parts).view_as(gradient) for gradient in gradients]
