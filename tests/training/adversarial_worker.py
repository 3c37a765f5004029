"""A game in a process of its own, to be killed or to share its work: see test_adversarial_processes.py."""

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ganedu import checkpoints
from ganedu.gans.game import TwoPlayer
from ganedu.training import adversarial, turns
from tests.training.games import CLASSIFY, GAME, LONG, RECIPE, networks, play
from tests.training.worker import killed_while_writing, noise_of_own_rank

SIMULTANEOUS = replace(RECIPE, n_critic=1, play="simultaneous")


@dataclass(frozen=True)
class Slow(TwoPlayer):
    """Two milliseconds a batch longer, so that a whole run takes some seconds."""

    def draw(self, x, rng):
        time.sleep(0.002)
        return super().draw(x, rng)


SLOW = Slow(CLASSIFY, 2, GAME.penalties)


def one(folder: Path, killed: str) -> None:
    """A long run; where ``killed`` is a number, so many files of weights are written, and half of one."""
    if killed != "from outside":
        killed_while_writing(int(killed))
    play(folder, LONG, networks(norm=True), game=SLOW)


def several(folder: Path) -> None:
    """Both ways to play as they are, each with planted errors; BatchNorm; other weights at the start."""
    if os.environ["RANK"] != "0":

        def save(*_, **__):
            raise AssertionError("only the first process writes")

        checkpoints.save = adversarial.append_row = adversarial.draw_game = save
    play(folder / "alternating")
    play(folder / "simultaneous", SIMULTANEOUS)
    noise, added, share = adversarial.noise, turns.added, adversarial.share_weights
    adversarial.noise = noise_of_own_rank
    play(folder / "by noise")
    adversarial.noise, turns.added = noise, lambda gradients, fabric: list(gradients)
    play(folder / "not added")
    turns.added = added
    own = int(os.environ["RANK"])
    play(folder / "other start", nets=networks(seed=own))
    adversarial.share_weights = lambda *_: None
    play(folder / "start apart", nets=networks(seed=own))
    adversarial.share_weights = share
    nets = play(folder / "norm", nets=networks(norm=True))
    checkpoints_of = checkpoints.pack(**nets)
    torch.save(checkpoints_of, folder / f"norm-{own}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "several":
        several(Path(sys.argv[2]))
    else:
        one(Path(sys.argv[2]), sys.argv[3])
