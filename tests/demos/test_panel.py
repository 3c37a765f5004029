"""A panel draws when a control moves, says what went wrong, and goes back to how it was."""

import pytest
from ipywidgets import FloatSlider, IntSlider

from ganedu.demos.panel import Panel
from ganedu.viz.figure import Figure

PNG = b"\x89PNG"


def drawing(radius: float, n: int) -> Figure:
    """A figure whose size tells the arguments: a test can see what was drawn."""
    if radius < 0.5:
        raise ValueError(f"radius: expected at least 0.5, got {radius}")
    drawing.calls.append((radius, n))
    fig = Figure(2, 2)
    fig.subplots().plot([0, radius], [0, n])
    return fig


@pytest.fixture
def panel():
    drawing.calls = []
    controls = {"radius": FloatSlider(1.0, min=0, max=2), "n": IntSlider(3, min=1, max=9)}
    return Panel(drawing, controls, "a line")


def test_it_is_drawn_at_once_and_again_whenever_a_control_moves(panel):
    first = panel.picture.value
    assert bytes(first).startswith(PNG) and drawing.calls == [(1.0, 3)]
    panel.controls["n"].value = 5
    assert drawing.calls[-1] == (1.0, 5) and panel.picture.value != first


def test_an_error_is_shown_and_the_last_good_picture_stays(panel):
    before = panel.picture.value
    panel.controls["radius"].value = 0.1
    assert isinstance(panel.error, ValueError)
    assert panel.message.value == "ValueError: radius: expected at least 0.5, got 0.1"
    assert panel.picture.value == before
    panel.controls["radius"].value = 0.9
    assert panel.error is None and panel.message.value == "" and panel.picture.value != before


def test_reset_goes_back_with_one_drawing(panel):
    before = panel.picture.value
    panel.set(radius=2.0, n=9)
    n_drawn = len(drawing.calls)
    panel.reset.click()
    assert panel.values() == {"radius": 1.0, "n": 3} and panel.picture.value == before
    assert len(drawing.calls) == n_drawn + 1


def test_what_cannot_move_shows_the_picture(panel):
    bundle = panel._repr_mimebundle_()
    assert bundle["image/png"] == bytes(panel.picture.value)
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_what_cannot_move_shows_the_answer_that_is_held_back_from_what_can():
    drawing.calls = []
    controls = {"radius": FloatSlider(1.0, min=0, max=2), "n": IntSlider(3, min=1, max=9)}
    panel = Panel(drawing, controls, "a line", still={"n": 9})
    bundle = panel._repr_mimebundle_()
    assert drawing.calls == [(1.0, 3), (1.0, 9)]
    assert bundle["image/png"].startswith(PNG) and bundle["image/png"] != bytes(panel.picture.value)
    assert panel.values() == {"radius": 1.0, "n": 3}
