"""Samples over what they are samples of: all points are there, and those outside are counted."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from ganedu.viz import density


def test_each_panel_has_the_data_and_its_draws_and_says_how_many_are_outside():
    data = torch.tensor([[-1.0, 0.0], [1.0, 4.0]])  # the square around them is [-2.4, 2.4] x [-0.4, 4.4]
    points = {"near": torch.tensor([[0.0, 1.0], [2.3, 4.3]]), "far": torch.tensor([[9.0, 1.0], [0.0, -0.5]])}
    near, far, gone = density.over(points | {"gone": None}, data).axes
    for axis, name in ((near, "near"), (far, "far")):
        below, above = (part.get_offsets() for part in axis.collections)
        np.testing.assert_array_equal(below, data)
        np.testing.assert_allclose(above, points[name])
    assert [axis.get_title() for axis in (near, far, gone)] == [
        "near",
        "far\n2 of 2 outside",
        "gone: stopped",
    ]
    assert len(gone.collections) == 1
    for axis in (near, far, gone):
        assert axis.get_xlim() == pytest.approx((-2.4, 2.4)) and axis.get_ylim() == pytest.approx((-0.4, 4.4))
        assert axis.get_xlabel() == "x1" and axis.get_ylabel() == ("x2" if axis is near else "")


@pytest.mark.parametrize("first", [None, torch.zeros(1, 2)])
def test_draws_are_in_the_legend_whatever_the_first_panel_has(first):
    fig = density.over({"first": first, "second": torch.eye(2)}, torch.eye(2), title="ring, 5 steps")
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["data", "draws"]
    colours = [mark.get_color() for mark in legend.legend_handles]
    drawn = fig.axes[1].collections
    assert [to_hex(colour) for colour in colours] == [to_hex(part.get_facecolor()[0]) for part in drawn]
    assert fig.get_suptitle() == "ring, 5 steps"


def test_a_draw_that_is_not_a_number_is_outside():
    axis, *_ = density.over({"broken": torch.tensor([[torch.nan, 0.0]])}, torch.eye(2)).axes
    assert axis.get_title() == "broken\n1 of 1 outside"
    with pytest.raises(ValueError, match=r"line: expected points \(n, 2\)"):
        density.over({"line": torch.zeros(3)}, torch.eye(2))
