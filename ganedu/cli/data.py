"""``ganedu data``: what there is, where it lies, how to get it."""

from typing import Annotated

import typer

from ganedu.cli.shell import PLAIN, one_line_errors, print_table

app = typer.Typer(help="Data sets: what there is, where it lies, how to get it.", **PLAIN)


@app.command("list")
def list_() -> None:
    """Every data set by name, and where it lies."""
    from ganedu.data import available

    print_table(("name", "holds", "where"), available())


@app.command()
def get(name: Annotated[str, typer.Argument(metavar="NAME", help="e.g. cifar10")]) -> None:
    """Say where a data set lies; download it first where it is not here yet.

    $GANEDU_DATA is looked at before anything is downloaded.
    """
    with one_line_errors("Run the same command again: the download goes on where it stopped."):
        from ganedu.data import get

        print(get(name))
