"""What students get: labs, lectures, the library and how to install it, in a folder or a zip of stable bytes.

Only what is named here goes in, and of that only what git knows: a gradebook, a submission or a stray
file is in neither list.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ganedu.grading.course import CONFIG

NAME = "ganedu-course"  # the folder in the zip
FILES = ("environment.yml", "constraints.txt", "pyproject.toml", "LICENSE")
FOLDERS = ("labs", "lectures", "ganedu")
KINDS = ("*.py", "*.ipynb", "*.json", "*.safetensors", "*.md", "*.txt", "*.csv", "*.png", "*.npz")
# The instructor's side of the library. A command whose module is absent is not listed in `ganedu --help`.
WITHHELD = (
    "ganedu/grading/*",
    "ganedu/teaching/*",
    "ganedu/demo.py",
    "ganedu/cli/course.py",
    "ganedu/cli/grading.py",
    "ganedu/cli/pages.py",
    "ganedu/cli/teaching.py",
)
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
README = """# The course: what you need to work on your own machine

1. Install Python 3.11 or newer, open a terminal in this folder, and make an environment:

       python -m venv .venv
       . .venv/bin/activate            # Windows: .venv\\Scripts\\activate
       pip install --constraint constraints.txt --editable .

   With conda instead: `conda env create -f environment.yml` and `conda activate ganedu`.

2. Open a lab: `jupyter lab labs/`. Write where it says YOUR CODE HERE and run the cell below it.

3. Hand in the notebook under the name that it has. Cells that you add are kept; names of cells must stay.

`ganedu --help` shows what else there is: data sets, trained networks, samplers; `ganedu/` is for reading.

In here:

{contents}
"""


def bundle(labs: Iterable[str] = (), root: Path = Path("."), out: Path | None = None) -> Path:
    """Write what students get of `labs` (all that are released, if empty) to `out`, and return its path.

    `out` ends in .zip or is a folder that does not exist yet or is empty. The same files give the same bytes.
    Raises ValueError where `root` is no course, a lab is not released, or `out` is taken.
    """
    root, labs = Path(root).resolve(), list(labs)
    out = root / "build" / f"{NAME}.zip" if out is None else Path(out)
    if not (root / CONFIG).is_file():
        raise ValueError(f"root: there is no {CONFIG} in {root}")
    if out.suffix != ".zip" and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out: {out} is taken; expected a name that ends in .zip, or an empty folder")
    content = contents(root, labs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=out.parent) as draft:
        if out.suffix == ".zip":
            _zip(content, Path(draft) / "bundle.zip")
            os.replace(Path(draft) / "bundle.zip", out)
        else:
            _folder(content, Path(draft) / NAME)
            if out.exists():
                out.rmdir()
            shutil.move(Path(draft) / NAME, out)
    return out


def contents(root: Path, labs: Iterable[str] = ()) -> dict[str, bytes]:
    """What the bundle holds: bytes by the name they have in it, sorted."""
    released = sorted(
        path.name for path in (root / "labs").glob("*/") if (path / f"{path.name}.ipynb").is_file()
    )
    labs = sorted(set(labs)) or released
    if missing := sorted(set(labs) - set(released)):
        known = ", ".join(released) or "none"
        raise ValueError(f"labs: not released: {', '.join(missing)}; released: {known}")
    folders = [f"labs/{lab}" for lab in labs] + [folder for folder in FOLDERS if folder != "labs"]
    names = [name for name in known_files(root) if _given(name, folders)]
    if lost := sorted(lab for lab in labs if f"labs/{lab}/{lab}.ipynb" not in names):
        raise ValueError(f"labs: {', '.join(lost)}: released and not in git; commit labs/ first")
    content = {name: (root / name).read_bytes() for name in names}
    content["README.md"] = README.format(contents=_listed(content)).encode()
    return dict(sorted(content.items()))


def known_files(root: Path) -> list[str]:
    """The regular files of a course by their names in it: those in git, where there is git.

    Links are left out: what they lead to may be anything.
    """
    command = ["git", "-C", str(root), "ls-files", "--cached", "-z"]
    done = subprocess.run(command, capture_output=True, text=True) if (root / ".git").exists() else None
    if done is not None and done.returncode == 0:
        names = done.stdout.split("\0")
    else:  # a copy of the course without its history
        folders = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
        names = [path.relative_to(root).as_posix() for path in folders] + list(FILES)
    return sorted(n for n in names if n and (root / n).is_file() and not (root / n).is_symlink())


def _given(name: str, folders: list[str]) -> bool:
    if name in FILES:
        return True
    here = any(name.startswith(f"{folder}/") for folder in folders)
    hidden = any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))
    withheld = any(fnmatch.fnmatchcase(name, pattern) for pattern in WITHHELD)
    return here and not hidden and not withheld and any(fnmatch.fnmatchcase(name, kind) for kind in KINDS)


def _listed(content: dict[str, bytes]) -> str:
    notebooks = [name for name in sorted(content) if name.endswith(".ipynb")]
    return "\n".join(f"- `{name}`" for name in [*notebooks, "ganedu/", *(n for n in FILES if n in content)])


def _zip(content: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            member = zipfile.ZipInfo(f"{NAME}/{name}", TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, data, compresslevel=6)


def _folder(content: dict[str, bytes], path: Path) -> None:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
