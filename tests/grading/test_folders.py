"""What lies in a submitted folder beside a notebook, and under which names, harms nobody."""

import os
import shutil

import pytest

from ganedu.grading import examples, grade
from ganedu.grading.checks import load
from ganedu.grading.secret import course_secret
from tests.grading.mini_course import LAB, released, submit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graded(sandboxed, released_course, tmp_path_factory):
    """A batch of folders with links, pipes and hostile names; the last student is honest."""
    root = shutil.copytree(released_course, tmp_path_factory.mktemp("folders") / "course")
    right = examples.answered(released(root), load(root / "solutions" / LAB / "checks.py").reference)
    with pytest.raises(
        ValueError, match="nobody has submitted mini; submissions lie in submitted/STUDENT/mini"
    ):
        grade(LAB, root, progress=False)
    course_secret(root)
    linked = submit(root, "links", b"{").parent
    for name, target in (
        ("one", ".ganedu/secret"),
        ("two", f"solutions/{LAB}/checks.py"),
        ("three", "gradebook.db"),
    ):
        (linked / f"{name}.txt").symlink_to(root / target)
    (root / "submitted" / "thief").mkdir()
    (root / "submitted" / "thief" / LAB).symlink_to(root / "submitted" / "zoe" / LAB)
    cell = b'{"cell_type": "\\ud800", "metadata": {"nbgrader": {"grade_id": "double"}}, "source": "x"}'
    submit(root, "surrogate", b'{"cells": [' + cell + b"]}")
    named = root / "submitted" / "names" / LAB
    named.mkdir(parents=True)
    for name in (b"\xff.ipynb", b"\x1b[31mRED\x07.ipynb"):
        (named / os.fsdecode(name)).touch()
    honest = submit(root, "zoe", right).parent
    (honest / "data.csv").symlink_to(root / "nowhere")
    os.mkfifo(honest / "pipe")
    (honest / "timestamp.txt").write_text("no time")
    return root, {result.student: result for result in grade(LAB, root, progress=False)}


def test_an_honest_students_points_are_recorded_whatever_lies_beside_the_notebook(graded):
    root, results = graded
    assert results["zoe"].score == 4 and "not recorded in the gradebook" not in results["zoe"].error
    assert (root / "autograded" / "zoe" / LAB / f"{LAB}.ipynb").is_file()
    assert "timestamp.txt holds no time" in results["zoe"].error


def test_nothing_that_a_link_points_to_is_copied(graded):
    root, _ = graded
    copied = [path for path in (root / "autograded").rglob("*") if path.is_file() or path.is_symlink()]
    assert {path.name for path in copied} <= {f"{LAB}.ipynb"}
    secret = (root / ".ganedu" / "secret").read_bytes()
    assert not any(secret in path.read_bytes() for path in copied)
    assert not list((root / ".ganedu").glob("incoming-*"))


def test_anothers_folder_is_not_ones_own(graded):
    assert graded[1]["thief"].score == 0 and "is a link, not a folder" in graded[1]["thief"].error


@pytest.mark.parametrize("student", ["surrogate", "names"])
def test_hostile_names_reach_a_terminal_as_plain_text(graded, student):
    line = graded[1][student].error
    assert line.isprintable() and line.encode()
