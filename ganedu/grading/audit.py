"""Prove that nothing hidden is where a student can read it: in labs/, the bundle, the sandbox, the feedback.

Hidden are the solutions of the source notebook, everything else in solutions/LAB, and the course's secret; in
what one student gets back, the other students' names too. `traces.py` says what counts as a trace of it.
Not hidden is what a student has anyway: the released notebook, what a check says of itself (its docstring),
and, in a student's own pages, what that student handed in. The library is no secret either, except in the
sandbox: a module with the lab's answer in it must not be allowed there.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from ganedu.grading import bundle, checks, feedback, page, rebuild, results, sandbox, traces
from ganedu.grading import course as courses
from ganedu.grading.course import Course
from ganedu.grading.kernel import Kernel
from ganedu.grading.secret import course_secret

REGION = re.compile(r"###\s*BEGIN (?:SOLUTION|HIDDEN TESTS).*?###\s*END (?:SOLUTION|HIDDEN TESTS)", re.DOTALL)
PICTURE = re.compile(rb"data:image/png;base64,[A-Za-z0-9+/=]*")
WORD = re.compile(r"[\w.@-]+")
SECONDS = 1800.0  # for the walk through the sandbox: a gigabyte, on a machine that may have much else to do
WHOLE = 64  # bytes of a file that is looked for as a whole; a shorter one may be like any other


class AuditFailed(RuntimeError):
    """A place could not be looked at: nothing is proved."""


class Finding(NamedTuple):
    """Where something hidden is, and what: `line` is counted in the text as it was unpacked."""

    file: str
    line: int
    what: str


class Place(NamedTuple):
    """What was looked at in one place, and what was found."""

    place: str
    files: int
    bytes: int
    seconds: float
    note: str
    findings: list[Finding]


class Secrets(NamedTuple):
    """What is hidden of a lab, and what its students have: (origin, text) pairs, files by name, texts."""

    answers: list[tuple[str, str]]
    grading: list[tuple[str, str]]
    files: dict[str, bytes]
    words: dict[str, list[str]]
    released: list[str]
    library: list[str]

    def wanted(self, *, library: bool) -> dict[str, Any]:
        """What to look for, where the `library` may or may not have an answer in it."""
        known = self.released + (self.library if library else [])
        found = traces.hidden(self.answers, known, self.files, self.words)
        grading = traces.hidden(self.grading, self.released)
        return found | {"runs": grading["runs"] | found["runs"]}


def audit(lab: str, root: Path = Path(".")) -> list[Place]:
    """Look at all four places. Raises ValueError for an unknown lab or one that is not released, and
    `sandbox.SandboxMissing` where this machine has no sandbox to look into."""
    course = courses.open_course(root, lab)
    course.released(lab)
    sandbox.require_bubblewrap()
    known = secrets(course, lab)
    return [
        in_release(course, lab, known),
        in_bundle(course, known),
        in_sandbox(course, lab, known),
        in_feedback(course, lab, known),
    ]


def secrets(course: Course, lab: str) -> Secrets:
    """What is hidden of `lab`."""
    folder = course.root / course.directory.source_directory / lab
    answers = [(f"the solution of {name}", text) for name, text in solutions(folder / f"{lab}.ipynb")]
    grading, files = [], {}
    for path in sorted(
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ):
        name, data = path.relative_to(course.root).as_posix(), path.read_bytes()
        if len(data) >= WHOLE and not (course.root / name.replace(folder.parent.name, "labs", 1)).exists():
            files[name] = data
        if path.suffix == ".py":
            grading.append((name, without_descriptions(data.decode())))
    source = (folder / f"{lab}.ipynb").read_bytes()
    files[f"{folder.parent.name}/{lab}/{lab}.ipynb"] = source
    secret = course_secret(course.root)
    spelt = [
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        repr(secret)[2:-1].encode(),
    ]
    released = ["\n".join(cell.source for cell in course.released(lab).cells)]
    return Secrets(
        answers, grading, files, {"the course's secret": [s.hex() for s in spelt]}, released, library()
    )


def solutions(path: Path) -> Iterator[tuple[str, str]]:
    """(grade_id, text) of what a release takes out of a source notebook: its regions, or else the cell."""
    for cell in nbformat.read(path, as_version=4).cells:
        mark = cell.metadata.get("nbgrader", {})
        found = [region.group() for region in REGION.finditer(cell.source)]
        if not found and mark.get("solution"):
            found = [cell.source]
        for text in found:
            yield mark.get("grade_id", cell.get("id", "a cell")), text


def without_descriptions(source: str) -> str:
    """Code without the docstrings of its functions: of a check it is what students are told."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            said = node.body[0]
            lines[said.lineno - 1 : said.end_lineno] = [""] * (said.end_lineno - said.lineno + 1)
    return "\n".join(lines)


def library_folder() -> Path:
    return Path(traces.__file__).parents[1]


