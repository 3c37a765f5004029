"""What the commands share: errors in one line, names checked against the known ones, tables."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

PLAIN = {"add_completion": False, "no_args_is_help": True, "rich_markup_mode": None}

Device = Annotated[str, typer.Option(help="auto (the GPU where there is one), cpu, cuda, cuda:1 ...")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on the standard output, and nothing else.")]


@contextmanager
def one_line_errors(on_interrupt: str = "") -> Iterator[None]:
    """What a user can mend ends in one line and exit code 2; a bug keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nganedu: stopped. {on_interrupt}".rstrip(), err=True)
        raise typer.Exit(130) from None
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not type(error).__module__.startswith("ganedu."):
            raise  # torch's, and nothing that a user can mend
        typer.echo("ganedu: " + visible(" ".join(str(error).split())), err=True)
        raise typer.Exit(2) from None


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """``name``, or a ValueError that lists the names there are."""
    if name not in names:
        raise ValueError(f"{kind}: there is no {name!r}; known: {', '.join(sorted(names)) or 'none'}")
    return name


def usable_device(name: str) -> "torch.device":
    """Raises ValueError where torch knows no such device or finds none."""
    import torch

    from ganedu.training import pick_device

    try:
        device = pick_device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        if why.startswith("Expected one of"):  # two dozen names, of which hardly anyone has one
            why = "torch knows cpu, cuda, mps, xpu and rarer ones"
        raise ValueError(f"device: {name!r} can not be used here ({why})") from error
    return device


def watched() -> bool:
    """Whether the standard error is a terminal: in a file or a pipe nobody watches a bar of progress."""
    return sys.stderr.isatty()


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; nothing is cut off, and no cell can steer the terminal."""
    lines = [[visible(cell) for cell in line] for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def visible(text: str) -> str:
    """Control characters as escapes: names of students' folders and files are not ours."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
