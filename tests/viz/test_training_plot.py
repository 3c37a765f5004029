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
