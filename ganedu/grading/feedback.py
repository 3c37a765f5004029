"""What a student gets back: one HTML page with answers, verdicts and points, in which nothing runs.

`feedback` writes the pages of a lab; nbgrader's `generate_feedback` and formgrader come to the same ones by
`FeedbackExporter`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from traitlets import default

from ganedu.grading import course as courses
from ganedu.grading import manual, prose, rebuild, results
from ganedu.grading.course import Course
from ganedu.grading.manual import NOTHING, ByHand, check_points
from ganedu.grading.page import anchor, document, without_paths
from ganedu.grading.results import Result

STYLE = """
.total { font-size: 2.2rem; font-weight: 600; margin: .4rem 0 }
.total small { font-size: 1rem; font-weight: 400 }
.summary td:last-child, .summary th:last-child { text-align: right; white-space: nowrap }
.remark { border: 2px solid #9a3b00; padding: .4rem .8rem }
.ok { color: #00568f; font-weight: 600 } .no { color: #9a3b00; font-weight: 600 }
pre { font: 13px/1.45 ui-monospace, 'DejaVu Sans Mono', monospace; white-space: pre-wrap; margin: .4rem 0 }
.code { background: #f5f5f2; padding: .2rem .8rem; margin: .4rem 0 }
.out { padding: 0 .8rem; max-height: 24rem; overflow: auto }
.mine { border-left: 4px solid #999; padding-left: .8rem; margin: .8rem 0 }
.label { font-size: .8rem; color: #595959; margin: 0 }
.verdict { border: 2px solid #00568f; border-radius: 4px; padding: .5rem .8rem; margin: .8rem 0;
  break-inside: avoid }
.verdict.lost { border-color: #9a3b00; border-style: dashed }
.verdict h3 { margin: 0; display: flex; gap: 1rem; justify-content: space-between }
.verdict .ok { font-weight: 400; font-size: .9rem }
.verdict pre { border-left: 3px solid #9a3b00; padding-left: .7rem }
.mistake { background: #fff3d6; padding: .1rem .4rem; font-weight: 600; print-color-adjust: exact }
.comment { background: #eef5fa; padding: .4rem .8rem; print-color-adjust: exact }
details { margin: .5rem 0 } summary { color: #595959; font-size: .85rem; cursor: pointer }
img { max-width: 100%; height: auto } math { font-size: 1.05em } .tex { background: #f5f5f2 }
.formula { display: flex; align-items: center; gap: 1rem; margin: .8rem 0; overflow-x: auto }
.formula math { flex: 1 } .number { color: #595959 }
@media print { body { margin: 0; max-width: none; font-size: 11pt } details { display: none }
  .out { max-height: none } a { color: inherit; text-decoration: none } }
"""


NAMED = "looks like: "  # as `ganedu.check.compare` begins the line that names a known mistake


class Notes(NamedTuple):
    """What a page says beside the notebook: descriptions of checks, points of the cells that humans grade."""

    words: dict[str, str]
    manual: dict[str, float]


def feedback(
    lab: str, root: Path = Path("."), out: Path | None = None, students: Iterable[str] | None = None
) -> list[Path]:
    """Write OUT/STUDENT/LAB/LAB.html for all graded submissions (or `students`); OUT is nbgrader's feedback/.

    Points and comments given by hand are those of now. Raises ValueError for an unknown lab, one that was not
    graded, or a student who was not.
    """
    course = courses.open_course(root, lab)
    graded = {result.student: result for result in results.load_all(course.root, lab)}
    if not graded:
        raise ValueError(f"lab: nothing of {lab} is graded yet; run: ganedu grade {lab}")
    if missing := sorted(set(students or ()) - set(graded)):
        known = ", ".join(graded)
        raise ValueError(f"students: no grade of {lab} for {', '.join(missing)}; graded: {known}")
    folder = course.root / course.directory.feedback_directory if out is None else Path(out)
    hands, about = manual.by_hand(course, lab), notes(course, lab)
    paths = []
    for student in sorted(students or graded):
        notebook = _autograded(course, student, lab)
        path = folder / student / lab / f"{lab}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        results.write(path, page(lab, graded[student], notebook, hands.get(student, NOTHING), about))
        paths.append(path)
    return paths


def notes(course: Course, lab: str) -> Notes:
    words = {check.grade_id: check.description for check in course.summary(lab).checks.values()}
    return Notes(words, manual.maxima(course.released(lab)))


def page(lab: str, result: Result, notebook: NotebookNode | None, hand: ByHand, about: Notes) -> str:
    """The page of one student, from the autograded notebook (None where nothing could be recorded)."""
    parts = [_head(lab, result, hand, about), _summary(result, hand, about)]
    if notebook is not None and not refused(result):
        checks = {check["grade_id"]: check for check in result.checks}
        parts.append("<h2>Your notebook</h2>")
        parts += [_cell(cell, checks, hand, about) for cell in notebook.cells]
    if result.submission:
        parts.append(
            f"<p class='note'>Graded from the file whose SHA-256 begins with {result.submission[:12]}.</p>"
        )
    return document(f"{lab}: {result.student}", "\n".join(parts), STYLE + prose.CODE_STYLE)


class FeedbackExporter(NotebookExporter):
    """Makes our page in the place of nbgrader's, which trusts the HTML in a notebook."""

    @default("file_extension")
    def _html(self) -> str:
        return ".html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **options: Any) -> tuple[str, Any]:
        notebook, resources = self._preprocess(nb, resources)  # nbgrader's steps, its GetGrades among them
        names, directory = resources["nbgrader"], self.parent.coursedir
        student, lab = names["student"], names["assignment"]
        course = Course(Path(directory.root), self.config, directory)
        hand = manual.by_hand(course, lab).get(student, NOTHING)
        result = _current(course.root, student, lab, notebook) or _recorded(student, lab, notebook)
        resources["output_extension"] = ".html"
        return page(lab, result, notebook, hand, notes(course, lab)), resources


def _autograded(course: Course, student: str, lab: str) -> NotebookNode | None:
    path = course.root / course.directory.autograded_directory / student / lab / f"{lab}.ipynb"
    return nbformat.read(path, as_version=4) if path.is_file() else None


def _current(root: Path, student: str, lab: str, notebook: NotebookNode) -> Result | None:
    """The record of ganedu's own grading, unless nbgrader's command has graded again since."""
    result = results.find(root, lab, student)
    points = {c["grade_id"]: float(c["points"]) for c in result.checks} if result else None
    return result if points == _scores(notebook) else None


def _scores(notebook: NotebookNode) -> dict[str, float]:
    """Points as nbgrader reads them: the number that a test cell returned, by grade_id."""
    found = {}
    for cell in filter(rebuild.is_test, notebook.cells):
        returned = [o for o in cell.get("outputs", []) if o.output_type == "execute_result"]
        found[cell.metadata.nbgrader.grade_id] = float(returned[-1].data["text/plain"]) if returned else 0.0
    return found


def _recorded(student: str, lab: str, notebook: NotebookNode) -> Result:
    """What a notebook says that nbgrader's own command graded: words, then a number, in each test cell."""
    points, checks = _scores(notebook), []
    for cell in filter(rebuild.is_test, notebook.cells):
        mark = cell.metadata.nbgrader
        words = "".join(output.get("text", "") for output in cell.outputs).strip().splitlines()[1:-1]
        earned = {"points": points[mark.grade_id], "max_points": float(mark.points)}
        checks.append({"grade_id": mark.grade_id, **earned, "messages": ["\n".join(words)]})
    most = sum(check["max_points"] for check in checks)
    return Result(student, lab, sum(points.values()), most, 0.0, 0.0, 0.0, True, checks=checks)


def _head(lab: str, result: Result, hand: ByHand, about: Notes) -> str:
    possible = result.max_score + sum(about.manual.values())
    points = manual.total(result, hand, about.manual)
    waiting = [name for name in about.manual if name not in hand.points]
    parts = [
        f"<h1>{escape(lab)}</h1><p class='note'>{escape(result.student)}</p>",
        f"<p class='total'>{points:g} <small>of {possible:g} points"
        f"{' so far' if waiting and possible > result.max_score else ''}</small></p>",
    ]
    if not result.sandboxed:
        parts.append("<p class='stamp'>Graded without a sandbox</p>")
    if remark := for_student(result):
        said = "Not graded, because" if refused(result) else "Remarks:"
        parts.append(f"<p class='remark'><strong>{said}</strong> {escape(without_paths(remark))}</p>")
    if hand.penalty:
        parts.append(f"<p class='no'>Late: {hand.penalty:g} points less.</p>")
    return "\n".join(parts)


def refused(result: Result) -> bool:
    """Whether the submission could not be run at all: then each check gives 0 for the same reason."""
    reasons = {tuple(check["messages"]) for check in result.checks}
    (first, *_), others = next(iter(reasons), ("",)) or ("",), len(reasons) - 1
    return not others and bool(result.error) and first.removeprefix("✗ ") in result.error


def for_student(result: Result) -> str:
    """What `result.error` says of the submission; what it says of our own checks is not for students."""
    ours = [re.escape(f"{check['grade_id']}: ") for check in result.checks] + ["checks of "]
    return re.split("(?:^|; )(?:" + "|".join(ours) + ")", result.error or "")[0]


def _summary(result: Result, hand: ByHand, about: Notes) -> str:
    rows = []
    for check in result.checks:
        points, most = check_points(check, hand), check["max_points"]
        name = check["grade_id"].removesuffix("_test")
        mark = _mark(points, most)
        link = f"<a href='#{anchor(check['grade_id'])}'>{escape(name)}</a>"
        rows.append(f"<tr><td>{mark}</td><td>{link}</td><td>{points:g} of {most:g}</td></tr>")
    for name, most in about.manual.items():
        link = f"<a href='#{anchor(name)}'>{escape(name)}</a>"
        rows.append(f"<tr><td></td><td>{link}, read by a person</td><td>{_given(name, most, hand)}</td></tr>")
    head = "<tr><th></th><th>exercise</th><th>points</th></tr>"
    return f"<table class='summary'>{head}{''.join(rows)}</table>"


def _mark(points: float, most: float) -> str:
    if points >= most:
        return "<span class='ok'>✓ right</span>"
    return f"<span class='no'>{'◐ in part' if points > 0 else '✗ not yet'}</span>"


def _given(name: str, most: float, hand: ByHand) -> str:
    if name not in hand.points:
        return f"not read yet, of {most:g}"
    return f"{hand.points[name] + hand.extra.get(name, 0.0):g} of {most:g}"


def _cell(cell: NotebookNode, checks: dict[str, dict], hand: ByHand, about: Notes) -> str:
    """A cell as its student needs it: prose and answers open, the lab's own code folded away."""
    mark = cell.metadata.get("nbgrader", {})
    name = mark.get("grade_id", "")
    if rebuild.is_test(cell):
        return _verdict(checks[name], hand, about) if name in checks else ""
    if cell.cell_type == "markdown":
        body = prose.markdown(cell.source)
    elif cell.cell_type == "code":
        body = prose.source(cell.source) if cell.source.strip() else ""
    else:
        body = f"<pre>{escape(cell.source)}</pre>"
    shown = prose.outputs(cell.get("outputs", []))
    own = mark.get("solution") or cell.get("id", "").startswith("student-")
    if own or rebuild.is_manual(cell):
        label = "Your answer" if mark.get("solution") else "Task" if mark.get("task") else "Your own cell"
        graded = _by_hand(name, hand, about)
        parts = f"<p class='label'>{label}</p>{body}{shown}"
        return f"<div class='mine' id='{anchor(name)}'>{parts}</div>{graded}"
    if cell.cell_type == "code":
        return f"<details><summary>code of the lab</summary>{body}</details>{shown}"
    return body


def _by_hand(name: str, hand: ByHand, about: Notes) -> str:
    """Points and a comment that a person gave to a cell."""
    said = ""
    if comment := hand.comments.get(name):
        said = f"<div class='comment'><p class='label'>Comment</p>{prose.markdown(comment)}</div>"
    if name not in about.manual:
        return said
    points = _given(name, about.manual[name], hand)
    return f"<div class='verdict'><h3><span>Read by a person</span><span>{points}</span></h3></div>{said}"


def _verdict(check: dict[str, Any], hand: ByHand, about: Notes) -> str:
    name = check["grade_id"]
    points, most = check_points(check, hand), check["max_points"]
    lines = "".join(_message(without_paths(message)) for message in check["messages"])
    if points != check["points"]:
        lines += f"<p class='note'>The check gave {check['points']:g}; a person changed that.</p>"
    state = "verdict" if points >= most else "verdict lost"
    return (
        f"<div class='{state}' id='{anchor(name)}'><h3><span>{_mark(points, most)} · "
        f"{escape(name.removesuffix('_test'))}</span><span>{points:g} of {most:g}</span></h3>"
        f"<p class='label'>Checked: {escape(about.words.get(name, ''))}</p>{lines}</div>"
        f"{_by_hand(name, hand, about)}"
    )


def _message(message: str) -> str:
    """A tick or a cross with its details; the name of a known mistake stands out."""
    first, *rest = message.split("\n")
    kind = {"✓": "ok", "✗": "no"}.get(first[:1], "")
    details = []
    for line in rest:
        text = escape(line.removeprefix("    "))
        details.append(f"<span class='mistake'>{text}</span>" if line.strip().startswith(NAMED) else text)
    shown = f"<pre>{chr(10).join(details)}</pre>" if details else ""
    return f"<div class='{kind}'>{escape(first)}</div>{shown}"
