"""A student opens a lab in JupyterLab, answers wrongly, reads what the check says, and mends it."""

from __future__ import annotations

import shutil

import pytest

from tests.browser.jupyterlab import ROOT, Notebook, Visit, jupyter, open_notebook, require_chromium

pytestmark = pytest.mark.slow

LAB = "lab10_rep_gan"
FIRST = "latent_log_prob"  # its first exercise


@pytest.fixture
def visit(tmp_path):
    """JupyterLab among the labs that students get."""
    require_chromium()
    shutil.copytree(ROOT / "labs", tmp_path / "labs", ignore=shutil.ignore_patterns(".*"))
    with jupyter(tmp_path / "labs") as visit:
        yield visit


class Answer:
    """The cell that a student writes in, and the cell that checks it."""

    def __init__(self, notebook: Notebook, function: str):
        self.notebook, self.page = notebook, notebook.page
        cells = self.page.locator(".jp-CodeCell")
        self.cell = cells.filter(has_text=f"def {function}(").first
        self.check = cells.filter(has_text=f"{function}(points").first

    def write(self, line: str) -> None:
        """Put `line` where the answer ends: over the stub at first, then over what was written before."""
        last = self.cell.locator(".cm-line").last
        last.scroll_into_view_if_needed()
        last.click()
        for key in ("End", "Shift+Home", "Shift+Home"):
            self.page.keyboard.press(key)
        self.page.keyboard.type(f"    {line}")

    def run(self) -> str:
        """Shift and Enter on the answer and on its check; what stands below the check then."""
        self.cell.locator(".cm-line").last.click()
        self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.press("Shift+Enter")
        self.notebook.settle()
        self.check.scroll_into_view_if_needed()
        return self.check.locator(".jp-OutputArea").inner_text()


def test_a_student_answers_wrongly_then_rightly_and_sees_what_the_check_says(visit: Visit):
    notebook = open_notebook(visit, f"{LAB}/{LAB}.ipynb")
    page = visit.page
    assert page.locator("h1").first.inner_text().startswith("Lab 10")
    visit.picture("lab10-1-opened")
    page.locator(".jp-Cell").first.click()
    answer = Answer(notebook, FIRST)
    while "jp-mod-active" not in answer.cell.get_attribute("class"):  # cell by cell, from the top
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(50)
    notebook.settle()
    assert notebook.errors() == []

    unanswered = answer.run()
    assert "NotImplementedError" in "".join(notebook.errors())
    visit.picture("lab10-2-unanswered")

    answer.write("return logit(generator(z))")
    wrong = answer.run()
    assert "✗ without D, log p falls by 25/2 from (0, 0) to (3, 4)" in wrong
    assert "expected  12.5" in wrong and "Traceback" not in wrong and "next" in wrong
    visit.picture("lab10-3-wrong")

    answer.write("return -0.5 * z.square().sum(1) + logit(generator(z))")
    right = answer.run()
    assert "✗" not in right and right.count("✓") == 7
    assert "7 visible checks passed; 11 more run when you submit." in right
    visit.picture("lab10-4-right")
    assert unanswered != wrong != right and notebook.errors() == []
