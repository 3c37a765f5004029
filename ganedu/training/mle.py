"""The loop of every model that is fitted by one loss: a likelihood, a bound on it, flow matching.

>>> from pathlib import Path
>>> from ganedu.data import two_moons
>>> from ganedu.flows import NegativeLogLikelihood, real_nvp
>>> from ganedu.training import MLERecipe, fit_mle
>>> recipe = MLERecipe(steps=2000, learning_rate=5e-4)
>>> flow = fit_mle(real_nvp(2), NegativeLogLikelihood(), two_moons, recipe, Path("build/moons"))
"""

import copy
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.training.batches import (
    Stream,
    batches,
    check_rows,
    global_generators_kept,
    held_out_batches,
    noise,
    seed_dropout,
)
from ganedu.training.devices import OneDevice, autocast, circumstances, launch, share_buffers
from ganedu.training.files import append_row, draw_losses, resume
from ganedu.training.identity import identity
from ganedu.training.recipe import MLERecipe, Progress
from ganedu.training.steps import LOOK, check_finite, follow, one_cycle

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Objective(Protocol):
    """What is minimised. Randomness is apart, so that several processes see the numbers of one."""

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Everything that a step needs for a batch x (n, ...), all randomness in it: tensors of n rows."""

    def loss(self, model: nn.Module, *rows: Tensor) -> Tensor:
        """(n,), in nats, a number for each row."""


class SumOfLosses(nn.Module):
    """Model and objective as one module, rows -> the sum of their losses.

    Processes share gradients only where the call is that of a module.
    """

    def __init__(self, model: nn.Module, objective: Objective, precision: str):
        super().__init__()
        self.model, self.objective, self.precision = model, objective, precision

    def forward(self, *rows: Tensor) -> Tensor:
        with autocast(rows[0].device, self.precision):
            loss = self.objective.loss(self.model, *rows)
        if loss.shape != rows[0].shape[:1]:
            raise ValueError(f"objective: expected losses ({len(rows[0])},), got shape {tuple(loss.shape)}")
        return loss.sum()


def fit_mle(
    model: nn.Module,
    objective: Objective,
    data: Tensor | Stream,
    recipe: MLERecipe,
    folder: Path | str,
    *,
    held_out: Tensor | None = None,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
) -> nn.Module:
    """Train ``model`` in place and return it in eval mode; goes on from the last checkpoint.

    ``data`` are rows (n, ...), or a stream of fresh ones, ``(n, rng) -> (n, ...)``; ``held_out`` are
    rows that only judge. What is returned has the weights of the lowest held-out loss, without
    ``held_out`` the last ones.

    ``folder`` gets ``state.safetensors`` (to go on from), ``best.safetensors`` (the weights that are
    returned), ``loss.csv`` and ``loss.png``: mean losses in nats, of the rows trained on since the
    line before (in train mode) and of the held-out rows (in eval mode, with the same noise each
    time). Rows and noise depend on the seed and the step alone, so a run that was killed ends bit
    for bit as one that was not, on the same processor with the same number of threads.

    A run goes on with the recipe, objective, rows and precision it began with (``training.identity``);
    with the constant schedule ``steps`` may be more. Where it ends is a look, whatever
    ``evaluate_every`` says, which counts and stays in ``loss.csv`` if the run is prolonged.

    Under ``torchrun`` each process draws the whole batch and takes its share of the rows; the mean is
    that of the whole batch, and every process returns the same model. BatchNorm, however, sees the
    share alone, and its running statistics are those of the first process. PyTorch shares the
    gradients of all parameters: one that the loss does not use stops several processes with its
    RuntimeError "Expected to have finished reduction", and not a single one. Freeze it
    (``requires_grad_(False)``).

    Raises FloatingPointError where a loss, a weight or what Adam remembers is not finite (the last
    checkpoint is kept), and ValueError for too few rows, ``patience`` without ``held_out``, and a
    ``folder`` with another run; the weights are then as they were.
    """
    folder, batch = Path(folder), batches(data, recipe.batch_size, recipe.seed)
    if held_out is None and recipe.patience is not None:
        raise ValueError("held_out: patience needs held-out rows to judge by, got None")
    if held_out is not None:
        check_rows("held_out", held_out)
        if len(held_out) == 0:
            raise ValueError("held_out: expected at least one row, got none")
        if isinstance(data, Tensor) and held_out.shape[1:] != data.shape[1:]:
            expected, got = tuple(data.shape[1:]), tuple(held_out.shape[1:])
            raise ValueError(f"held_out: expected rows of shape {expected}, as those of data, got {got}")
    fabric = launch(device)
    rank, world, device = fabric.global_rank, fabric.world_size, fabric.device
    if recipe.batch_size < world:
        raise ValueError(f"batch_size: expected at least {world}, a row a process, got {recipe.batch_size}")

    adam = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    loss_sum, stepper = fabric.setup(SumOfLosses(model, objective, precision).train(), adam)
    parts = {"model": model, "adam": adam}
    judged = best = model
    if recipe.ema:
        judged = best = parts["average"] = copy.deepcopy(model).requires_grad_(False)
    if held_out is not None:
        best = parts["best"] = copy.deepcopy(model).requires_grad_(False)
    told = asdict(recipe) | {"precision": precision}
    of = {"objective": objective, "data": data, "held_out": held_out}
    told |= {name: identity(value, model) for name, value in of.items()}
    # A cosine knows from its first step how long it is.
    longer = "steps" if recipe.schedule == "constant" else None
    run = Progress(**resume(folder / "state.safetensors", parts, told, longer).get("progress", {}))
    started = time.monotonic() - run.seconds

    share = torch.zeros((), device=device)  # this process's part of the losses since the last look
    bar = tqdm(total=recipe.steps, initial=run.step, disable=not progress or rank > 0, leave=False)
    with bar, global_generators_kept(device):
        while not run.over(recipe):
            seed_dropout(recipe.seed, run.step, rank)
            rows = objective.draw(batch(run.step).to(device), noise(recipe.seed, run.step, device))
            if recipe.schedule == "cosine":
                adam.param_groups[0]["lr"] = recipe.learning_rate * one_cycle(run.step / recipe.steps, 0.0)
            adam.zero_grad()
            loss = loss_sum(*(row[rank::world] for row in rows)) / recipe.batch_size
            fabric.backward(loss * world)  # the processes' gradients are averaged, not summed
            if recipe.clip is not None:
                clip_grad_norm_(model.parameters(), recipe.clip)
            stepper.step()
            if recipe.ema:
                follow(judged, model, recipe.ema)
            share += loss.detach()
            run.step += 1
            run.loss_steps += 1
            bar.update()

            last = run.step == recipe.steps
            evaluate = last or run.step % recipe.evaluate_every == 0
            keep = last or run.step % recipe.checkpoint_every == 0
            if evaluate or keep or run.step % LOOK == 0:
                run.loss_sum += fabric.all_reduce(share, reduce_op="sum").item()
                share = torch.zeros((), device=device)
                when, losses = f"step {run.step} or shortly before", {"the model": run.loss_sum}
                check_finite(folder, when, losses, {"the model": model}, {"the model": adam})
                bar.set_postfix(loss=f"{run.loss_sum / run.loss_steps:.4g}")
            if evaluate:
                row = {"step": run.step, "loss": run.loss_sum / run.loss_steps}
                run.loss_sum, run.loss_steps = 0.0, 0
                share_buffers(judged, fabric)
                if held_out is not None:
                    row["held_out"] = loss_on(held_out, judged, objective, recipe, fabric)
                    if run.looked(row["held_out"]):
                        best.load_state_dict(judged.state_dict())
                if rank == 0:
                    append_row(folder / "loss.csv", **row)
            if rank == 0 and (keep or run.over(recipe)):
                run.seconds = time.monotonic() - started
                step = run.best_step or run.step
                checkpoints.save(folder / "best.safetensors", checkpoints.pack(model=best), step=step)
                meta = {"progress": asdict(run), "recipe": told, **circumstances(precision)}
                # Last, because it says that everything before it is whole.
                checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    if rank == 0:
        draw_losses(folder)
    fabric.barrier()
    model.load_state_dict(best.state_dict())
    return model.eval()


@torch.no_grad()
def loss_on(
    held_out: Tensor, model: nn.Module, objective: Objective, recipe: MLERecipe, fabric: "Fabric | OneDevice"
) -> float:
    """The mean loss of the held-out rows, in eval mode and float32, with the same noise at every call.

    Raises FloatingPointError where it is NaN; it may be infinite.
    """
    model.eval()
    total = torch.zeros((), device=fabric.device)
    for x, rng in held_out_batches(held_out, recipe.batch_size, recipe.seed, fabric.device):
        rows = [row[fabric.global_rank :: fabric.world_size] for row in objective.draw(x, rng)]
        if len(rows[0]):
            total += objective.loss(model, *rows).sum()
    model.train()
    mean = fabric.all_reduce(total, reduce_op="sum").item() / len(held_out)
    if math.isnan(mean):
        raise FloatingPointError(
            "the held-out loss is NaN; train with a lower learning rate in another folder"
        )
    return mean
