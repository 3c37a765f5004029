"""How fast submissions are graded, beside `nbgrader autograde` on the same notebooks in the same run.

    python -m benchmarks.grading [--submissions 24] [--workers 2] [--only overhead --only lab10 --only writer]

overhead: a lab whose cells take no time but import torch, so that what is compared is what each grader adds;
verdicts are compared between one worker, as many as asked for, and a dask scheduler of its own. lab10: the
REP-GAN lab, where nbgrader executes every cell and ganedu those that a verdict needs; then again with
`--execute all`. writer: 1,000 submissions whose examinations are on record already, so that only recording
and reporting are left. A third of the submissions has one wrong answer; no two are alike.

Each part is written to benchmarks/results/grading.{json,md} as it ends; lab10 takes half an hour.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import nbformat
import psutil
import typer
from nbformat import NotebookNode
from tqdm import tqdm

from benchmarks.files import RESULTS, machine, write_json, write_text
from ganedu.grading import course as courses
from ganedu.grading import examples, outcomes, release, report
from ganedu.grading.checks import LabChecks
from ganedu.grading.examine import Setup
from ganedu.grading.secret import course_secret
from tests.grading.mini_course import LAB as MINI
from tests.grading.mini_course import write_course

ROOT = Path(__file__).parents[1]
LAB10 = "lab10_rep_gan"
WRITTEN = 1000
HIDDEN = {  # nbgrader's way to ask what the tiny lab's checks ask
    "double_test": "x = torch.randn(7)\nassert torch.allclose(torch.as_tensor(double(x)), 2 * x, atol=1e-5)",
    "slope_test": "w = torch.randn(3)\ngot = slope(torch.randn(4, 3), lambda x: x @ w + 0.5)\n"
    "assert torch.allclose(torch.as_tensor(got), w.expand(4, 3), atol=1e-5)",
}
WRONG = {"double": "def double(x):\n    return x**2", "slope": "def slope(x, f):\n    return -f(x)"}
NBGRADER = """c = get_config()
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.py", "hidden"]
c.ExecutePreprocessor.timeout = 600
"""


class Part(StrEnum):
    overhead = "overhead"
    lab10 = "lab10"
    writer = "writer"


class Timed(NamedTuple):
    """Wall-clock seconds of a command, and the memory of the processes that graded, in MiB."""

    seconds: float
    largest: float  # the resident memory of the largest one
    together: float  # of all at once; pages that they share count once


def main(
    submissions: Annotated[int, typer.Option(min=2)] = 24,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    only: Annotated[list[Part] | None, typer.Option(help="One part; repeatable.")] = None,
) -> None:
    """Grade the same notebooks with both graders, in turn."""
    path = RESULTS / "grading.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for part in only or list(Part):
        with tempfile.TemporaryDirectory(prefix="ganedu-bench-") as folder:
            measured = PARTS[part](Path(folder), submissions, workers)
        found |= measured | {"machine": machine(), "cores": os.cpu_count()}
        write_json(path, found)
        write_text(path.with_suffix(".md"), page(found))
        print(json.dumps(measured, indent=1))


def overhead(folder: Path, submissions: int, workers: int) -> dict[str, Any]:
    ours, theirs = write_course(folder / "ours"), write_course(folder / "theirs")
    _as_nbgrader_would(theirs)
    _hand_in((ours, theirs), MINI, submissions, WRONG)
    plain = timed(nbgrader("autograde", MINI), theirs)
    once = timed(ganedu(MINI, "--workers", workers), ours)
    verdicts = [_verdicts(ours, MINI)]
    timed(ganedu(MINI, "--workers", 1, "--again"), ours)
    verdicts.append(_verdicts(ours, MINI))
    with dask_scheduler(folder, workers) as address:
        timed(ganedu(MINI, "--scheduler", address, "--again"), ours)
    verdicts.append(_verdicts(ours, MINI))
    return {
        "throughput_ratio_overhead": plain.seconds / once.seconds,
        "overhead": _figures(submissions, workers, nbgrader=plain, ganedu=once),
        "verdicts_identical": verdicts[0] == verdicts[1] == verdicts[2],
        "verdicts_compared": f"{workers} workers, 1 worker, a dask scheduler; {submissions} submissions",
    }


def lab10(folder: Path, submissions: int, workers: int) -> dict[str, Any]:
    roots = folder / "ours", folder / "theirs"
    for root in roots:
        shutil.copytree(ROOT / "solutions" / LAB10, root / "solutions" / LAB10)
        shutil.copy(ROOT / "nbgrader_config.py", root)
    ours, theirs = roots
    (theirs / "nbgrader_config.py").write_text(NBGRADER)
    _hand_in(roots, LAB10, submissions)
    once = timed(ganedu(LAB10, "--workers", workers), ours)
    verdicts = _verdicts(ours, LAB10)
    everything = timed(ganedu(LAB10, "--workers", workers, "--execute", "all"), ours)
    same = verdicts == _verdicts(ours, LAB10)
    plain = timed(nbgrader("autograde", LAB10), theirs)
    figures = _figures(submissions, workers, nbgrader=plain, ganedu=once, ganedu_execute_all=everything)
    return {
        "throughput_ratio_lab10": plain.seconds / once.seconds,
        "throughput_ratio_lab10_execute_all": plain.seconds / everything.seconds,
        "lab10": figures | {"verdicts_identical_when_all_is_executed": same},
    }


def writer(folder: Path, submissions: int, workers: int) -> dict[str, Any]:
    root = write_course(folder / "course")
    _hand_in((root,), MINI, 1, WRONG)
    timed(ganedu(MINI), root)
    course = courses.open_course(root, MINI)
    checks, released = course.checks_path(MINI), course.released_path(MINI)
    conditions = outcomes.conditions(checks.parent, course_secret(root), Setup(str(checks), str(released)))
    (first,) = (root / ".ganedu" / "outcomes" / MINI).glob("*.json")
    examined = first.read_text()
    notebook = course.submission("s000", MINI).read_text()
    for number in tqdm(range(1, WRITTEN), "synthetic submissions", unit="submission"):
        path = course.submission(f"s{number:03}", MINI)
        path.parent.mkdir(parents=True)
        path.write_text(notebook + " " * number)
        key = outcomes.key(conditions, path.read_bytes())
        first.with_name(f"{key}.json").write_text(examined)
    recorded = timed(ganedu(MINI), root)
    begun = time.monotonic()
    _, page = report(MINI, root, folder / "report")
    made = time.monotonic() - begun
    figures = {"submissions": WRITTEN, "seconds": recorded.seconds, "largest_process_mib": recorded.largest}
    opened = seconds_to_open(page)
    return {"writer": figures | {"report_made_seconds": made, "report_opens_seconds": opened}}


PARTS: dict[Part, Callable[[Path, int, int], dict[str, Any]]] = {
    Part.overhead: overhead,
    Part.lab10: lab10,
    Part.writer: writer,
}


def ganedu(lab: str, *options: object) -> list[str]:
    return [sys.executable, "-m", "ganedu", "grade", lab, *map(str, options)]


def nbgrader(*words: str) -> list[str]:
    return [sys.executable, "-m", "nbgrader", *words]


def timed(command: list[str], root: Path) -> Timed:
    """Run `command` in `root` to its end. RuntimeError, with its last words, if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    peaks = [0.0, 0.0]
    with (root / "log").open("w+") as log:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
        watch = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watch.start()
        code = process.wait()
        seconds = time.monotonic() - begun
        watch.join()
        log.seek(0)
        if code:
            raise RuntimeError(f"{' '.join(command)} ended with {code}: {log.read()[-1000:]}")
    print(f"{seconds:7.1f} s  {' '.join(command[1:])}", flush=True)
    return Timed(seconds, *(peak / 2**20 for peak in peaks))


