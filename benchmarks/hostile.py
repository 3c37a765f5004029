"""The corpus of hostile and noisy submissions, given to this grader, to plain nbgrader and to otter.

    python -m benchmarks.hostile [--otter PYTHON] [--only WORDS] [--at-once N] [--resume]

Every entry states what it deserves (tests/grading/corpus). Undeserved points are what it got beyond that, and
what a student graded after it got for wrong answers; lost points are right answers without points, its own
(unless its own sabotage cost them) or the next student's. The two other graders run in a sandbox of the
benchmark's own, an entry each; most of their time is waiting for entries that never end. Writes
benchmarks/results/hostile.{json,md}; needs bubblewrap.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks import graders
from benchmarks.files import RESULTS, machine, write_json, write_text
from benchmarks.graders import Finding
from ganedu.grading import release, results
from ganedu.grading.sandbox import DEFAULTS
from tests.grading.corpus import HOSTILE, NOISY, exhaust, kernels, places
from tests.grading.corpus.entry import FUNCTIONS, RIGHT, Entry, answered, files, write
from tests.grading.mini_course import LAB, ROOT, released, write_course
from tests.grading.run_corpus import groups

GRADERS = ("ours", "nbgrader", "otter")
KEPT = RESULTS / "hostile"  # what each grader made of each entry: `--resume` goes on from there
# Entries that could reach whoever is graded after them; the others are given to nbgrader alone.
REACHING = {entry.name for module in (kernels, places, exhaust) for entry in module.ENTRIES}
HONEST = "prose added"  # right, and as plain as they come
GREEDY = {entry.name for entry in exhaust.ENTRIES}
NO_OTTER = """otter is not compared: give --otter PYTHON of an environment that has it, made by
    python -m venv otter && otter/bin/pip install otter-grader torch numpy matplotlib tqdm ipywidgets"""


def main(
    otter: Annotated[Path | None, typer.Option(help="Python of an environment with otter-grader.")] = None,
    only: Annotated[str, typer.Option(help="A regular expression that an entry's name has to match.")] = "",
    at_once: Annotated[int, typer.Option(min=1, help="Entries at a time for nbgrader and otter.")] = 1,
    resume: Annotated[bool, typer.Option(help="Keep what an earlier run has found.")] = False,
) -> None:
    """Grade the corpus three times and compare."""
    entries = [entry for entry in [*HOSTILE, *NOISY] if re.search(only, entry.name)]
    if not entries:
        raise typer.BadParameter(f"no entry matches {only!r}", param_hint="--only")
    found: dict[str, dict[str, Finding]] = {"ours": ours(entries, resume)}
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "nbgrader"
        clean = graders.nbgrader_course(course)
        honest = next(entry for entry in NOISY if entry.name == HONEST)
        works("nbgrader", honest, graders.nbgrader(honest, course, clean, followed=False))
        found["nbgrader"] = each(
            "nbgrader",
            entries,
            resume,
            at_once,
            lambda entry: graders.nbgrader(entry, course, clean, followed=entry.name in REACHING),
        )
        if otter is None:
            print(NO_OTTER, file=sys.stderr)
        else:
            tests = Path(folder) / "otter"
            graders.otter_tests(tests, otter)
            works("otter", honest, graders.otter(honest, tests, clean, otter))
            found["otter"] = each(
                "otter", entries, resume, at_once, lambda entry: graders.otter(entry, tests, clean, otter)
            )
    if only:
        print(table(entries, found))
    else:
        write_json(RESULTS / "hostile.json", summary(entries, found, otter))
        print(write_text(RESULTS / "hostile.md", page(entries, found, otter)))


def ours(entries: list[Entry], resume: bool) -> dict[str, Finding]:
    """All entries in one batch of ours, with an honest student before and after them."""
    path = KEPT / "ours.json"
    rows = json.loads(path.read_text()) if path.is_file() else {}
    kept = {name: Finding(*row) for name, row in rows.items()}
    if resume and kept.keys() >= {entry.name for entry in entries}:
        return kept
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        root = write_course(Path(folder) / "course", doubles=FUNCTIONS[:2])
        release(LAB, root)
        clean = released(root)
        students = {entry.student or f"m{i:03}": entry for i, entry in enumerate(entries)}
        for student, entry in students.items():
            write(root, student, entry.build(clean))
        for student in (graders.ELDER, graders.HEIR):
            write(root, student, files(answered(clean, RIGHT)))
        limits = {student: entry.limits for student, entry in students.items()}
        limits |= {graders.ELDER: DEFAULTS, graders.HEIR: DEFAULTS}
        command = [sys.executable, "-m", "tests.grading.run_corpus", str(root), LAB, groups(limits)]
        subprocess.run(command, cwd=ROOT, check=False)
        graded = {r.student: r for r in results.load_all(root, LAB)}
    last = graded.get(graders.HEIR)
    found = {}
    for student, entry in students.items():
        result = graded.get(student)
        points = result and {c["grade_id"].removesuffix("_test"): c["points"] for c in result.checks}
        found[entry.name] = Finding(points, None, result is None, result.seconds if result else 0.0)
    if last is None or last.score != last.max_score:
        raise RuntimeError("the honest student after the corpus did not get full marks")
    write_json(path, kept | found)
    return kept | found


def works(grader: str, honest: Entry, finding: Finding) -> None:
    """Raise RuntimeError for a grader that gives a plain right answer no points: it does not run here at all,
    and its column would say nothing."""
    if finding.lost(honest):
        raise RuntimeError(f"{grader} gives {honest.name!r}, which is right, {finding.entry}: is it whole?")


def each(
    grader: str, entries: list[Entry], resume: bool, at_once: int, grade: Callable[[Entry], Finding]
) -> dict[str, Finding]:
    """What `grade` makes of each entry that others can be given; kept one by one, for `resume`."""
    path = KEPT / f"{grader}.json"
    asked = [entry for entry in entries if not entry.ours]
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if not resume:
        kept = {name: row for name, row in kept.items() if name not in {entry.name for entry in asked}}
    missing = [entry for entry in asked if entry.name not in kept]
    with tqdm(desc=grader, unit="entry", total=len(missing)) as bar:
        # An entry that uses the machine up would cost its neighbours their time.
        for part, workers in ((True, 1), (False, at_once)):
            with ThreadPoolExecutor(workers) as pool:
                started = {pool.submit(grade, e): e for e in missing if (e.name in GREEDY) == part}
                for done in as_completed(started):
                    kept[started[done].name] = done.result()
                    write_json(path, kept)
                    bar.update()
    return {name: Finding(*row) for name, row in kept.items()}


def totals(entries: list[Entry], found: dict[str, Finding]) -> dict[str, float]:
    """Sums over those of `entries` that the grader was given."""
    rows = [(entry, found[entry.name]) for entry in entries if entry.name in found]
    return {
        "entries": len(rows),
        "with_undeserved_points": sum(f.undeserved(e) > 0 for e, f in rows),
        "undeserved_points": sum(f.undeserved(e) for e, f in rows),
        "with_lost_points": sum(f.lost(e) > 0 for e, f in rows),
        "lost_points": sum(f.lost(e) for e, f in rows),
        "batches_stopped": sum(f.stopped for _, f in rows),
    }


def versions(otter: Path | None) -> dict[str, str]:
    known = {name: version(name) for name in ("ganedu", "nbgrader", "ipython", "torch")}
    if otter is not None:
        code = "from importlib.metadata import version; print(version('otter-grader'))"
        said = subprocess.run([otter, "-c", code], capture_output=True, text=True, check=True).stdout
        known["otter-grader"] = said.strip()
    return known


def summary(entries: list[Entry], found: dict[str, dict[str, Finding]], otter: Path | None) -> dict:
    names = {entry.name for entry in HOSTILE}
    parts = {
        "hostile": [e for e in entries if e.name in names],
        "noisy": [e for e in entries if e.name not in names],
    }
    return {
        "totals": {k: {g: totals(part, f) for g, f in found.items()} for k, part in parts.items()},
        "entries": {
            e.name: {
                "tries": e.tries,
                "deserves": e.score,
                **{
                    g: {
                        "undeserved": f[e.name].undeserved(e),
                        "lost": f[e.name].lost(e),
                        "stopped": f[e.name].stopped,
                    }
                    if e.name in f
                    else e.ours or "not run"
                    for g, f in found.items()
                },
            }
            for e in entries
        },
        "versions": versions(otter),
        "date": date.today().isoformat(),
        "machine": machine(),
    }


def page(entries: list[Entry], found: dict[str, dict[str, Finding]], otter: Path | None) -> str:
    """The table with its totals and how it was made."""
    content = summary(entries, found, otter)
    lines = ["# Hostile and noisy submissions", ""]
    for kind, words in (("hostile", "Hostile submissions"), ("noisy", "Right but noisy submissions")):
        lines += [
            f"## {words}: totals",
            "",
            "| | " + " | ".join(found) + " |",
            "| --- |" + " --: |" * len(found),
        ]
        for key in totals([], {}):
            values = (content["totals"][kind][grader][key] for grader in found)
            lines.append(f"| {key.replace('_', ' ')} | " + " | ".join(f"{v:g}" for v in values) + " |")
        lines.append("")
    about = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    lines += [
        "The lab has three functions of 2 points each. The others compare with expected values by asserts:",
        "nbgrader in hidden tests of the notebook, otter in hidden doctests. *+n* are points that were not",
        "earned, *−n* points that were earned and not given, to the entry or to the student graded next;",
        "*stopped* is a batch in which that student got no grade. nbgrader is given a next student where the",
        "entry attacks the kernel, the machine or files outside; otter's local runner takes one submission.",
        "*n/a*: the entry attacks a part that only our grader has, or would need a network. *not run*: the",
        "run was cut short; `--resume` goes on. The totals are over the entries that a grader was given.",
        "",
        f"{content['date']}; {about}; {content['machine']}. Made by `python -m benchmarks.hostile`.",
        "",
        "## Each entry",
        "",
        table(entries, found),
    ]
    return "\n".join(lines) + "\n"


def table(entries: list[Entry], found: dict[str, dict[str, Finding]]) -> str:
    lines = ["| entry | what it tries | deserves | " + " | ".join(found) + " |"]
    lines += ["| --- | --- | --: |" + " --- |" * len(found)]
    for entry in entries:
        cells = [shown(entry, found[grader].get(entry.name)) for grader in found]
        tries = entry.tries.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {entry.name} | {tries} | {entry.score:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(entry: Entry, finding: Finding | None) -> str:
    if finding is None:
        return "n/a" if entry.ours else "not run"
    more, less = finding.undeserved(entry), finding.lost(entry)
    words = [f"**+{more:g}**"] * bool(more) + [f"**−{less:g}**"] * bool(less)
    return ", ".join([*words, *["**stopped**"] * finding.stopped]) or "right"


if __name__ == "__main__":
    typer.run(main)
