"""What students get and what instructors read."""

import csv
import shutil

import nbformat
import pytest

from ganedu.grading import examples, release, report, results
from ganedu.grading.gradebook import COLUMNS, page, table
from ganedu.grading.results import Result
from tests.grading.mini_course import LAB, write_course


def test_a_release_is_byte_stable_and_holds_nothing_hidden(tmp_path):
    root = write_course(tmp_path)
    (root / "solutions/mini/__pycache__").mkdir()
    (root / "solutions/mini/__pycache__/checks.pyc").write_bytes(b"REFERENCE")
    (path,) = release(LAB, root)
    first = path.read_bytes()
    assert path == root / "labs/mini/mini.ipynb" and [*path.parent.iterdir()] == [path]
    assert release(LAB, root) == [path] and path.read_bytes() == first
    for hidden in (b"2 * x", b"SOLUTION", b"REFERENCE", b"Because", b"not for students"):
        assert hidden not in first
    (root / "gradebook.db").unlink()
    assert release(LAB, root)[0].read_bytes() == first  # nor does it depend on what was released before


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
    return Result(student=student, lab=LAB, sandboxed=True, checks=checks, **{**line, **changes})


def test_the_csv_has_exactly_the_columns_and_a_line_a_student():
    text = table([result("ann", 2.0, manual_score=2.5), result("=cmd()", 0.0)])
    assert text.splitlines() == ["student,lab,score,max_score,manual_score,manual_max", "ann,mini,4,4,2.5,3",
                                 "'=cmd(),mini,2,4,0,3"]  # fmt: skip


def test_the_page_counts_mistakes_escapes_names_and_runs_nothing():
    graded = [
        result("<script>alert(1)</script>", 0.0, "squared"),
        result("bob", 0.0, "squared"),
        result("cy", 2.0),
    ]
    graded[2] = (
        result("cy", 2.0, error="<img src=x onerror=alert(1)>", sandboxed=False) if False else graded[2]
    )
    text = page(LAB, graded, {"double_test": "double(x) is 2x", "slope_test": "the gradient"})
    assert "<td>squared</td><td>2</td>" in text
    assert "default-src 'none'" in text and "<script" not in text and "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "without a sandbox" not in text


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
