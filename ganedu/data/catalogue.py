"""What can be had by name: what there is, where it lies, how to get it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ganedu.data.cifar10 import get as get_cifar10
from ganedu.data.cifar10 import locate as locate_cifar10
from ganedu.data.digits import locate as locate_digits
from ganedu.data.inception import get as get_inception
from ganedu.data.inception import locate as locate_inception
from ganedu.data.mnist import get as get_mnist
from ganedu.data.mnist import locate as locate_mnist


class _Source(NamedTuple):
    size: str
    locate: Callable[[], Path | None]
    get: Callable[[], Path]


SOURCES = {
    "cifar10": _Source("60,000 images 3x32x32, 170 MB", locate_cifar10, get_cifar10),
    "mnist": _Source("70,000 digits 1x28x28, 12 MB", locate_mnist, get_mnist),
    "digits": _Source("1,797 digits 1x8x8, bundled", locate_digits, locate_digits),
    "inception": _Source("weights for FID (extra ganedu[inception]), 96 MB", locate_inception, get_inception),
}


class Entry(NamedTuple):
    """One line of ``ganedu data list``."""

    name: str
    size: str
    where: str


def available() -> list[Entry]:
    """Every named data set: its size, and the folder that holds it or the command that fetches it."""
    return [
        Entry(name, source.size, str(source.locate() or f"not here; run: ganedu data get {name}"))
        for name, source in SOURCES.items()
    ]


def get(name: str) -> Path:
    """The folder of a named data set, downloaded and checked where it is not here yet.

    Raises ValueError for an unknown name, and whatever ``files.download`` raises.
    """
    if name not in SOURCES:
        raise ValueError(f"name: expected one of {', '.join(SOURCES)}, got {name!r}")
    return SOURCES[name].get()
