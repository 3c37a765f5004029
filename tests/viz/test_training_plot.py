"""The plot of a training: what is drawn is what was handed over."""

import numpy as np

from ganedu import viz


def test_losses_are_drawn_and_the_lowest_held_out_one_is_marked():
    curves = {"training": [3.0, 2.0, 1.0], "held out": [3.5, 2.5, 2.75]}
    (axis,) = viz.training.losses([10, 20, 30], curves).axes
    drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
    for name, values in curves.items():
        np.testing.assert_array_equal(drawn[name], np.column_stack([[10, 20, 30], values]))
    np.testing.assert_array_equal(drawn["lowest: 2.5"], [[20, 2.5]])
    assert axis.get_xlabel() and axis.get_ylabel()


def test_without_held_out_rows_nothing_is_marked():
    (axis,) = viz.training.losses([10, 20], {"training": [3.0, 2.0]}).axes
    assert [line.get_label() for line in axis.lines] == ["training"]


def test_a_game_has_a_panel_of_losses_and_one_for_each_figure_of_merit():
    losses = {"critic": [1.0, 0.5], "generator": [0.7, 2.0]}
    axis, fid, modes = viz.training.game([10, 20], losses, {"FID": [9.0, 8.0], "modes": [1.0, 2.0]}).axes
    drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
    assert drawn.keys() == losses.keys()
    for name, values in losses.items():
        np.testing.assert_array_equal(drawn[name], np.column_stack([[10, 20], values]))
    for panel, name, values in ((fid, "FID", [9.0, 8.0]), (modes, "modes", [1.0, 2.0])):
        np.testing.assert_array_equal(panel.lines[0].get_xydata(), np.column_stack([[10, 20], values]))
        assert panel.get_ylabel() == name and panel.get_xlabel() == "step"
    (alone,) = viz.training.game([10], {"critic": [1.0]}, {}).axes
    assert alone.lines[0].get_marker() == ".", "a line of one point is not seen"
