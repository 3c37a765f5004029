"""From submissions to a gradebook, through the real path: sandbox, checker, nbgrader."""

import copy
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from ganedu.grading import examples, grade
from ganedu.grading.checks import load
from ganedu.grading.examine import Session
from ganedu.grading.sandbox import Limits, SandboxMissing
from tests.grading.mini_course import LAB, released, submit

WRONG = {
    "double": "def double(x):\n    return x**2",
    "slope": "def slope(x, f):\n    return -f.parameters['weight'].expand_as(x)",
}
NOISY = {
    "double": """
import logging, sys, warnings
from tqdm import tqdm
warnings.warn("deprecated")
logging.error("not an error")
def double(x):
    '''Two different right answers added: é ∑'''
    warnings.warn("again")
    print("x" * 1000, file=sys.stderr)
    for _ in tqdm(range(3)): pass
    return (x.double() + x.double()).requires_grad_()
12
""",
    "slope": """
import numpy as np
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.show()
def slope(x, f):
    print("working")
    rows = [torch.autograd.functional.jacobian(lambda row: f(row[None])[0], row) for row in x]
    return np.stack([row.numpy() for row in rows])
""",
}


def recorded(root, student):
    """What nbgrader's gradebook holds: automatic points by cell."""
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        (notebook,) = gradebook.find_submission(LAB, student).notebooks
        return {grade.name: grade.auto_score for grade in notebook.grades}


@pytest.fixture(scope="module")
def graded(sandboxed, released_course, tmp_path_factory):
    """One batch with everything that a class hands in: {student: Result}, and the course."""
    root = shutil.copytree(released_course, tmp_path_factory.mktemp("batch") / "course")
    lab, clean = load(root / "solutions" / LAB / "checks.py"), released(root)
    examples.write(LAB, root)  # complete, half, cheat
    submit(root, "empty-release", clean)
    submit(root, "wrong", examples.answered(clean, WRONG))
    submit(root, "noisy", examples.answered(clean, NOISY))
    (root / "submitted" / "noisy" / LAB / "numpy.py").write_text("raise ImportError('a submitted numpy')")
    submit(root, "corrupt", b"{")
    submit(root, "empty", b"")
    submit(root, "foreign", nbformat.writes(nbformat.v4.new_notebook(cells=[new_code_cell("1")])).encode())
    (root / "submitted" / "nothing" / LAB).mkdir(parents=True)
    untidy = examples.answered(clean, lab.reference)
    untidy.cells.append(copy.deepcopy(untidy.cells[2]))
    untidy.cells[-1].id = "copy"
    del untidy.cells[5]
    submit(root, "untidy", untidy)
    deadly = examples.answered(clean, lab.reference | {"double": "import os\ndef double(x): os._exit(0)"})
    deadly.cells.insert(2, new_code_cell("import os\nos._exit(0)"))
    submit(root, "deadly", deadly)
    results = grade(LAB, root, progress=False)
    assert [r.student for r in results] == sorted(p.name for p in (root / "submitted").iterdir())
    return root, {r.student: r for r in results}


SCORES = {
    "complete": 4, "half": 2, "cheat": 0, "empty-release": 0, "wrong": 0, "noisy": 4,
    "corrupt": 0, "empty": 0, "foreign": 0, "nothing": 0, "untidy": 4, "deadly": 2,
}  # fmt: skip


@pytest.mark.parametrize("student", SCORES)
def test_a_submission_gets_what_its_answers_earn(graded, student):
    result = graded[1][student]
    assert (result.score, result.max_score) == (SCORES[student], 4), result
    assert (result.manual_score, result.manual_max, result.sandboxed) == (0, 3, True)


@pytest.mark.parametrize("student", SCORES)
def test_nbgraders_gradebook_holds_the_verdicts(graded, student):
    root, results = graded
    points = recorded(root, student)
    assert points["double_test"] + points["slope_test"] == results[student].score


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("corrupt", "not JSON"),
        ("empty", "is empty"),
        ("foreign", "another notebook"),
        ("nothing", "no notebook named"),
        ("untidy", "double is there twice"),
        ("deadly", "cell student-0 ended the kernel"),
    ],
)
def test_what_is_wrong_with_a_submission_is_one_line_for_its_student(graded, student, said):
    line = graded[1][student].error
    assert said in line and "\n" not in line


def test_the_others_have_no_such_line(graded):
    quiet = set(SCORES) - {"corrupt", "empty", "foreign", "nothing", "untidy", "deadly"}
    assert {name: graded[1][name].error for name in quiet} == dict.fromkeys(quiet)


def test_a_known_mistake_is_named_to_the_student(graded):
    found = {check["grade_id"]: check["known_mistake"] for check in graded[1]["wrong"].checks}
    assert found == {"double_test": "squared", "slope_test": "sign"}
    notebook = nbformat.read(graded[0] / "autograded/wrong/mini/mini.ipynb", as_version=4)
    shown = notebook.cells[3].outputs[0].text
    for words in (
        "double(x) is 2x",
        "equation (0.1)",
        "looks like: squared",
        "next: 2 times x",
        "0 of 2 points",
    ):
        assert words in shown


