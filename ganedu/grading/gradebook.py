"""What an instructor reads: the scores as CSV, and a page with distributions and the known mistakes found."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from ganedu.grading import course as courses
from ganedu.grading import manual, results
from ganedu.grading.manual import NOTHING
from ganedu.grading.page import document, without_paths
from ganedu.grading.results import Result

COLUMNS = ("student", "lab", "score", "max_score", "manual_score", "manual_max")
SLOWEST = 10  # submissions that are named
STYLE = """
.panels { display: flex; flex-wrap: wrap; gap: 1.5rem 2.5rem }
.panel { min-width: 16rem; flex: 1; break-inside: avoid } .panel h3 { font-size: .95rem; margin: 0 0 .1rem }
.panel p { margin: 0 0 .4rem; font-size: .85rem; color: #595959 }
.row { display: grid; grid-template-columns: 4.5rem 1fr; gap: .5rem; align-items: center; font-size: .85rem }
.row.wide { grid-template-columns: minmax(8rem, 24rem) 1fr }
.row:not(.wide) span:first-child { text-align: right; font-variant-numeric: tabular-nums }
.bar { display: inline-block; height: .95rem; background: #0072b2; margin-right: .4rem;
  vertical-align: middle; print-color-adjust: exact }
.wide .bar { background: #b34700 }
"""


def report(lab: str, root: Path = Path("."), out: Path = Path("build/report")) -> tuple[Path, Path]:
    """Write gradebook.csv and gradebook.html of a graded lab into `out`; returns their paths.

    Points given by hand are read from nbgrader's gradebook as they are now. Raises ValueError for an unknown
    lab or one that was not graded.
    """
    graded, words = gather(lab, root)
    out.mkdir(parents=True, exist_ok=True)
    paths = out / "gradebook.csv", out / "gradebook.html"
    results.write(paths[0], table(graded))
    results.write(paths[1], page(lab, graded, words))
    return paths


def gather(lab: str, root: Path) -> tuple[list[Result], dict[str, str]]:
    """The results of a lab, with what humans gave by now, and the descriptions of its checks by grade_id.

    Where a human overruled a check, `score` counts what the human gave; `checks` keep what they found.
    """
    course = courses.open_course(root, lab)
    graded = results.load_all(course.root, lab)
    if not graded:
        raise ValueError(f"lab: nothing of {lab} is graded yet; run: ganedu grade {lab}")
    hands, names = manual.by_hand(course, lab), manual.maxima(course.released(lab))
    for i, result in enumerate(graded):
        hand = hands.get(result.student, NOTHING)
        score = float(sum(manual.check_points(check, hand) for check in result.checks))
        graded[i] = replace(result, score=score, manual_score=manual.manual_sum(hand, names))
    return graded, {check.grade_id: check.description for check in course.summary(lab).checks.values()}


def table(graded: Iterable[Result]) -> str:
    """The gradebook as CSV: one line a student, automatic points and points given by hand apart."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in graded:
        points = (r.score, r.max_score, r.manual_score, r.manual_max)
        writer.writerow([plain_cell(r.student), r.lab, *(f"{value:g}" for value in points)])
    return text.getvalue()


def plain_cell(text: str) -> str:
    """Text that a spreadsheet will not take for a formula; a number stays one."""
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r") else text
    return text


def summary(lab: str, graded: list[Result], words: dict[str, str]) -> dict[str, Any]:
    """What the page shows, as plain JSON: points and known mistakes by exercise, and who needs a look."""
    exercises = []
    for grade_id in dict.fromkeys([*words, *(c["grade_id"] for r in graded for c in r.checks)]):
        checks = [c for r in graded for c in r.checks if c["grade_id"] == grade_id]
        if not checks:
            continue
        found = Counter(c["known_mistake"] for c in checks if c["known_mistake"])
        exercises.append(
            {
                "exercise": grade_id.removesuffix("_test"),
                "checked": words.get(grade_id, ""),
                "max": checks[0]["max_points"],
                "points": {
                    f"{value:g}": n for value, n in sorted(Counter(c["points"] for c in checks).items())
                },
                "submissions": len(checks),
                "known_mistakes": [
                    {"mistake": mistake, "submissions": n, "share": round(n / len(checks), 4)}
                    for mistake, n in found.most_common()
                ],
            }
        )
    slow = sorted(graded, key=lambda r: -r.seconds)[:SLOWEST]
    return {
        "lab": lab,
        "submissions": len(graded),
        "mean": round(sum(r.score for r in graded) / len(graded), 4),
        "max": graded[0].max_score,
        "manual_max": graded[0].manual_max,
        "exercises": exercises,
        "remarks": [{"student": r.student, "score": r.score, "remark": r.error} for r in graded if r.error],
        "unsandboxed": [r.student for r in graded if not r.sandboxed],
        "slowest": [{"student": r.student, "seconds": r.seconds} for r in slow],
    }


def page(lab: str, graded: list[Result], words: dict[str, str]) -> str:
    """The report as one HTML page that loads and runs nothing; `words` describe the checks by grade_id."""
    found = summary(lab, graded, words)
    parts = [
        f"<h1>{escape(lab)}</h1>",
        f"<p class='note'>{len(graded)} submissions; mean {found['mean']:.2f} of {found['max']:g} "
        f"automatic points; {found['manual_max']:g} more are given by hand.</p>",
    ]
    if found["unsandboxed"]:
        names = escape(", ".join(found["unsandboxed"]))
        parts.append(f"<p class='stamp'>Graded without a sandbox: {names}</p>")
    if found["remarks"]:
        rows = [(r["student"], f"{r['score']:g}", without_paths(r["remark"])) for r in found["remarks"]]
        parts.append(f"<h2>To look at: {len(rows)}</h2>" + _grid(("student", "points", "remark"), rows))
    parts += [_distributions(graded, found), _mistakes(found), _slowest(found), _students(graded)]
    return document(f"{lab}: gradebook", "\n".join(parts), STYLE)


def _distributions(graded: list[Result], found: dict[str, Any]) -> str:
    totals = Counter(f"{r.score:g}" for r in graded)
    panels = [_histogram("All exercises", "", totals, found["max"])]
    for e in found["exercises"]:
        panels.append(_histogram(e["exercise"], e["checked"], e["points"], e["max"]))
    return f"<h2>Points: how many submissions have them</h2><div class='panels'>{''.join(panels)}</div>"


def _histogram(title: str, description: str, counts: dict[str, int], maximum: float) -> str:
    """Bars by points, those of nobody for nothing and for everything included."""
    values = sorted({"0", f"{maximum:g}", *counts}, key=float)
    highest = max(counts.values())
    rows = "".join(
        _bar(f"{value} of {maximum:g}", counts.get(value, 0), counts.get(value, 0) / highest)
        for value in values
    )
    return f"<div class='panel'><h3>{escape(title)}</h3><p>{escape(description)}</p>{rows}</div>"


def _bar(label: str, count: int, share: float, after: str = "", kind: str = "row") -> str:
    bar = f"<span class='bar' style='width:{80 * share:.1f}%'></span>{count}{after}"
    return f"<div class='{kind}'><span>{escape(label)}</span><span>{bar}</span></div>"


def _mistakes(found: dict[str, Any]) -> str:
    parts = []
    for e in found["exercises"]:
        rows = [
            _bar(m["mistake"], m["submissions"], m["share"], f" · {m['share']:.0%}", "row wide")
            for m in e["known_mistakes"]
        ]
        if rows:
            parts.append(f"<h3>{escape(e['exercise'])}</h3>{''.join(rows)}")
    body = "".join(parts) or "<p class='note'>None.</p>"
    return f"<h2>Known mistakes: how many submissions made them</h2>{body}"


def _slowest(found: dict[str, Any]) -> str:
    rows = [(s["student"], f"{s['seconds']:.1f}") for s in found["slowest"]]
    return "<h2>The slowest</h2>" + _grid(("student", "seconds"), rows)


def _students(graded: list[Result]) -> str:
    """Those with remarks first."""
    rows = []
    for r in sorted(graded, key=lambda r: (not r.error, r.student)):
        automatic, by_hand = f"{r.score:g} of {r.max_score:g}", f"{r.manual_score:g} of {r.manual_max:g}"
        rows.append((r.student, automatic, by_hand, f"{r.seconds:.1f}", "✗ see above" if r.error else ""))
    return "<h2>Submissions</h2>" + _grid(("student", "automatic", "by hand", "seconds", "remarks"), rows)


def _grid(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A table of escaped text."""
    lines = ["".join(f"<th>{escape(title)}</th>" for title in head)]
    lines += ["".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
