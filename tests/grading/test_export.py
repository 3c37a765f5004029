"""Points for Canvas and Moodle: the columns that they read, and nothing that a spreadsheet would run."""

import csv

import pytest

from ganedu.grading.export import CANVAS, export, line
from ganedu.grading.gradebook import plain_cell
from ganedu.grading.manual import NOTHING, ByHand
from tests.grading.graded import by_hand, notebook, record, result
from tests.grading.mini_course import LAB

ROSTER = """Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (4711),Current Score
    Points Possible,,,,,10,(read only)
"Lovelace, Ann",101,S1,ann,A,7,70
"Nobody, Zoe",102,S2,zoe,A,,0
"Tables, Bob",103,S3,bob,"B, late",9,90
"""
PEOPLE = """First name,Last name,ID number,Email address,Assignment: Old (Real),student
Ann,Lovelace,1,ann@example.org,3,ann
Zoe,Nobody,2,zoe@example.org,,zoe
Bob,Tables,,bob@example.org,-,bob
"""


@pytest.fixture
def graded(course):
    record(course, result("ann"), notebook(course, {}))
    lost = {"double_test": 0.5}
    record(course, result("bob", lost, error="cell double ended the kernel"), notebook(course, {}, lost))
    by_hand(course, "bob", "question", 2.25)
    return course


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_canvas_with_a_roster_keeps_its_rows_and_leaves_those_without_submission_empty(graded, tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER, encoding="utf-8-sig")
    head, possible, *people = rows(export(LAB, graded, "canvas", roster))
    assert head == [*CANVAS, "mini"]
    assert possible == ["    Points Possible", "", "", "", "", "7"]
    assert people == [
        ["Lovelace, Ann", "101", "S1", "ann", "A", "4"],
        ["Nobody, Zoe", "102", "S2", "zoe", "A", ""],
        ["Tables, Bob", "103", "S3", "bob", "B, late", "4.75"],
    ]


def test_canvas_without_a_roster_has_our_ids_as_login_ids(graded):
    path = export(LAB, graded)
    assert path == graded / "build" / "report" / "mini-canvas.csv"
    assert rows(path)[2:] == [["ann", "", "", "ann", "", "4"], ["bob", "", "", "bob", "", "4.75"]]


def test_moodle_gets_grade_and_feedback_and_only_columns_that_identify_everybody(graded, tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text(PEOPLE)
    head, *people = rows(export(LAB, graded, "moodle", roster, tmp_path / "out" / "m.csv"))
    assert head == ["First name", "Last name", "Email address", "mini", "mini (Feedback)"]
    assert people[0] == ["Ann", "Lovelace", "ann@example.org", "4", "double: 2 of 2; slope: 2 of 2"]
    assert people[1] == ["Zoe", "Nobody", "zoe@example.org", "", ""]
    said = "double: 0.5 of 2 (looks like: squared); slope: 2 of 2; question: 2.25 of 3; "
    assert people[2][3:] == ["4.75", said + "cell double ended the kernel"]
    assert rows(export(LAB, graded, "moodle"))[1][:2] == ["ann", "4"]


@pytest.mark.parametrize(
    ("roster", "said"),
    [
        ("SIS Login ID,Colour,Shoe\nann,,\nbob,,\n", "unknown columns Colour, Shoe"),
        ("SIS Login ID\nann\nbob\nann\nbob\ncy\n", "SIS Login ID there twice: ann, bob"),
        ("SIS Login ID,ID,ID\nann,,\nbob,,\n", "columns there twice: ID"),
        ("SIS Login ID\ncy\n", "ann, bob submitted mini and are not in it"),
        ("Student,SIS Login ID\nA,ann\nB,bob\nC,\n", "students without SIS Login ID: number 3"),
        ("Student\nann\n", "none of the columns student, SIS Login ID"),
        ("", "none of the columns"),
    ],
)
def test_a_roster_that_does_not_fit_is_refused_whole(graded, tmp_path, roster, said):
    path = tmp_path / "roster.csv"
    path.write_text(roster)
    with pytest.raises(ValueError, match=said):
        export(LAB, graded, "canvas", path, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_moodle_refuses_whom_it_could_not_find(graded, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("student,Email address\nann,a@example.org\nbob,\n")
    with pytest.raises(ValueError, match="Moodle needs one of Username, ID number, Email address of every"):
        export(LAB, graded, "moodle", path)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "  =1", "\r=1"])
def test_a_name_is_no_formula(text):
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["-1.5", "+3", "4.75", "", "ann", "Müller-Lüdenscheidt", "a=b", "    Points Possible"]
)
def test_numbers_and_names_stay_what_they_are(text):
    assert plain_cell(text) == text


def test_a_hostile_name_comes_back_whole_and_harmless(course):
    record(course, result('=HYPERLINK("x","y"),\n'), notebook(course, {}))
    (_, _, row) = rows(export(LAB, course))
    assert row[0] == row[3] == '\'=HYPERLINK("x","y"),\n'


def test_a_late_submission_and_an_overruled_check_count_as_in_nbgrader():
    hand = ByHand({"double_test": 1.0, "question": 2.0}, {"slope_test": 0.5}, {}, penalty=1.5)
    found = line(result("cy", {"double_test": 0.0}), hand, {"question": 3.0})
    assert found.total == 1.0 + 2.5 + 2.0 - 1.5 and "late: -1.5" in found.feedback
    assert line(result("cy"), NOTHING._replace(penalty=99.0), {}).total == 0


def test_unknown_systems_are_answered_with_the_known(graded):
    with pytest.raises(ValueError, match="got 'blackboard', expected one of canvas, moodle"):
        export(LAB, graded, "blackboard")
