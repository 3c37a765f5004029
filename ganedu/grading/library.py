"""What of ganedu a submission finds: the guest, `ganedu.check` and the modules that its lab allows."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import ganedu

GUEST = Path(__file__).parent / "guest"
ALWAYS = ("ganedu.check",)


def visible(allow: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """(file or folder here, its name in the library) for the guest and every allowed module of ganedu.

    "ganedu.nets" is one file; "ganedu.gans" is that package with all below it; "ganedu.samplers.langevin" is
    one file in a package whose own code stays hidden. Raises ValueError for a module that is not there.
    """
    root = Path(ganedu.__file__).parent
    yield GUEST, "ganedu_guest"
    yield root / "__init__.py", "ganedu/__init__.py"
    for module in dict.fromkeys((*ALWAYS, *allow)):
        first, *rest = module.split(".")
        place = root.joinpath(*rest)
        if first != "ganedu" or not rest or rest[0] == "grading":
            raise ValueError(f"allow: got {module!r}, expected a module of ganedu outside ganedu.grading")
        if place.is_dir():
            yield place, "/".join(("ganedu", *rest))
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py"), "/".join(("ganedu", *rest)) + ".py"
        else:
            raise ValueError(f"allow: there is no module {module!r}")


def copy_library(folder: Path, allow: Iterable[str]) -> Path:
    """A copy in `folder` of what the lab allows, and of matplotlib's index of fonts, which is slow to build.

    A copy, for a list of mounts shows where they come from: a checkout, a HOME.
    """
    import matplotlib

    library = folder / "library"
    (library / "fonts").mkdir(parents=True)
    for source, name in visible(allow):
        place = library / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, place)
    cache = Path(matplotlib.get_cachedir())
    if not any(cache.glob("fontlist-*.json")):
        import matplotlib.font_manager  # which makes it
    for index in cache.glob("fontlist-*.json"):
        shutil.copy2(index, library / "fonts")
    for path in (library, *library.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return library
