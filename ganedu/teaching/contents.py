"""What is in a course: its lectures and labs, read from the notebooks and the checks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TITLE = re.compile(r"^# (?:Lecture|Lab) (\d+) · (.+)$", re.MULTILINE)
BULLET = r"^- \*\*{}:?\*\*:? ?(.+)$"
EXERCISE = re.compile(r"^### Exercise (\d+) · (.+)\n\d+ points? · ([★☆]+) · (\d+) minutes", re.MULTILINE)
TAG = re.compile(r"\\tag\{L\d+\.\d+\}")
DEMO = re.compile(r"^demos\.(\w+)\(", re.MULTILINE)


class Lecture(NamedTuple):
    """A notebook of lectures/."""

    path: str  # from the root of the course
    number: int
    title: str
    needs: str
    afterwards: str
    slides: int
    equations: int
    demos: tuple[str, ...]


class Exercise(NamedTuple):
    """A graded cell of a lab. `function` and `hidden` are empty for an answer in words."""

    number: int
    title: str
    function: str
    points: float
    difficulty: str
    minutes: int
    hidden: str  # what the hidden check looks at
    wrong: tuple[str, ...]  # the mistakes that it names


class Lab(NamedTuple):
    """A folder of solutions/."""

    name: str
    number: int
    title: str
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)


def lectures(root: Path) -> list[Lecture]:
    """Every lecture, by number. Raises ValueError for one that does not begin with "# Lecture N · TITLE"."""
    return sorted(map(lecture, (root / "lectures").glob("*.ipynb")), key=lambda lecture: lecture.number)


def lecture(path: Path) -> Lecture:
    cells = _cells(path)
    words = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    code = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    number, title = _title(path, words)
    kinds = [cell["metadata"].get("slideshow", {}).get("slide_type") for cell in cells]
    return Lecture(
        path=f"lectures/{path.name}",
        number=number,
        title=title,
        needs=_bullet("You need", words),
        afterwards=_bullet("Afterwards you can", words),
        slides=sum(kind in ("slide", "subslide") for kind in kinds),
        equations=len(TAG.findall(words)),
        demos=tuple(dict.fromkeys(DEMO.findall(code))),
    )


def labs(root: Path) -> list[Lab]:
    """Every lab, by number. Raises ValueError where a graded cell follows no heading of an exercise."""
    folders = [path.parent for path in (root / "solutions").glob("*/checks.py")]
    return sorted(map(lab, folders), key=lambda lab: lab.number)


def lab(folder: Path) -> Lab:
    path = folder / f"{folder.name}.ipynb"
    cells = _cells(path)
    number, title = _title(path, cells[0]["source"])
    return Lab(folder.name, number, title, tuple(_exercises(folder, cells)))


def _exercises(folder: Path, cells: list[dict]) -> Iterator[Exercise]:
    from ganedu.grading.checks import load

    known, heading = load(folder / "checks.py"), None
    for cell in cells:
        heading = EXERCISE.search(cell["source"]) or heading
        mark = cell["metadata"].get("nbgrader", {})
        if not mark.get("grade"):
            continue
        if heading is None:
            raise ValueError(f"{folder.name}: no exercise is above the cell {mark['grade_id']}")
        number, title, difficulty, minutes = heading.groups()
        check = known.checks.get(mark["grade_id"])
        function = mark["grade_id"].removesuffix("_test") if check else ""
        yield Exercise(
            number=int(number),
            title=title,
            function=function,
            points=mark["points"],
            difficulty=difficulty,
            minutes=int(minutes),
            hidden=check.description if check else "",
            wrong=tuple(known.wrong.get(function, ())),
        )


def _cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells]


def _title(path: Path, text: str) -> tuple[int, str]:
    found = TITLE.search(text)
    if found is None:
        raise ValueError(f"{path.name}: expected a first heading '# Lecture N · TITLE' or '# Lab N · TITLE'")
    return int(found[1]), found[2].strip()


def _bullet(what: str, text: str) -> str:
    found = re.search(BULLET.format(what), text, re.MULTILINE)
    return found[1].strip() if found else ""
