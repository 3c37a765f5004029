"""The instructor's commands: one line on an error, nothing written, an exit code that says what was found."""

import json

import pytest
from typer.testing import CliRunner

from ganedu.cli import app
from ganedu.grading import audit
from ganedu.grading.audit import Finding, Place
from tests.grading.graded import notebook, record, result
from tests.grading.mini_course import LAB


def ganedu(*words):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["feedback", LAB],
        ["export", LAB, "--for", "canvas"],
        ["bundle"],
        ["audit", LAB],
        ["report", LAB, "--json"],
    ],
    ids=lambda words: words[0],
)
def test_outside_a_course_nothing_is_written_and_one_line_says_so(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ganedu(*words)
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("ganedu: ") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_each_command_prints_what_it_wrote(course, monkeypatch):
    monkeypatch.chdir(course)
    record(course, result("ann"), notebook(course, {}))
    for words, path in (
        (["feedback", LAB], course / "feedback/ann/mini/mini.html"),
        (["export", LAB, "--for", "moodle"], course / "build/report/mini-moodle.csv"),
        (["bundle"], course / "build/ganedu-course.zip"),
    ):
        done = ganedu(*words)
        assert done.exit_code == 0 and done.stdout.split() == [str(path)] and path.is_file(), done.output
    assert ganedu("export", LAB, "--for", "blackboard").exit_code == 2


def test_a_report_as_json_is_nothing_but_json(course, monkeypatch):
    monkeypatch.chdir(course)
    record(course, result("ann", {"double_test": 0.0}), notebook(course, {}))
    found = json.loads(ganedu("report", LAB, "--json").stdout)
    assert found["submissions"] == 1 and found["files"] == [
        "build/report/gradebook.csv",
        "build/report/gradebook.html",
    ]
    by_name = {e["exercise"]: e["known_mistakes"] for e in found["exercises"]}
    assert by_name["double"] == [{"mistake": "squared", "submissions": 1, "share": 1.0}]


@pytest.mark.parametrize(
    "leak", [[], [Finding("labs/mini/mini.ipynb", 3, "the solution of slope")]], ids=["clean", "leak"]
)
def test_an_audit_ends_with_1_where_it_finds_something(course, monkeypatch, leak):
    monkeypatch.chdir(course)
    places = [Place("labs", 1, 2_000_000, 0.1, "", leak)]
    monkeypatch.setattr(audit, "audit", lambda lab, root: places)
    plain, data = ganedu("audit", LAB), ganedu("audit", LAB, "--json")
    assert plain.exit_code == data.exit_code == bool(leak)
    assert plain.stdout.splitlines()[1].split() == ["labs", "1", "2.0", "0.1", str(len(leak))]
    assert ("labs: labs/mini/mini.ipynb:3: the solution of slope" in plain.stdout) == bool(leak)
    assert json.loads(data.stdout)[0]["findings"] == [
        {"file": "labs/mini/mini.ipynb", "line": 3, "what": "the solution of slope"} for _ in leak
    ]
