"""``ganedu train``: an entry of the zoo, afresh."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ganedu.cli.shell import Device, known, one_line_errors, usable_device


def train(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A recipe of the zoo, e.g. digits-vae or cifar10-dcgan.")
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
        from ganedu.data import cache_dir
        from ganedu.training import is_first
        from ganedu.zoo.recipes import RECIPES

        make, recipe = RECIPES[known("recipe", name, RECIPES)]
        recipe = longer(recipe, name, epochs=epochs, steps=steps)
        folder = out or cache_dir() / "runs" / name
        make(folder, recipe, device=usable_device(device), precision=precision)
        if is_first():
            print(*sorted(folder.iterdir()), sep="\n")


def longer(recipe: Any, name: str, **lengths: int | None) -> Any:
    """``recipe`` with the length that was asked for. ValueError where it is counted otherwise."""
    counted = {field.name for field in fields(recipe)} & lengths.keys()
    asked = {unit: length for unit, length in lengths.items() if length is not None}
    for unit in asked.keys() - counted:
        raise ValueError(f"--{unit}: the length of {name} is set by --{', --'.join(counted)}")
    return replace(recipe, **asked)
