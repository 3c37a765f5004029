"""Points for the learning management system: a CSV file that Canvas or Moodle imports.

Canvas reads the columns of its own gradebook export in their order, then one column an assignment, and a
second row that begins with "Points Possible" (as the code of its importer reads it). Moodle lets the teacher
say which column is what and finds a user by e-mail address, ID number or username; a row without one would
fall to the student above it, and feedback without a grade erases the grade (Moodle docs, "Grade import"). So
whoever cannot be identified is refused here, and grade and feedback come together.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from ganedu.grading import course as courses
from ganedu.grading import manual, results
from ganedu.grading.feedback import for_student
from ganedu.grading.gradebook import plain_cell
from ganedu.grading.manual import NOTHING, ByHand, check_points
from ganedu.grading.results import Result

OURS = "student"  # the roster's column with our student ids, where its own identifying column is another
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = ("First name", "Last name", "ID number", "Email address", "Username")
# Of these, the first that the roster has holds our student ids, unless it has a column `student`.
IDENTIFY = {
    "canvas": ("SIS Login ID", "SIS User ID", "ID"),
    "moodle": ("Username", "ID number", "Email address"),
}
KNOWN = {"canvas": CANVAS, "moodle": MOODLE}
# What the systems' own exports have beside them; we neither need nor repeat it.
IGNORED = {
    "canvas": ("Integration ID", "Root Account", "LastName", "FirstName"),
    "moodle": ("Surname", "Institution", "Department", "Last downloaded from this course", "Suspended"),
}


class Line(NamedTuple):
    """A submission's total, and a few words on it."""

    total: float
    feedback: str


def export(
    lab: str,
    root: Path = Path("."),
    target: str = "canvas",
    roster: Path | None = None,
    out: Path | None = None,
) -> Path:
    """Write the points of a graded lab for `target`, "canvas" or "moodle"; returns the file's path.

    `roster` is a CSV file exported from there: its rows, in its order, get their points, empty for those who
    did not submit. Without it there is one row a student who did. Raises ValueError for an unknown lab,
    target or column, an id that is there twice or missing, or a student who is not in the roster; then
    writes nothing.
    """
    if target not in KNOWN:
        raise ValueError(f"for: got {target!r}, expected one of {', '.join(KNOWN)}")
    course = courses.open_course(root, lab)
    graded = results.load_all(course.root, lab)
    if not graded:
        raise ValueError(f"lab: nothing of {lab} is graded yet; run: ganedu grade {lab}")
    hands, names = manual.by_hand(course, lab), manual.maxima(course.released(lab))
    lines = {r.student: line(r, hands.get(r.student, NOTHING), names) for r in graded}
    possible = graded[0].max_score + sum(names.values())
    if roster is None:
        people = {student: {IDENTIFY[target][0]: student} for student in sorted(lines)}
    else:
        people = read_roster(Path(roster).read_text(encoding="utf-8-sig"), target)
    if missing := sorted(lines.keys() - people.keys()):
        raise ValueError(f"roster: {', '.join(missing)} submitted {lab} and are not in it")
    rows = canvas(lab, people, lines, possible) if target == "canvas" else moodle(lab, people, lines)
    path = Path(out) if out is not None else course.root / "build" / "report" / f"{lab}-{target}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write(path, written(rows))
    return path


def line(result: Result, hand: ByHand, names: dict[str, float]) -> Line:
    """All points of a submission, automatic and by hand, and which exercise gave how many."""
    words = []
    for check in result.checks:
        found = f" (looks like: {check['known_mistake']})" if check["known_mistake"] else ""
        points = f"{check_points(check, hand):g} of {check['max_points']:g}"
        words.append(f"{check['grade_id'].removesuffix('_test')}: {points}{found}")
    for name, most in names.items():
        if name in hand.points:
            words.append(f"{name}: {hand.points[name] + hand.extra.get(name, 0.0):g} of {most:g}")
    if hand.penalty:
        words.append(f"late: -{hand.penalty:g}")
    if remark := for_student(result):
        words.append(remark)
    return Line(manual.total(result, hand, names), "; ".join(words))


