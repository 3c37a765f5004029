"""A panel draws when a control moves, says what went wrong, and goes back to how it was."""

import pytest
from ipywidgets import Dropdown, FloatLogSlider, FloatSlider, IntSlider

from ganedu.demos.panel import Panel, beside_its_stops
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


@pytest.mark.parametrize(
    ("slider", "beside"),
    [
        (FloatLogSlider(2.0, min=-0.7, max=0.7, step=0.1), True),  # 10^0.301: a browser makes it 10^0.3
        (FloatLogSlider(10**0.3, min=-0.7, max=0.7, step=0.1), False),
        (FloatLogSlider(2.0, base=2, min=-2, max=2, step=0.25), False),
        (FloatSlider(0.55, min=0.1, max=1.5, step=0.1), True),
        (FloatSlider(0.8, min=0.1, max=1.5, step=0.1), False),
        (IntSlider(52, min=50, max=400, step=10), True),
        (IntSlider(7, min=0, max=7, step=4), False),  # the last stop is the end, wherever it is
        (Dropdown(options=[1, 2]), False),
    ],
)
def test_a_slider_begins_where_its_handle_can_stand(slider, beside):
    assert beside_its_stops(slider) == beside


def test_a_slider_that_a_browser_would_move_is_refused():
    drawing.calls = []
    controls = {"radius": FloatLogSlider(2.0, min=-1, max=1, step=0.1), "n": IntSlider(3)}
    with pytest.raises(ValueError, match="radius begins at 2.0, beside its stops, from -1.0 in steps of 0.1"):
        Panel(drawing, controls, "a line")
    assert drawing.calls == []
