"""A training in a process of its own, to be killed or to share its work: see test_processes.py."""

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ganedu import checkpoints
from ganedu.training import mle
from tests.training.tiny import KINDS, RECIPE, Denoising, Network, fit

LONG = replace(RECIPE, steps=1200)
LONG_COSINE = replace(LONG, steps=600, schedule="cosine")
COSINE = replace(RECIPE, schedule="cosine")


@dataclass(frozen=True)
class Slow(Denoising):
    """Two milliseconds a step longer, so that a whole run takes some seconds."""

    def draw(self, x, rng):
        time.sleep(0.002)
        return super().draw(x, rng)


def killed_while_writing(number: int) -> None:
    """SIGKILL in the midst of the ``number``-th file of weights from now."""
    whole, count = checkpoints.save_file, iter(range(number))

    def save_file(tensors, path, **meta):
        whole(tensors, path, **meta)
        if next(count, None) is None:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.save_file = save_file


def one(folder: Path, schedule: str, killed: str) -> None:
    """A long run; where ``killed`` is a number, so many files of weights are written, and half of one."""
    if killed != "from outside":
        killed_while_writing(int(killed))
    fit("denoising", folder, LONG if schedule == "constant" else LONG_COSINE, objective=Slow())


def mean_of_own_rows(self, *rows):
    """Planted: each process averages the rows it has, which may be fewer than another's."""
    return self.objective.loss(self.model, *rows).mean() * RECIPE.batch_size / int(os.environ["WORLD_SIZE"])


def noise_of_own_rank(seed, step, device):
    """Planted: the processes see different noise."""
    return torch.Generator().manual_seed(10_000 * int(os.environ["RANK"]) + step)


def several(folder: Path) -> None:
    """Both kinds as they are, and with each of two planted errors; a cosine; BatchNorm."""
    checkpoints_save = checkpoints.save
    if os.environ["RANK"] != "0":

        def save(*_, **__):
            raise AssertionError("only the first process writes")

        checkpoints.save = mle.append_row = mle.draw_losses = save
    forward, noise = mle.SumOfLosses.forward, mle.noise
    for kind in KINDS:
        fit(kind, folder / kind)
        mle.SumOfLosses.forward = mean_of_own_rows
        fit(kind, folder / f"{kind} by mean")
        mle.SumOfLosses.forward, mle.noise = forward, noise_of_own_rank
        fit(kind, folder / f"{kind} by noise")
        mle.noise = noise
    fit("denoising", folder / "cosine", COSINE)
    share_buffers = mle.share_buffers
    for name, sharing in (("norm", share_buffers), ("norm apart", lambda *_: None)):
        mle.share_buffers = sharing
        torch.manual_seed(0)
        model = fit("denoising", folder / name, model=Network(norm=True))
        checkpoints_save(folder / f"{name}-{os.environ['RANK']}.safetensors", model.state_dict())


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "several":
        several(Path(sys.argv[2]))
    else:
        one(Path(sys.argv[2]), *sys.argv[3:])