def read_roster(text: str, target: str) -> dict[str, dict[str, str]]:
    """The rows of a roster by our student id. Raises ValueError with every unknown column and repeated id."""
    reader = csv.reader(io.StringIO(text))
    head = [name.strip() for name in next(reader, [])]
    known = {*KNOWN[target], *IGNORED[target], OURS}
    columns = [name for name in head if name in known or not _assignment(name, target)]
    if unknown := sorted(set(columns) - known):
        raise ValueError(f"roster: unknown columns {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if twice := sorted(name for name, n in Counter(columns).items() if n > 1):
        raise ValueError(f"roster: columns there twice: {', '.join(twice)}")
    identify = next((name for name in (OURS, *IDENTIFY[target]) if name in head), None)
    if identify is None:
        raise ValueError(f"roster: none of the columns {', '.join((OURS, *IDENTIFY[target]))} is in it")
    rows = [dict(zip(head, map(str.strip, row), strict=False)) for row in reader if any(map(str.strip, row))]
    rows = [row for row in rows if "Points Possible" not in row.get("Student", "")]
    if nameless := [str(number) for number, row in enumerate(rows, 1) if not row.get(identify)]:
        raise ValueError(f"roster: students without {identify}: number {', '.join(nameless)}")
    counted = Counter(row[identify] for row in rows)
    if twice := sorted(student for student, n in counted.items() if n > 1):
        raise ValueError(f"roster: {identify} there twice: {', '.join(twice)}")
    if target == "moodle" and not _complete(rows):
        raise ValueError(f"roster: Moodle needs one of {', '.join(IDENTIFY[target])} of every student")
    return {row[identify]: row for row in rows}


def canvas(
    lab: str, people: dict[str, dict[str, str]], lines: dict[str, Line], possible: float
) -> Iterable[Sequence[str]]:
    """The rows of Canvas' gradebook: its five columns in order, as its importer wants them, and the lab's."""
    yield (*CANVAS, lab)
    yield ("    Points Possible", "", "", "", "", f"{possible:g}")
    for student, person in people.items():
        name = person.get("Student") or student
        yield (name, *(person.get(column, "") for column in CANVAS[1:]), _total(lines.get(student)))


def moodle(lab: str, people: dict[str, dict[str, str]], lines: dict[str, Line]) -> Iterable[Sequence[str]]:
    """The rows of Moodle's import: what identifies a user, the grade, the feedback, which it reads as HTML.

    A column that identifies some students and not others is left out: to Moodle an empty one is no error.
    """
    complete = _complete(people.values())
    columns = [name for name in MOODLE if name in complete or name not in IDENTIFY["moodle"]]
    columns = [name for name in columns if any(person.get(name) for person in people.values())]
    yield (*columns, lab, f"{lab} (Feedback)")
    for student, person in people.items():
        found = lines.get(student)
        said = escape(found.feedback, quote=False) if found else ""
        yield (*(person.get(column, "") for column in columns), _total(found), said)


def written(rows: Iterable[Sequence[str]]) -> str:
    """CSV in which no cell is a formula; "Points Possible" keeps the spaces that Canvas puts before it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([plain_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _complete(people: Iterable[dict[str, str]]) -> list[str]:
    """The columns by which Moodle can find each of `people`."""
    people = list(people)
    return [name for name in IDENTIFY["moodle"] if all(person.get(name) for person in people)]


def _total(found: Line | None) -> str:
    return "" if found is None else f"{round(found.total, 4):g}"


def _assignment(column: str, target: str) -> bool:
    """A column of points in an LMS's own export: Canvas adds the assignment's number, Moodle the kind."""
    if target == "canvas":
        ends = (" Points", " Score", " Grade", " Status", ")")
        return column.endswith(ends) and not column.startswith(CANVAS)
    return column.endswith((" (Real)", " (Percentage)", " (Letter)", " (Feedback)"))
