"""``ganedu train``: an entry of the zoo, afresh."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ganedu.cli.shell import Device, known, one_line_errors, usable_device

PRECISIONS = ("float32", "bfloat16")


def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="digits-vae, digits-flow, mnist-vae, cifar10-dcgan or cifar10-classifier."
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data, of a GAN or classifier.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches, of a VAE or flow.")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="By default in the cache.")] = None,
) -> None:
    """Train an entry of the zoo; run it again to go on after a stop.

    How long is the recipe's to say, unless --epochs or --steps does. What is trained can be trained for
    longer, but for a classifier, whose learning rate ends at zero. VAEs and flows can be trained by
    several processes, which share the rows of every batch.

    \b
    Examples:
      ganedu train digits-vae --out build/digits-vae
      torchrun --nproc_per_node 2 -m ganedu train mnist-vae
    """
    with one_line_errors("Run the same command again: it goes on from the last checkpoint."):
        known("precision", precision, PRECISIONS)
        from ganedu.data import cache_dir
        from ganedu.training import is_first
        from ganedu.zoo.recipes import RECIPES

        make, recipe = RECIPES[known("recipe", name, RECIPES)]
        recipe = longer(recipe, name, epochs=epochs, steps=steps)
        folder = out or cache_dir() / "runs" / name
        where = usable_device(device)
        if not is_first():
            make(folder, recipe, device=where, precision=precision)
            return
        with alone_in(folder):
            make(folder, recipe, device=where, precision=precision)
        print(*sorted(folder.iterdir()), sep="\n")
        typer.echo(came_to(folder, recipe), err=True, nl=False)


def longer(recipe: Any, name: str, **lengths: int | None) -> Any:
    """``recipe`` with the length that was asked for. ValueError where it is counted otherwise."""
    counted = {field.name for field in fields(recipe)} & lengths.keys()
    asked = {unit: length for unit, length in lengths.items() if length is not None}
    for unit in asked.keys() - counted:
        raise ValueError(f"--{unit}: the length of {name} is set by --{', --'.join(counted)}")
    return replace(recipe, **asked)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """``folder``, made where it is missing, for this run and no other: both would write the same files.

    Raises ValueError, before the first step, where nothing can be written to it or another training is in
    it, and where a checkpoint is damaged or the disk is full.
    """
    from safetensors import SafetensorError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"--out: can not write to {folder} ({error.strerror})") from error
    lock = _locked(folder)
    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{folder}: weights could not be read or written ({error})") from error
    finally:
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on ``folder``, which goes with the process however it ends; None where there are no locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ValueError(f"--out: another training is writing to {folder}; name another folder") from None
    except OSError:  # a file system without locks
        pass
    return lock


def came_to(folder: Path, recipe: Any) -> str:
    """How far the run of a VAE or flow is, which of its weights were kept, and what to do with them."""
    from ganedu import checkpoints
    from ganedu.training import MLERecipe

    if not isinstance(recipe, MLERecipe):
        return ""
    run = checkpoints.load(folder / "state.safetensors")[1]["progress"]
    end = f"step {run['step']}"
    if run["step"] > recipe.steps:
        end += f", past the {recipe.steps} asked for"
    elif run["step"] < recipe.steps:
        end += f" of {recipe.steps}: {run['stale']} looks in a row saw no lower held-out loss"
    best = f"step {run['best_step']}: lowest held-out loss, {run['best_loss']:.4g} in loss.csv"
    return f"Trained to {end}.\nKept the weights of {best}.\nIts likelihood: ganedu evaluate {folder}\n"
