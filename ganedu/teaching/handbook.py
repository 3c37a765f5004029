"""The generated parts of lectures/README.md and solutions/README.md: what is in the course, how to open it.

A part stands between ``<!-- begin NAME ... -->`` and ``<!-- end NAME -->``; all else in the two files is
written by hand. Computing times are quoted from benchmarks/results/course.json.
"""

import json
import re
from pathlib import Path

from ganedu.teaching import contents, links
from ganedu.teaching.contents import Exercise, Lab, Lecture

TIMES = "benchmarks/results/course.json"
BEGIN = "<!-- begin {}: made by `ganedu handbook`, not by hand -->"
NO_HOME = """\
This copy of the course names no public home, so there are no links here. In yours, set `repository` in
`[tool.ganedu]` of pyproject.toml to its address on GitHub and run `ganedu handbook`."""
COLAB = """

Binder builds `environment.yml`. Colab knows nothing of the course: first run this in a cell there.

```
%pip install "{}"
```"""
PART = re.compile(r"<!-- begin (\w+)\b[^>]*-->\n.*?<!-- end \1 -->", re.DOTALL)


def parts(root: Path) -> dict[str, dict[str, str]]:
    """What every generated part should say: by file, then by name."""
    lectures, labs, home = contents.lectures(root), contents.labs(root), links.home(root)
    times = measured(root)
    return {
        "lectures/README.md": {
            "lectures": overview(lectures, labs),
            "outcomes": outcomes(lectures),
            "links": opening(lectures, labs, home),
            "times": timing([lecture.path for lecture in lectures], times),
        },
        "solutions/README.md": {
            "points": points(labs),
            "mistakes": mistakes(labs),
            "times": timing([f"solutions/{lab.name}/{lab.name}.ipynb" for lab in labs], times),
        },
    }


def write(root: Path) -> list[Path]:
    """Bring every generated part up to date; returns the files that changed.

    Raises ValueError where a file has not exactly the parts that are made for it.
    """
    changed = []
    for name, made in parts(root).items():
        path = root / name
        before = path.read_text(encoding="utf-8")
        after = replaced(name, before, made)
        if after != before:
            draft = path.with_name(path.name + ".part")
            draft.write_text(after, encoding="utf-8")
            changed.append(draft.replace(path))
    return changed


def stale(root: Path) -> list[str]:
    """The files with a part that no longer says what it should."""
    files = {name: (root / name).read_text(encoding="utf-8") for name in parts(root)}
    return [name for name, made in parts(root).items() if replaced(name, files[name], made) != files[name]]


def replaced(name: str, text: str, made: dict[str, str]) -> str:
    """``text`` of the file ``name`` with its parts as ``made``."""
    there = PART.findall(text)
    if sorted(there) != sorted(made):
        raise ValueError(f"{name}: its generated parts are {there}, expected {sorted(made)}")
    return PART.sub(lambda part: f"{BEGIN.format(part[1])}\n{made[part[1]]}\n<!-- end {part[1]} -->", text)


def overview(lectures: list[Lecture], labs: list[Lab]) -> str:
    lab_of = {lab.number: lab for lab in labs}
    rows = [
        (
            str(lecture.number),
            f"[{lecture.title}]({Path(lecture.path).name})",
            str(lecture.slides),
            str(lecture.equations),
            ", ".join(f"`{name}`" for name in lecture.demos),
            _lab(lab_of.get(lecture.number)),
        )
        for lecture in lectures
    ]
    return table(("#", "lecture", "slides", "equations", "demos", "lab"), rows)


def _lab(lab: Lab | None) -> str:
    if lab is None:
        return ""
    return f"[{lab.title}](../labs/{lab.name}/{lab.name}.ipynb), {lab.points:g} points"


def outcomes(lectures: list[Lecture]) -> str:
    return "\n\n".join(
        f"**{one.number} · {one.title}.** *Needs:* {one.needs} *Afterwards one can* {one.afterwards}"
        for one in lectures
    )


def opening(lectures: list[Lecture], labs: list[Lab], home: links.Home | None) -> str:
    if home is None:
        return NO_HOME
    notebooks = [(f"Lecture {one.number} · {one.title}", one.path) for one in lectures]
    notebooks += [(f"Lab {lab.number} · {lab.title}", f"labs/{lab.name}/{lab.name}.ipynb") for lab in labs]
    rows = [
        (title, f"[Colab]({home.colab(path)})", f"[Binder]({home.binder(path)})") for title, path in notebooks
    ]
    return table(("notebook", "", ""), rows) + COLAB.format(home.requirement())


def points(labs: list[Lab]) -> str:
    return "\n\n".join(
        f"### Lab {lab.number} · {lab.title}\n\n`{lab.name}`: {lab.points:g} points, of which "
        f"{sum(e.points for e in lab.exercises if e.function):g} are given by program and "
        f"{sum(e.points for e in lab.exercises if not e.function):g} by you; exercises of about "
        f"{sum(e.minutes for e in lab.exercises)} minutes.\n\n"
        + table(
            ("#", "exercise", "write", "points", "difficulty", "minutes", "the hidden check"),
            map(_row, lab.exercises),
        )
        for lab in labs
    )


def _row(exercise: Exercise) -> tuple[str, ...]:
    return (
        str(exercise.number),
        exercise.title,
        f"`{exercise.function}`" if exercise.function else "an answer in words",
        f"{exercise.points:g}",
        exercise.difficulty,
        str(exercise.minutes),
        exercise.hidden or "you, by the rubric in the notebook",
    )


def mistakes(labs: list[Lab]) -> str:
    lines = []
    for lab in labs:
        lines.append(f"### Lab {lab.number}")
        for exercise in lab.exercises:
            if exercise.wrong:
                named = "\n".join(f"- {mistake}" for mistake in exercise.wrong)
                lines.append(f"**{exercise.number} · `{exercise.function}`**\n\n{named}")
    return "\n\n".join(lines)


def measured(root: Path) -> dict:
    """The computing times, {} where none were measured."""
    path = root / TIMES
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def timing(paths: list[str], times: dict) -> str:
    rows = []
    for path in paths:
        if found := times.get("notebooks", {}).get(path):
            longest = f"`{found['longest_cell']}`, {found['longest_seconds']:.0f} s"
            rows.append((f"`{Path(path).stem}`", f"{found['seconds']:.0f} s", longest))
        else:
            rows.append((f"`{Path(path).stem}`", "not measured yet", ""))
    where = f"\n\nMeasured on {times['machine']}." if times else ""
    return table(("notebook", "all cells", "the longest cell"), rows) + where


def table(header, rows) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
