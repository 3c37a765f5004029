"""What an instructor reads: the scores as CSV, and a page with distributions and the known mistakes found."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path

from ganedu.grading import course as courses
from ganedu.grading import results
from ganedu.grading.batch import manual_points
from ganedu.grading.results import Result

COLUMNS = ("student", "lab", "score", "max_score", "manual_score", "manual_max")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
.stamp { background: #b34700; color: #fff; font-weight: 600; padding: .5rem .8rem }
.note { color: #595959 } .panels { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem }
.panel { min-width: 16rem; flex: 1 } .panel h3 { font-size: .95rem; margin: 0 0 .1rem }
.panel p { margin: 0 0 .4rem; font-size: .85rem; color: #595959 }
.row { display: grid; grid-template-columns: 4.5rem 1fr; gap: .5rem; align-items: center; font-size: .85rem }
.row span:first-child { text-align: right; font-variant-numeric: tabular-nums }
.bar { display: inline-block; height: .95rem; background: #0072b2; margin-right: .4rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
td, th { padding: .3rem .6rem; text-align: left; vertical-align: top }
tr { border-bottom: 1px solid #ddd } th { white-space: nowrap } td { font-variant-numeric: tabular-nums }
"""


def report(lab: str, root: Path = Path("."), out: Path = Path("build/report")) -> tuple[Path, Path]:
    """Write gradebook.csv and gradebook.html of a graded lab into `out`; returns their paths.

    Points given by hand are read from nbgrader's gradebook as they are now. Raises ValueError for an unknown
    lab or one that was not graded.
    """
    course = courses.open_course(root, lab)
    graded = results.load_all(course.root, lab)
    if not graded:
        raise ValueError(f"lab: nothing of {lab} is graded yet; run: ganedu grade {lab}")
    graded = [replace(r, manual_score=manual_points(course, r.student, lab)[0]) for r in graded]
    words = {check.grade_id: check.description for check in course.checks(lab).checks.values()}
    out.mkdir(parents=True, exist_ok=True)
    paths = out / "gradebook.csv", out / "gradebook.html"
    results.write(paths[0], table(graded))
    results.write(paths[1], page(lab, graded, words))
    return paths


def table(graded: Iterable[Result]) -> str:
    """The gradebook as CSV: one line a student, automatic points and points given by hand apart."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in graded:
        points = (r.score, r.max_score, r.manual_score, r.manual_max)
        writer.writerow([_cell(r.student), r.lab, *(f"{value:g}" for value in points)])
    return text.getvalue()


def page(lab: str, graded: list[Result], words: dict[str, str]) -> str:
    """The report as one HTML page that loads and runs nothing; `words` describe the checks by grade_id."""
    mean, first = sum(r.score for r in graded) / len(graded), graded[0]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{escape(lab)}: gradebook</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(lab)}</h1>",
        f"<p class='note'>{len(graded)} submissions; mean {mean:.2f} of {first.max_score:g} "
        f"automatic points; {first.manual_max:g} more are given by hand.</p>",
    ]
    if loose := [r.student for r in graded if not r.sandboxed]:
        parts.append(f"<p class='stamp'>Graded without a sandbox: {escape(', '.join(loose))}</p>")
    parts += [_distributions(graded, words), _mistakes(graded), _students(graded), "</body></html>\n"]
    return "\n".join(parts)


def _distributions(graded: list[Result], words: dict[str, str]) -> str:
    panels = [_histogram("All exercises", "", [r.score for r in graded], graded[0].max_score)]
    for grade_id, description in words.items():
        checks = [c for r in graded for c in r.checks if c["grade_id"] == grade_id]
        if checks:
            name = grade_id.removesuffix("_test")
            panels.append(
                _histogram(name, description, [c["points"] for c in checks], checks[0]["max_points"])
            )
    return f"<h2>Points: how many submissions have them</h2><div class='panels'>{''.join(panels)}</div>"


def _histogram(title: str, description: str, points: list[float], maximum: float) -> str:
    counts = Counter(points)
    values = sorted({0.0, float(maximum), *counts})
    highest = max(counts.values())
    rows = ""
    for value in values:
        bar = f"<span class='bar' style='width:{80 * counts[value] / highest:.1f}%'></span>{counts[value]}"
        rows += f"<div class='row'><span>{value:g} of {maximum:g}</span><span>{bar}</span></div>"
    return f"<div class='panel'><h3>{escape(title)}</h3><p>{escape(description)}</p>{rows}</div>"


def _mistakes(graded: list[Result]) -> str:
    checks = [check for result in graded for check in result.checks if check["known_mistake"]]
    found = Counter((check["grade_id"].removesuffix("_test"), check["known_mistake"]) for check in checks)
    rows = [(exercise, mistake, count) for (exercise, mistake), count in found.most_common()]
    body = _grid(("exercise", "mistake", "submissions"), rows) if rows else "<p class='note'>None.</p>"
    return f"<h2>Known mistakes found</h2>{body}"


def _students(graded: list[Result]) -> str:
    rows = []
    for r in graded:
        automatic, manual = f"{r.score:g} of {r.max_score:g}", f"{r.manual_score:g} of {r.manual_max:g}"
        rows.append((r.student, automatic, manual, f"{r.seconds:.1f}", r.error or ""))
    return "<h2>Submissions</h2>" + _grid(("student", "automatic", "by hand", "seconds", "remarks"), rows)


def _grid(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A table of escaped text."""
    lines = ["".join(f"<th>{escape(title)}</th>" for title in head)]
    lines += ["".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(text: str) -> str:
    """A name that a spreadsheet will not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t" else text
