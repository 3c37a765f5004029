"""nbgrader's formgrader on what we graded, in a real browser: scores, points by hand, nothing that runs."""

from __future__ import annotations

import copy
import csv
import itertools
import re
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbgrader.api import Gradebook

from ganedu.grading import grade, release, report
from ganedu.grading.sandbox import SandboxMissing, require_bubblewrap
from tests.browser import hostile
from tests.browser.jupyterlab import Visit, jupyter, playwright, require_chromium
from tests.grading.mini_course import LAB, ROOT, question, released, submit, write_course

pytestmark = pytest.mark.slow

MATHJAX = (
    "https://cdnjs.cloudflare.com/ajax/libs/mathjax/"  # nbgrader's page asks for it; here nobody answers
)
ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "slope": "def slope(x, f):\n    x = x.clone().requires_grad_()\n"
    "    return torch.autograd.grad(f(x).sum(), x)[0]",
}


class Canary(ThreadingHTTPServer):
    """Counts who comes: nobody should."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        hits = self.hits

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(self.path)
                self.send_response(204)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Graded(NamedTuple):
    """A course with three graded submissions of Ann (all right), Bob (half) and Eve (half, and hostile)."""

    root: Path
    scores: dict[str, float]
    messages: dict[str, list[str]]
    canary: Canary


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    require_chromium()
    try:
        require_bubblewrap()
    except SandboxMissing as missing:
        pytest.skip(str(missing))
    root, canary = write_course(tmp_path_factory.mktemp("browser")), Canary()
    shutil.copy(ROOT / "jupyter_server_config.py", root)
    source = root / "solutions" / LAB / f"{LAB}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    notebook.cells.insert(1, question("opinion", points=2))  # an answer in words before the tests
    nbformat.write(notebook, source)
    release(LAB, root)
    submit(root, "ann", answered(root, *ANSWERS))
    submit(root, "bob", answered(root, "double"))
    submit(root, "eve", hostile.notebook(released(root), canary.address))
    (root / "submitted/eve" / LAB / "nbgrader_config.py").write_text(hostile.CONFIG)
    results = grade(LAB, root, progress=False)
    messages = {r.student: [line for c in r.checks for line in c["messages"]] for r in results}
    yield Graded(root, {r.student: r.score for r in results}, messages, canary)
    canary.shutdown()


def copied(graded: Graded, folder: Path) -> Graded:
    """A course of one's own, and a canary that nobody has visited."""
    graded.canary.hits.clear()
    return graded._replace(root=shutil.copytree(graded.root, folder / "course"))


@pytest.fixture(scope="module")
def without_settings(graded, tmp_path_factory):
    """A course and JupyterLab in it, without the settings that are the second line."""
    course = copied(graded, tmp_path_factory.mktemp("without-settings"))
    with jupyter(course.root) as visit:
        yield course, visit


def answered(root, *names):
    notebook = copy.deepcopy(released(root))
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in names:
            cell.source = ANSWERS[name]
        elif name in ("opinion", "question"):
            cell.source = "Since $p < q$, the *second* one."
    return notebook


def rows(visit: Visit) -> list[list[str]]:
    """The texts of a table of formgrader."""
    visit.page.locator("#main-table tr td").first.wait_for()
    return [
        [cell.strip() for cell in row.split("\t")]
        for row in visit.page.inner_text("#main-table").splitlines()
    ]


def open_submission(visit: Visit, student: str) -> None:
    """Go where an instructor grades `student` by hand."""
    visit.open(f"formgrader/gradebook/{LAB}/{LAB}", "#main-table td.score")
    visit.page.click("#toggle_names")
    visit.page.click(f"a.name-shown:text-is('{student}')")
    visit.page.wait_for_function("window.formgrader?.grades?.loaded && formgrader.comments?.loaded")


def pwned(visit: Visit) -> bool:
    """Whether a script of the submission ran in this page or in one inside of it."""
    return any(frame.evaluate("() => window.pwned === 1") for frame in visit.page.frames)


def points(root: Path, student: str) -> dict[str, tuple[float | None, bool]]:
    """(points given by hand, still to be looked at) of each graded cell, in nbgrader's gradebook."""
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        (notebook,) = gradebook.find_submission(LAB, student).notebooks
        return {grade.name: (grade.manual_score, grade.needs_manual_grade) for grade in notebook.grades}


def by_hand(root: Path) -> dict[str, str]:
    path, _ = report(LAB, root, root / "report")
    return {row["student"]: row["manual_score"] for row in csv.DictReader(path.open())}


