"""What a training leaves in its folder, so that it can be stopped at any moment and gone on with."""

import csv
import math
from dataclasses import asdict
from pathlib import Path

from ganedu import checkpoints


def resume(path: Path, parts: dict, recipe) -> tuple[int, float]:
    """(first epoch to train, seconds so far); fills ``parts`` from ``path`` where it exists."""
    if not path.exists():
        return 0, 0.0
    tensors, meta = checkpoints.load(path)
    then = {k: v for k, v in meta["recipe"].items() if k != "epochs"}
    now = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(recipe).items() if k != "epochs"}
    if then != now:
        raise ValueError(
            f"{path.parent}: holds a run with {then}, not {now}; remove it or name another folder"
        )
    checkpoints.unpack(tensors, **parts)
    return meta["epoch"] + 1, meta["seconds"]


def check_losses(epoch: int, folder: Path, **losses: float) -> None:
    if not all(math.isfinite(loss) for loss in losses.values()):
        shown = ", ".join(f"{name} {loss}" for name, loss in losses.items())
        raise FloatingPointError(
            f"epoch {epoch}: the loss is not finite ({shown}); the epochs before it are kept in {folder}. "
            "Lower the learning rate and train in another folder"
        )


def append_row(path: Path, **row: float) -> None:
    """Add a row; one of the same epoch, left by a run that was cut short after it, is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if int(old["epoch"]) < row["epoch"]]
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([*rows, row])
    part.replace(path)
