"""A lecture as reveal.js slides that need no network: run, exported, its scripts and fonts beside it.

nbconvert makes the slides. reveal.js comes out of the package sphinx-revealjs and MathJax out of
jupyter-server-mathjax, of which we take the files and import nothing.
"""

import shutil
from collections.abc import Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nbformat import NotebookNode

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"


class Assets(NamedTuple):
    """Files of a package that slides load: its module, their folder in it, the name they get, and which."""

    package: str
    module: str
    folder: str
    name: str
    patterns: tuple[str, ...]


ASSETS = (
    Assets(
        package="sphinx-revealjs",
        module="sphinx_revealjs",
        folder="_static/revealjs",
        name="reveal.js",
        patterns=(
            "LICENSE",
            "dist/reveal.js",
            "dist/reveal.css",
            "dist/theme/white.css",
            "dist/theme/fonts/source-sans-pro/*",
            "plugin/notes/notes.js",
        ),
    ),
    Assets(
        package="jupyter-server-mathjax",
        module="jupyter_server_mathjax",
        folder="static",
        name="mathjax",
        patterns=(
            "LICENSE",
            "MathJax.js",
            "config/*.js",
            "extensions/*.js",
            "extensions/TeX/*.js",
            "extensions/HTML-CSS/*.js",
            "jax/**/mml/**/*.js",
            "jax/input/TeX/*.js",
            "jax/output/HTML-CSS/**/*.js",
            "fonts/HTML-CSS/STIX-Web/woff/*.woff",
        ),
    ),
)


def find(name: str, root: Path) -> Path:
    """The lecture that is called ``name`` ("08_markov_chains") or has this number ("08", "8").

    Raises ValueError where there is none.
    """
    known = sorted((root / "lectures").glob("*.ipynb"))
    for path in known:
        number = path.stem.split("_")[0]
        if name in (path.stem, number, number.lstrip("0")):
            return path
    names = ", ".join(path.stem for path in known) or "none: lectures/ is empty"
    raise ValueError(f"lecture: there is no {name!r}; known: {names}")


def run(notebook: "NotebookNode", folder: Path) -> "NotebookNode":
    """A copy of ``notebook`` with the outputs of a fresh kernel that is started in ``folder``.

    Raises ValueError where a cell fails, with the cell's id and the error's last line.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    copy = deepcopy(notebook)
    resources = {"metadata": {"path": str(folder)}}
    quiet = ["--IPKernelApp.log_level=ERROR"]  # it warns that it runs on TCP, which everybody's does
    options = {"timeout": 600, "resources": resources, "store_widget_state": False, "extra_arguments": quiet}
    client = NotebookClient(copy, **options)
    try:
        client.execute()
    except CellExecutionError as error:
        failed = [c.id for c in copy.cells if any(o.output_type == "error" for o in c.get("outputs", ()))]
        raise ValueError(f"cell {', '.join(failed)}: {error.ename}: {error.evalue}") from error
    return copy


def still(notebook: "NotebookNode") -> "NotebookNode":
    """A copy of ``notebook`` for a page where nothing moves: demos as pictures, no progress bars."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _moves(output)]
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
    notebook.metadata.pop("widgets", None)
    return notebook


def _moves(output: "NotebookNode") -> bool:
    data = output.get("data", {})
    return output.get("name") == "stderr" or (WIDGET in data and "image/png" not in data)


def export(notebook: "NotebookNode", title: str) -> str:
    """The page of slides of a notebook that has been run; it loads what ``copy_assets`` puts beside it."""
    from nbconvert import SlidesExporter

    notebook = still(notebook)
    notebook.metadata.title = title
    exporter = SlidesExporter(
        raw_template=(HERE / "slides.html.j2").read_text(encoding="utf-8"),
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
    )
    page, _ = exporter.from_notebook_node(notebook)
    return page


def copy_assets(out: Path) -> None:
    """Put reveal.js and MathJax beside the slides in ``out``. ValueError where a package is missing."""
    for assets in ASSETS:
        spec = find_spec(assets.module)
        if spec is None:
            raise ValueError(
                f"{assets.package} is not installed; run: pip install -c constraints.txt -e '.[slides]'"
            )
        folder = Path(spec.submodule_search_locations[0]) / assets.folder
        for path in _files(folder, assets.patterns):
            target = out / assets.name / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _files(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        found = [path for path in folder.glob(pattern) if path.is_file()]
        if not found:
            raise ValueError(f"{folder} has no {pattern}: another version of the package than we know")
        yield from found


def slides(lecture: Path, out: Path) -> Path:
    """Run ``lecture`` and write ``out/NAME.html``; returns its path. Raises ValueError where a cell fails."""
    import nbformat

    copy_assets(out)
    notebook = run(nbformat.read(lecture, as_version=4), lecture.parent)
    return write(notebook, lecture.stem, out)


def write(notebook: "NotebookNode", name: str, out: Path) -> Path:
    """The slides of a notebook that has been run, as ``out/NAME.html``; renamed into place when whole."""
    path, part = out / f"{name}.html", out / f"{name}.html.part"
    part.write_text(export(notebook, name.replace("_", " ")), encoding="utf-8")
    return part.replace(path)