def _watch(process: subprocess.Popen, peaks: list[float]) -> None:
    """The memory of the graders' own processes: what runs in a sandbox is a submission's and not theirs."""
    while process.poll() is None:
        largest = together = 0
        for one in _tree(process.pid):
            try:
                words = " ".join(one.cmdline())
                if "bwrap" not in words and "ganedu_guest" not in words and "ipykernel" not in words:
                    memory = one.memory_full_info()
                    largest, together = max(largest, memory.rss), together + memory.pss
            except psutil.Error:
                continue
        peaks[:] = max(peaks[0], largest), max(peaks[1], together)
        time.sleep(0.5)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def dask_scheduler(folder: Path, threads: int) -> Iterator[str]:
    """The address of a scheduler with one worker of so many threads, each a process of its own."""
    file = folder / "scheduler.json"
    words = ["--scheduler-file", str(file), "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    quiet |= {"env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    commands = (["scheduler", "--port", "0"], ["worker", "--nthreads", str(threads), "--nworkers", "1"])
    processes = [subprocess.Popen([sys.executable, "-m", "dask", *c, *words], **quiet) for c in commands]
    try:
        while not file.exists():
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def seconds_to_open(page: Path) -> float | None:
    """How long a browser takes to load and lay out a page; None where there is no browser."""
    browser = shutil.which("chromium")
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        begun = time.monotonic()
        window.goto(page.as_uri(), wait_until="load")
        window.evaluate("document.body.getBoundingClientRect().height")
        return time.monotonic() - begun


def _as_nbgrader_would(root: Path) -> None:
    """The tiny lab with hidden tests in its notebook, and nbgrader's own settings."""
    (root / "nbgrader_config.py").write_text(NBGRADER)
    path = root / "solutions" / MINI / f"{MINI}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if hidden := HIDDEN.get(cell.metadata.get("nbgrader", {}).get("grade_id")):
            cell.source += f"\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    notebook.cells = [cell for cell in notebook.cells if cell.id != "hour"]  # nbgrader would run it
    nbformat.write(notebook, path)


def _hand_in(
    roots: tuple[Path, ...], lab: str, submissions: int, wrong: dict[str, str] | None = None
) -> None:
    """Release the lab in each course, and hand in the same notebooks everywhere."""
    release(lab, roots[0])
    for root in roots[1:]:
        timed(nbgrader("generate_assignment", lab), root)
    course = courses.open_course(roots[0], lab)
    checks, released = course.checks(lab), course.released(lab)
    for number in range(submissions):
        notebook = nbformat.writes(_submission(released, checks, number, wrong))
        for root in roots:
            path = root / "submitted" / f"s{number:03}" / lab / f"{lab}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(notebook)


def _submission(
    released: NotebookNode, checks: LabChecks, number: int, wrong: dict[str, str] | None
) -> NotebookNode:
    answers = dict(checks.reference)
    if number % 3 == 2:
        functions = sorted(wrong or checks.wrong)
        function = functions[number // 3 % len(functions)]
        known = [wrong[function]] if wrong else list(checks.wrong[function].values())
        answers[function] = known[number % len(known)]
    return examples.answered(released, {name: f"{text}\n# {number}\n" for name, text in answers.items()})


def _verdicts(root: Path, lab: str) -> dict[str, Any]:
    results = (root / ".ganedu" / "results" / lab).glob("*.json")
    return {path.name: json.loads(path.read_text())["checks"] for path in results}


def _figures(submissions: int, workers: int, **runs: Timed) -> dict[str, Any]:
    figures: dict[str, Any] = {"submissions": submissions, "workers": workers}
    for name, run in runs.items():
        figures[f"{name}_seconds"] = run.seconds
        figures[f"{name}_largest_process_mib"] = run.largest
        figures[f"{name}_memory_together_mib"] = run.together
    return figures


def page(found: dict[str, Any]) -> str:
    """The figures as a page of Markdown."""
    lines = ["# Grading beside nbgrader", "", f"{found['machine']}, {found['cores']} cores.", ""]
    lines += ["| lab | grader | submissions | seconds | a submission | largest process | together |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    names = {
        "nbgrader": "nbgrader autograde",
        "ganedu": "ganedu grade",
        "ganedu_execute_all": "ganedu grade --execute all",
    }
    for part in (Part.overhead, Part.lab10):
        figures = found.get(part, {})
        for name, words in names.items():
            if f"{name}_seconds" in figures:
                seconds, n = figures[f"{name}_seconds"], figures["submissions"]
                memory = (figures[f"{name}_{kind}_mib"] for kind in ("largest_process", "memory_together"))
                cells = (
                    part,
                    words,
                    n,
                    f"{seconds:.1f}",
                    f"{seconds / n:.2f} s",
                    *(f"{m:.0f} MiB" for m in memory),
                )
                lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [""]
    for key, value in found.items():
        if key.startswith("throughput_ratio"):
            lines.append(f"- `{key}`: {value:.2f}")
    if "verdicts_identical" in found:
        same = "identical" if found["verdicts_identical"] else "NOT identical"
        lines.append(f"- Verdicts are {same} between {found['verdicts_compared']}.")
    if figures := found.get(Part.writer):
        opens = figures["report_opens_seconds"]
        opened = "not tried without a browser" if opens is None else f"opens in {opens:.2f} s"
        lines.append(
            f"- {figures['submissions']:,} submissions that were examined before: recorded in "
            f"{figures['seconds']:.0f} s; the report is made in {figures['report_made_seconds']:.1f} s "
            f"and {opened}."
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
