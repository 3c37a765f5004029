"""Hashes of what a verdict depends on: code, versions, the files of a lab."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import ganedu

PACKAGES = ("torch", "numpy", "ipykernel", "ipython", "safetensors", "nbformat")


@cache
def environment() -> tuple[str, ...]:
    """Versions of Python and of what a submission is run with, and a hash of this package's code."""
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    return (sys.version, *versions, of_folder(Path(ganedu.__file__).parent))


def of_folder(folder: Path) -> str:
    """A hash of the names and contents of all Python files and notebooks in `folder` and below."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".ipynb"))
    names = (str(path.relative_to(folder)) for path in files)
    contents = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("\n".join((*names, *contents)).encode()).hexdigest()