def test_the_autograded_notebook_is_valid_and_runs_nothing_in_a_browser(graded):
    for path in (graded[0] / "autograded").glob("*/mini/mini.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        data = [o.data for c in notebook.cells for o in c.get("outputs", []) if "data" in o]
        assert {kind for kinds in data for kind in kinds} <= {"text/plain", "image/png"}


def test_a_cell_that_takes_long_is_not_run_and_says_so(graded):
    notebook = nbformat.read(graded[0] / "autograded/complete/mini/mini.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if c.id == "hour"]
    assert "not executed while grading" in cell.outputs[0].text


def test_a_submitted_numpy_is_dropped(graded):
    assert not list((graded[0] / "autograded").rglob("numpy.py"))


def test_no_hidden_word_reaches_a_student(graded):
    root = graded[0]
    for path in [*(root / "labs").rglob("*"), *(root / "autograded").rglob("*")]:
        assert path.suffix in ("", ".ipynb")
        if path.is_file() and "cheat" not in path.parts:
            text = path.read_text()
            assert "REFERENCE" not in text and "not for students" not in text and "student.call" not in text


def test_the_secret_is_the_instructors_alone(graded):
    secret = graded[0] / ".ganedu" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_bytes()) == 32


def test_grading_again_gives_the_same_and_a_resubmission_starts_from_nothing(graded):
    root, results = graded
    for student in ("corrupt", "half"):
        kept = root / "submitted" / student / LAB / f"{LAB}.ipynb"
        before = kept.read_bytes()
        (again,) = grade(LAB, root, students=[student], progress=False)
        assert again.checks == results[student].checks and kept.read_bytes() == before
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        (notebook,) = gradebook.find_submission(LAB, "half").notebooks
        next(g for g in notebook.grades if g.name == "question").manual_score = 2.5
        gradebook.db.commit()
    submit(root, "half", examples.answered(released(root), {"double": WRONG["double"]}))
    (again,) = grade(LAB, root, students=["half"], progress=False)
    assert again.score == 0 and again.manual_score == 2.5
    assert recorded(root, "half")["double_test"] == 0


def test_results_are_kept_beside_the_gradebook(graded):
    kept = json.loads((graded[0] / ".ganedu/results/mini/wrong.json").read_text())
    assert kept["format"] == 1 and kept["score"] == 0 and len(kept["submission"]) == 64
    assert kept["checks"] == graded[1]["wrong"].checks


def test_a_dead_kernel_costs_only_its_check(graded):
    result = graded[1]["deadly"]
    assert {check["grade_id"]: check["points"] for check in result.checks} == {
        "double_test": 0,
        "slope_test": 2,
    }
    assert "check double_test ended the kernel" in result.error


@pytest.fixture(scope="module")
def limited(sandboxed, released_course, tmp_path_factory):
    """Two that would never end, and little time: {student: Result}."""
    root = shutil.copytree(released_course, tmp_path_factory.mktemp("limited") / "course")
    clean, reference = released(root), load(root / "solutions" / LAB / "checks.py").reference
    submit(
        root, "hung", examples.answered(clean, reference | {"double": "def double(x):\n    while True: pass"})
    )
    slow = examples.answered(clean, reference)
    slow.cells[2:2] = [new_code_cell("import time; time.sleep(3600)") for _ in range(3)]
    submit(root, "slow", slow)
    limits = Limits(cell=3600, check=12, notebook=40)
    return {r.student: r for r in grade(LAB, root, progress=False, limits=limits)}


@pytest.mark.slow
def test_a_hung_answer_costs_only_its_check(limited):
    checks = {check["grade_id"]: check for check in limited["hung"].checks}
    assert (checks["double_test"]["points"], checks["slope_test"]["points"]) == (0, 2)
    assert "double did not return within 12 s" in checks["double_test"]["messages"][-1]


@pytest.mark.slow
def test_the_notebooks_time_is_limited_as_a_whole(limited):
    """Each cell alone would be let run for an hour."""
    result = limited["slow"]
    assert result.score == 0 and "did not end within 40 s" in result.error
    assert all("time was used up" in check["messages"][0] for check in result.checks)


def test_a_kernel_that_comes_up_late_takes_nothing_of_the_notebooks_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ganedu.grading.examine.time", SimpleNamespace(monotonic=lambda: now[0]))

    def take():
        now[0] += 500.0

    session = Session(SimpleNamespace(take=take), Limits(notebook=600))
    assert session.left == 600
    now[0] += 100.0
    assert session.left == 500


def test_without_a_sandbox_grading_refuses_or_stamps(course, monkeypatch, tmp_path):
    submit(
        course,
        "trusted",
        examples.answered(released(course), load(course / "solutions/mini/checks.py").reference),
    )
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(SandboxMissing):
            grade(LAB, course, progress=False)
    (result,) = grade(LAB, course, unsandboxed=True, progress=False)
    assert result.score == 4 and result.sandboxed is False


@pytest.mark.parametrize(
    ("lab", "students", "said"),
    [("lab99", None, "expected one of mini"), (LAB, ["nobody"], "nobody did not submit")],
)
def test_unknown_labs_and_students_are_answered_with_the_known(course, lab, students, said):
    with pytest.raises(ValueError, match=said):
        grade(lab, course, students=students)


def test_checks_that_do_not_fit_the_notebook_are_refused(course):
    checks = course / "solutions/mini/checks.py"
    checks.write_text(checks.read_text().replace("points=2", "points=3", 1))
    with pytest.raises(ValueError, match="slope_test has 2 points in the notebook and 3 in checks.py"):
        grade(LAB, course)


@pytest.mark.slow
def test_nbgraders_own_command_line_takes_the_same_path(sandboxed, course):
    lab = load(course / "solutions/mini/checks.py")
    submit(course, "ann", examples.answered(released(course), {**lab.reference, "slope": WRONG["slope"]}))
    for words in (["autograde", LAB], ["generate_feedback", LAB]):
        command = [sys.executable, "-m", "nbgrader", *words]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=course, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert recorded(course, "ann") == {"double_test": 2, "slope_test": 0, "question": 0}
    page = (course / "feedback/ann/mini/mini.html").read_text()
    assert "looks like: sign" in page and "student.call" not in page
