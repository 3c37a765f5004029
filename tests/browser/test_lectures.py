"""Lectures in JupyterLab: cells run, each control of each demo moves its picture, nothing fails unseen."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.demo import Demo, demos
from tests.browser.jupyterlab import PICTURES, Visit, jupyter, open_notebook, require_chromium
from tests.lectures.lecture import LECTURES, notebook

pytestmark = pytest.mark.slow

# A panel whose picture hears one of its two sliders, and which breaks down where the third is above 5.
FAULTY = """
from ipywidgets import FloatSlider
from ganedu.demos.panel import Panel
from ganedu.viz.figure import panels


def draw(heard, deaf, fatal):
    if fatal > 5:
        raise ValueError("no picture above 5")
    figure, (axes,) = panels(1, 4, 2)
    axes.plot([0, heard])
    return figure


names = ("heard", "deaf", "fatal")
Panel(draw, {name: FloatSlider(1, max=10, description=name) for name in names}, "a line")
"""

# Fewer draws and steps: that pictures move does not hang on them. tests/demos has the demos as they are.
SMALL = """
from ganedu.demos import density_ratio, latent, latent_langevin, rep_gan

density_ratio.N_DRAWS, density_ratio.STEPS = 200, 10
latent_langevin.N_CHAINS, latent_langevin.STEPS = 100, 15
rep_gan.N_PRIOR, rep_gan.WALK_STEPS, rep_gan.STEPS = 400, 12, 20
latent.STEPS, latent.N_CLOUD, latent.ITERATIONS = 40, 30, 20
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab among copies of the lectures."""
    require_chromium()
    root = tmp_path_factory.mktemp("lectures") / "course"
    root.mkdir()
    for lecture in LECTURES:
        nbformat.write(shown(lecture), root / f"{lecture}.ipynb")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(FAULTY.strip(), id="faulty"), new_code_cell("1 / 0", id="error")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), root / "faulty.ipynb")
    with jupyter(root) as visit:
        yield visit


def shown(lecture: str) -> nbformat.NotebookNode:
    """A copy of a lecture: the first one whole, of the others the text, the first code and small demos."""
    copy = deepcopy(notebook(lecture))
    if lecture != LECTURES[0]:
        first = next(cell.id for cell in copy.cells if cell.cell_type == "code")
        copy.cells = [
            cell
            for cell in copy.cells
            if cell.cell_type != "code" or cell.id == first or cell.source.startswith("demos.")
        ]
        copy.cells.insert(0, new_code_cell(SMALL.strip(), id="small"))
    return copy


@pytest.mark.parametrize("lecture", LECTURES)
def test_every_control_of_every_demo_moves_its_picture(lab: Visit, lecture: str):
    page = open_notebook(lab, f"{lecture}.ipynb")
    page.run_all()
    assert page.errors() == []
    found = demos(page)
    assert len(found) >= 2
    for demo in found:
        demo.panel.scroll_into_view_if_needed()
        begin = demo.picture()
        for name, changed in changes(demo).items():
            assert changed, f"{demo.name}: {name} moved, and the picture did not change"
        assert demo.controls(), f"{demo.name} has nothing to move"
        demo.panel.screenshot(path=PICTURES / f"lecture-{lecture}-{demo.name}.png")
        assert demo.message() == "", demo.name
        demo.reset()
        lab.until(partial(shows, demo, begin), f"{demo.name}: Reset brings the first picture back")
    assert page.errors() == []


def shows(demo: Demo, picture: str) -> bool:
    return demo.picture() == picture


def changes(demo: Demo) -> dict[str, bool]:
    """Whether the picture changes, by the name of the control that is moved, one after the other."""
    found = {}
    for control in demo.controls():
        before = demo.picture()
        name = demo.move(control)
        found[name] = demo.picture() != before
    return found


def test_a_control_that_does_nothing_and_a_panel_that_fails_are_seen(lab: Visit):
    page = open_notebook(lab, "faulty.ipynb")
    page.run_all()
    assert ["ZeroDivisionError" in text for text in page.errors()] == [True]
    (demo,) = demos(page)
    assert changes(demo) == {"heard": True, "deaf": False, "fatal": False}
    assert demo.message() == "ValueError: no picture above 5"
    demo.panel.screenshot(path=PICTURES / "lecture-with-planted-faults.png")
