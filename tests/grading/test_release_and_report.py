"""What students get and what instructors read."""

import csv
import shutil

import nbformat
import pytest

from ganedu.grading import examples, release, report, results
from ganedu.grading.course import Course
from ganedu.grading.gradebook import COLUMNS, page, summary, table
from ganedu.grading.results import Result
from tests.grading.graded import by_hand, notebook
from tests.grading.graded import record as save
from tests.grading.graded import result as graded_result
from tests.grading.mini_course import LAB


def test_a_release_is_byte_stable_and_holds_nothing_hidden(course):
    first = (course / "labs/mini/mini.ipynb").read_bytes()
    (course / "solutions/mini/__pycache__").mkdir(exist_ok=True)
    (course / "solutions/mini/__pycache__/checks.pyc").write_bytes(b"REFERENCE")
    (path,) = release(LAB, course)
    assert path == course / "labs/mini/mini.ipynb" and [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == first
    for hidden in (b"2 * x", b"SOLUTION", b"REFERENCE", b"Because", b"not for students"):
        assert hidden not in first
    (course / "gradebook.db").unlink()
    assert release(LAB, course)[0].read_bytes() == first  # nor does it depend on what was released before


def test_a_release_has_the_sources_cell_ids_and_no_outputs(released_course):
    source = nbformat.read(released_course / "solutions/mini/mini.ipynb", as_version=4)
    lab = nbformat.read(released_course / "labs/mini/mini.ipynb", as_version=4)
    assert [cell.id for cell in lab.cells] == [cell.id for cell in source.cells]
    assert not any(cell.get("outputs") for cell in lab.cells)
    assert [cell.metadata.get("tags") for cell in lab.cells].count(["long"]) == 1


def test_a_release_that_fails_leaves_the_old_one(course):
    before = (course / "labs/mini/mini.ipynb").read_bytes()
    (course / "solutions/mini/mini.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="lab: nbgrader cannot release mini"):
        release(LAB, course)
    assert (course / "labs/mini/mini.ipynb").read_bytes() == before
    assert not list(course.glob(".release-*"))


def test_outside_a_course_or_for_an_unknown_lab_it_says_what_is_known(course, tmp_path):
    with pytest.raises(ValueError, match="no nbgrader_config.py"):
        release(LAB, tmp_path)
    with pytest.raises(ValueError, match="got 'lab99', expected one of mini"):
        release("lab99", course)


def test_the_half_example_answers_the_first_functions(course):
    paths = examples.write(LAB, course)
    assert sorted(paths) == ["cheat", "complete", "half"]
    half = nbformat.read(paths["half"], as_version=4)
    assert "2 * x" in half.cells[2].source and "NotImplementedError" in half.cells[4].source


def result(student, points, mistake=None, **changes):
    checks = [
        {
            "grade_id": "double_test",
            "points": points,
            "max_points": 2.0,
            "messages": [],
            "known_mistake": mistake,
        },
        {"grade_id": "slope_test", "points": 2.0, "max_points": 2.0, "messages": [], "known_mistake": None},
    ]
    line = {"score": points + 2.0, "max_score": 4.0, "manual_score": 0.0, "manual_max": 3.0, "seconds": 1.0}
    line |= {"sandboxed": True, "checks": checks}
    return Result(student=student, lab=LAB, **{**line, **changes})


def test_the_csv_has_exactly_the_columns_and_a_line_a_student():
    text = table([result("ann", 2.0, manual_score=2.5), result("=cmd()", 0.0)])
    assert text.splitlines() == ["student,lab,score,max_score,manual_score,manual_max", "ann,mini,4,4,2.5,3",
                                 "'=cmd(),mini,2,4,0,3"]  # fmt: skip


def test_the_page_counts_mistakes_escapes_names_and_runs_nothing():
    graded = [
        result("<script>alert(1)</script>", 0.0, "squared"),
        result("bob", 0.0, "squared"),
        result("cy", 2.0, error="<img src=x onerror=alert(1)>"),
    ]
    text = page(LAB, graded, {"double_test": "double(x) is 2x", "slope_test": "the gradient"})
    assert "<span>squared</span><span><span class='bar' style='width:53.3%'></span>2 · 67%" in text
    assert "default-src 'none'" in text and "script-src 'none'" in text
    assert "<script" not in text and "&lt;script&gt;" in text and "<img" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "without a sandbox" not in text
    assert text.index("To look at: 1") < text.index("how many submissions have them")


def test_the_summary_is_by_exercise_with_shares_and_who_needs_a_look():
    loose = result("eve", 0.0, "squared", sandboxed=False, seconds=9.0)
    graded = [result("ann", 2.0), result("bob", 1.0, "halved"), result("cy", 0.0, error="no file"), loose]
    found = summary(LAB, graded, {"double_test": "double(x) is 2x"})
    double, slope = found["exercises"]
    assert double["points"] == {"0": 2, "1": 1, "2": 1} and slope["points"] == {"2": 4}
    assert double["known_mistakes"] == [
        {"mistake": "halved", "submissions": 1, "share": 0.25},
        {"mistake": "squared", "submissions": 1, "share": 0.25},
    ]
    assert found["remarks"] == [{"student": "cy", "score": 2.0, "remark": "no file"}]
    assert found["unsandboxed"] == ["eve"] and found["slowest"][0] == {"student": "eve", "seconds": 9.0}
    assert (found["submissions"], found["mean"], found["max"]) == (4, 2.75, 4.0)


def test_a_thousand_submissions_make_a_page_of_a_sane_size():
    graded = [result(f"student{i:04}", float(i % 3), "squared" if i % 3 else None) for i in range(1000)]
    text = page(LAB, graded, {"double_test": "double(x) is 2x", "slope_test": "the gradient"})
    assert len(text) < 300_000 and text.count("<tr>") > 1000


def test_points_by_hand_are_those_of_now_and_one_gradebook_is_opened(course, tmp_path, monkeypatch):
    for name in ("ann", "bob"):
        save(course, graded_result(name), notebook(course, {}))
    by_hand(course, "bob", "question", 2.5)
    by_hand(course, "bob", "double_test", 0.5)
    opened = []
    real = Course.gradebook
    monkeypatch.setattr(Course, "gradebook", lambda self: opened.append(1) or real(self))
    paths = report(LAB, course, tmp_path)
    rows = {row["student"]: row for row in csv.DictReader(paths[0].open())}
    assert (rows["ann"]["manual_score"], rows["bob"]["manual_score"]) == ("0", "2.5")
    assert rows["bob"]["score"] == "2.5" and len(opened) <= 2


def test_grading_without_a_sandbox_is_stamped_on_the_page():
    loose = Result(**{**vars(result("eve", 2.0)), "sandboxed": False})
    assert "Graded without a sandbox: eve" in page(LAB, [result("ann", 2.0), loose], {})


def test_a_report_reads_what_was_graded(course, tmp_path):
    with pytest.raises(ValueError, match="ganedu grade mini"):
        report(LAB, course, tmp_path)
    for line in (result("bob", 0.0), result("ann", 2.0)):
        results.save(course, line)
    paths = report(LAB, course, tmp_path / "out")
    assert [path.name for path in paths] == ["gradebook.csv", "gradebook.html"]
    rows = list(csv.DictReader(paths[0].open()))
    assert [(row["student"], row["score"]) for row in rows] == [("ann", "4"), ("bob", "2")]
    assert tuple(rows[0]) == COLUMNS
    shutil.rmtree(tmp_path / "out")