def library() -> list[str]:
    """The part of ganedu that students get."""
    folder = library_folder()
    paths = sorted(folder.rglob("*.py"))
    return [path.read_text(encoding="utf-8") for path in paths if path.parts[len(folder.parts)] != "grading"]


def in_release(course: Course, lab: str, known: Secrets) -> Place:
    """labs/LAB; besides, each released answer cell without the very text that was taken out of it."""
    folder = course.root / course.directory.release_directory / lab
    paths = {p.relative_to(course.root).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    place = _searched("labs", known.wanted(library=True), ((n, p.read_bytes()) for n, p in paths.items()))
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c.source for c in course.released(lab).cells}
    source = course.root / course.directory.source_directory / lab / f"{lab}.ipynb"
    whole = {c.metadata.get("nbgrader", {}).get("grade_id"): c.source for c in nbformat.read(source, 4).cells}
    for name, text in solutions(source):
        inside = "".join("".join(text.split("\n")[1:-1] if REGION.match(text) else text).split())
        rest = "".join(REGION.sub("", whole[name]).split()) if REGION.search(whole[name]) else ""
        if (
            len(inside) >= traces.SAYS
            and inside not in rest
            and inside in "".join(cells.get(name, "").split())
        ):
            found = Finding(f"{lab}.ipynb, cell {name}", 1, f"the solution of {name}")
            place.findings.extend([] if place.findings else [found])
    return place


def in_bundle(course: Course, known: Secrets) -> Place:
    """What `ganedu bundle` writes, file by file."""
    return _searched("bundle", known.wanted(library=True), bundle.contents(course.root).items())


def in_sandbox(course: Course, lab: str, known: Secrets) -> Place:
    """Every file that a submission of `lab` can read, read in its own sandbox. Raises `AuditFailed`."""
    summary = checks.summarise(course.checks(lab))
    wanted = json.dumps(json.dumps(known.wanted(library=False)))
    program = f"{inspect.getsource(traces)}\nprint(json.dumps(walk(json.loads({wanted}))))"
    with Kernel(summary.allow, sandbox.DEFAULTS, packages=summary.packages) as kernel:
        done = kernel.ready().run(f"exec({program!r}, {{}})", SECONDS)
    said = "".join(output.get("text", "") for output in done.outputs)
    if done.status != "ok" or not said.startswith("{"):
        raise AuditFailed(f"the walk through the sandbox ended: {done.status} {said[-200:]}")
    walked = json.loads(said)
    found = [Finding(**finding) for finding in walked["findings"]]
    if walked["more"]:
        found.append(Finding("and more", 0, f"{walked['more']} findings"))
    note = f"{walked['whole']} binary files, by size and hash"
    return Place("sandbox", walked["files"], walked["bytes"], walked["seconds"], note, found)


def in_feedback(course: Course, lab: str, known: Secrets) -> Place:
    """Feedback pages and autograded notebooks: the student's own, and nobody else's name."""
    names = {r.student for r in results.load_all(course.root, lab)} | set(course.students(lab))
    common = set(
        WORD.findall("\n".join([*known.released, inspect.getsource(feedback), inspect.getsource(page)]))
    )
    common |= {
        word for check in course.checks(lab).checks.values() for word in WORD.findall(check.description)
    }
    started, search = time.monotonic(), traces.Search(known.wanted(library=True))
    count, size, found = 0, 0, []
    folders = (course.directory.feedback_directory, course.directory.autograded_directory)
    for student in sorted(names):
        own = b"\n".join(traces.forms(_submitted(course, student, lab)))
        mine = {run for _, run in traces.runs(own)}
        others = names - {student} - common - set(WORD.findall(own.decode("utf-8", "replace")))
        for folder in folders:
            for path in sorted((course.root / folder / student / lab).rglob("*")):
                if not path.is_file():
                    continue
                data = PICTURE.sub(b"", path.read_bytes())
                count, size, name = count + 1, size + path.stat().st_size, str(path.relative_to(course.root))
                found += [Finding(name, line, what) for line, what in search.data(data, mine)]
                said = set(WORD.findall(data.decode("utf-8", "replace")))
                found += [
                    Finding(name, 1, f"the name of another student, {other}")
                    for other in sorted(others & said)
                ]
    seconds = round(time.monotonic() - started, 2)
    return Place("feedback", count, size, seconds, "" if count else "nothing graded yet", found)


def _submitted(course: Course, student: str, lab: str) -> bytes:
    try:
        return rebuild.read(course.submission(student, lab))
    except rebuild.Unreadable:
        return b""


def _searched(place: str, wanted: dict[str, Any], files: Iterable[tuple[str, bytes]]) -> Place:
    started, search, count, size, found = time.monotonic(), traces.Search(wanted), 0, 0, []
    for name, data in files:
        count, size = count + 1, size + len(data)
        found += [Finding(name, line, what) for line, what in search.data(data)]
    return Place(place, count, size, round(time.monotonic() - started, 2), "", found)
