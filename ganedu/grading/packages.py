"""Which of the installed packages a kernel may see: those that a lab lists, with all that they require."""

from __future__ import annotations

import re
import site
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

KERNEL = ("ipykernel", "torch", "numpy", "safetensors", "matplotlib")  # what it runs on, and how it draws


def folders() -> list[Path]:
    """The folders here that Python imports packages from, links resolved."""
    named = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    found = {Path(path).resolve() for path in (*named, *site.getsitepackages([sys.prefix, sys.base_prefix]))}
    return sorted(path for path in found if path.is_dir())


@cache
def entries(packages: tuple[str, ...]) -> tuple[Path, ...]:
    """The files and folders of `packages`, of what they require, and of what a kernel runs on.

    A folder that several packages share (a namespace) is given by what each has in it. Raises ValueError for
    a package that is not installed, or that did not record its files.
    """
    installed = {_normal(d.name): d for d in reversed(list(distributions())) if _place(d) in folders()}
    for name in packages:
        if _normal(name) not in installed:
            raise ValueError(f"packages: {name!r} is not installed")
    wanted = _closure((*packages, *KERNEL), installed) - {"ganedu"}  # a lab allows its modules one by one
    theirs = {parts[0] for name in installed.keys() - wanted for parts in _files(installed[name])}
    return tuple(sorted({place for name in wanted for place in _shown(installed[name], theirs)}))


def _closure(names: Iterable[str], installed: dict[str, Distribution]) -> set[str]:
    """`names` with all that they require, normalized, as far as it is installed."""
    queue = [(_normal(name), frozenset({""})) for name in names]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, extras = item = queue.pop()
        if name not in installed or item in seen:
            continue
        seen.add(item)
        for line in installed[name].requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                queue.append((_normal(needed.name), frozenset({"", *needed.extras})))
    return {name for name, _ in seen}


def _shown(distribution: Distribution, theirs: set[str]) -> Iterator[Path]:
    """The largest files and folders that hold `distribution` and nothing of a package that is not shown."""
    files = list(_files(distribution))
    if not files:
        raise ValueError(f"packages: {distribution.name} has no record of its files; install it with pip")
    for parts in {parts[: 2 if parts[0] in theirs else 1] for parts in files}:
        place = _place(distribution).joinpath(*parts)
        if place.exists():
            yield place


def _files(distribution: Distribution) -> Iterator[tuple[str, ...]]:
    """The paths of its files in the folder of packages; programs and data outside of it are left out."""
    for file in distribution.files or ():
        if file.parts[0] != ".." and not file.is_absolute():
            yield file.parts


def _place(distribution: Distribution) -> Path:
    return Path(distribution.locate_file("")).resolve()


def _normal(name: str) -> str:
    """As the packaging standard compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
