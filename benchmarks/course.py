"""How long the computer takes for each lecture and each solved lab.

    python -m benchmarks.course [--only 08 --only lab09]

A fresh kernel on two threads runs all cells of a notebook, one notebook after the other; nothing else should
be at work. Writes benchmarks/results/course.json and course.md; `ganedu handbook` quotes them to the
instructor. `--only` measures these again and keeps the other rows.
"""

import json
import os
import resource
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import nbformat
import torch
import typer
from tqdm import tqdm

from benchmarks.files import RESULTS, machine, write_json, write_text
from ganedu.teaching.slides import run

ROOT = Path(__file__).parents[1]
THREADS = 2


def main(
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="What a name begins with.")] = None,
) -> None:
    """Run every lecture and every solved lab, and write how long they took."""
    os.environ |= {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}  # kernels inherit them
    torch.set_num_threads(THREADS)
    paths = [*sorted(ROOT.glob("lectures/*.ipynb")), *sorted(ROOT.glob("solutions/*/*.ipynb"))]
    chosen = [path for path in paths if path.stem.startswith(tuple(only or ("",)))]
    found = {named(path): measure(path) for path in tqdm(chosen, desc="notebooks")}
    before = json.loads((RESULTS / "course.json").read_text())["notebooks"] if only else {}
    notebooks = {named(path): (before | found).get(named(path)) for path in paths}
    result = {"machine": machine(), "notebooks": {name: row for name, row in notebooks.items() if row}}
    print(write_json(RESULTS / "course.json", result))
    print(write_text(RESULTS / "course.md", page(result)))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def measure(path: Path) -> dict:
    """Seconds of all cells and of the longest, the kernel's start with them; seconds of the processors."""
    used, started = processors(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        notebook = run(nbformat.read(path, as_version=4), Path(folder))
    seconds = time.perf_counter() - started
    times = {cell.id: lasted(cell) for cell in notebook.cells if cell.cell_type == "code"}
    longest = max(times, key=times.get)
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(processors() - used, 1),
        "longest_cell": longest,
        "longest_seconds": round(times[longest], 1),
    }


def processors() -> float:
    """Seconds that both processors together have spent on kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lasted(cell: nbformat.NotebookNode) -> float:
    begin, end = (
        datetime.fromisoformat(cell.metadata.execution[event].replace("Z", "+00:00"))
        for event in ("iopub.execute_input", "shell.execute_reply")
    )
    return (end - begin).total_seconds()


def page(result: dict) -> str:
    rows = [
        f"| `{name}` | {row['seconds']:.0f} | {row['processor_seconds']:.0f} | `{row['longest_cell']}` "
        f"| {row['longest_seconds']:.0f} |"
        for name, row in result["notebooks"].items()
    ]
    return "\n".join(
        [
            "# How long the notebooks take",
            "",
            f"Seconds, in a fresh kernel on {result['machine']}; by `python -m benchmarks.course`.",
            "",
            "| notebook | seconds | of all processors | the longest cell | seconds |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    typer.run(main)
