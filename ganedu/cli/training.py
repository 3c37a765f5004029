"""``ganedu train``: an entry of the zoo, afresh."""

from pathlib import Path
from typing import Annotated

import typer

from ganedu.cli.shell import Device, known, one_line_errors, usable_device


def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe of the zoo, e.g. cifar10-dcgan.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data; by default the recipe's.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="By default in the cache.")] = None,
) -> None:
    """Train an entry of the zoo; run it again to go on after a stop, or with more --epochs."""
    with one_line_errors("Run the same command again: it goes on from the last whole epoch."):
        from ganedu.data import cache_dir
        from ganedu.zoo.recipes import RECIPES

        make, recipe = RECIPES[known("recipe", name, RECIPES)]
        recipe = recipe() if epochs is None else recipe(epochs=epochs)
        folder = out or cache_dir() / "runs" / name
        make(folder, recipe, device=usable_device(device), precision=precision)
        print(*sorted(folder.iterdir()), sep="\n")