def test_points_given_by_hand_are_in_the_gradebook_and_the_report_and_outlive_grading_again(graded, tmp_path):
    course = copied(graded, tmp_path)
    with jupyter(course.root, "--config=jupyter_server_config.py") as visit:
        open_submission(visit, "eve")
        page = visit.page
        assert page.locator("#opinion.needs_manual_grade, #question.needs_manual_grade").count() == 2
        for name, given in (("opinion", "1.5"), ("question", "2")):
            with page.expect_response(lambda answer: "/api/grade/" in answer.url and answer.ok):
                page.fill(f"#{name}", given)
                page.press(f"#{name}", "Tab")
        with page.expect_response(lambda answer: "/api/comment/" in answer.url and answer.ok):
            page.fill("#question-comment", "Which *second* one?")
            page.press("#question-comment", "Tab")
        visit.picture("5-points-by-hand")
        open_submission(visit, "eve")
        assert page.input_value("#question") == "2" and page.input_value("#slope_test") == ""
        assert page.input_value("#question-comment") == "Which *second* one?"
        visit.open(f"formgrader/manage_submissions/{LAB}", "#main-table td.student-id")
        assert {row[1]: row[3:5] for row in rows(visit)}["eve"] == ["graded", "5.5 / 9"]
        visit.picture("6-submissions-graded")
        visit.open(f"lab/tree/autograded/ann/{LAB}/{LAB}.ipynb", ".jp-MarkdownOutput mjx-container:visible")
        # Even a submission as it came, opened in JupyterLab, loads nothing from elsewhere.
        visit.show(f"submitted/eve/{LAB}/{LAB}.ipynb", ".jp-MarkdownOutput summary:visible")
        visit.rest()
        visit.picture("7-as-it-came-with-our-settings")
    assert course.canary.hits == []
    # Nothing but what was typed, though Eve's answers have headings named after the cells of tests.
    given = {
        "opinion": (1.5, False),
        "question": (2, False),
        "double_test": (None, False),
        "slope_test": (None, False),
    }
    assert points(course.root, "eve") == given
    assert by_hand(course.root) == {"ann": "0", "bob": "0", "eve": "3.5"}

    submit(course.root, "eve", answered(course.root, *ANSWERS))
    (result,) = grade(LAB, course.root, students=["eve"], progress=False)
    assert (result.score, result.manual_score) == (4, 3.5)
    after = points(course.root, "eve")
    assert after["question"] == (2, True) and after["opinion"] == (1.5, True)
    assert by_hand(course.root)["eve"] == "3.5"


def test_formgrader_shows_our_scores_and_verdicts_and_nothing_of_a_hostile_submission_runs(without_settings):
    course, visit = without_settings
    page = visit.page
    course.canary.hits.clear()
    visit.open("lab", "#jp-MainLogo")
    page.click(".lm-MenuBar-itemLabel:text-is('Nbgrader')")
    page.click(".lm-Menu-itemLabel:text-is('Formgrader')")
    page.frame_locator("iframe").locator(f"#main-table a:text-is('{LAB}')").first.wait_for()
    visit.picture("1-formgrader-in-jupyterlab")

    visit.show(f"autograded/eve/{LAB}/{LAB}.ipynb", ".jp-MarkdownOutput mjx-container:visible")
    last = page.locator(".jp-RenderedText:has-text('left out while grading: HTML')")
    places = itertools.count(0, 300)

    def seen(output: playwright.Locator) -> bool:
        """Look on: JupyterLab has only those outputs on the page that are in sight."""
        view = page.locator(".jp-WindowedPanel-outer:visible").first
        view.evaluate("(view, top) => view.scrollTop = top % view.scrollHeight", next(places))
        return output.count() > 0 and output.last.is_visible()

    harmless = page.locator(".jp-RenderedText:has-text('onerror')")
    for output in (harmless, page.locator(".jp-RenderedImage"), last):
        visit.until(partial(seen, output), f"{output} is on the page")
    last.last.scroll_into_view_if_needed()
    visit.rest()
    visit.picture("4-hostile-submission-in-jupyterlab")
    assert "pwned" not in page.title() and not pwned(visit)
    assert page.locator(".jp-Notebook iframe, .jp-Notebook object, .jp-Notebook script").count() == 0

    visit.open(f"formgrader/manage_submissions/{LAB}", "#main-table td.student-id")
    shown = {row[1]: row[4] for row in rows(visit)}
    assert shown == {student: f"{score:g} / 9" for student, score in course.scores.items()}
    assert course.scores == {"ann": 4, "bob": 2, "eve": 2}
    visit.picture("2-submissions")

    open_submission(visit, "eve")
    visit.rest()
    visit.picture("3-hostile-submission")
    text = page.inner_text("#notebook")
    for message in course.messages["eve"]:
        assert message in text
    assert "An answer in words." in text and "[from the submission: not executed while grading]" in text
    assert page.title() == LAB and not pwned(visit)
    assert page.locator(".output img").count() >= 2 and page.locator(".text_cell img").count() == 2

    assert course.canary.hits == []
    assert {address for address in visit.elsewhere if not address.startswith(MATHJAX)} == set()
    assert not list(course.root.rglob("pwned"))


def test_the_same_submission_not_made_harmless_does_run_so_that_this_would_be_seen(without_settings):
    course, visit = without_settings
    course.canary.hits.clear()
    harmless = course.root / "autograded/eve" / LAB / f"{LAB}.ipynb"
    kept = harmless.read_bytes()
    notebook = nbformat.read(course.root / "submitted/eve" / LAB / f"{LAB}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = re.sub(r"<meta [^>]*refresh[^>]*>", "", cell.source)  # it would leave the page
    nbformat.write(notebook, harmless)
    try:
        visit.open(f"formgrader/gradebook/{LAB}/{LAB}", "#main-table td.score")
        visit.page.click("#toggle_names")
        visit.page.click("a.name-shown:text-is('eve')")
        visit.until(lambda: pwned(visit) and "/ran" in course.canary.hits)
        visit.until((course.root / "pwned").exists)  # one picture: formgrader ran the student's settings
        course.canary.hits.clear()
        visit.open(f"lab/tree/submitted/eve/{LAB}/{LAB}.ipynb", ".jp-MarkdownOutput summary:visible")
        visit.until(lambda: "/markdown.png" in course.canary.hits)
    finally:
        harmless.write_bytes(kept)
        (course.root / "pwned").unlink(missing_ok=True)
