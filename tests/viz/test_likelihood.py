"""The plots of likelihood models show the numbers that they are given."""

import math
import warnings

import pytest
import torch
from matplotlib.colors import to_hex

from ganedu import viz
from ganedu.likelihood import Surgery
from ganedu.viz.likelihood import bound_plot, latent_plot, surgery_plot, variance_plot

K = [1, 10, 100]
BOUNDS = {
    "IWAE-k": (torch.tensor([-4.0, -3.0, -2.5]), torch.tensor([0.5, 0.2, 0.1])),
    "ELBO": (torch.tensor([-4.1, -4.0, -4.0]), torch.tensor([0.5, 0.2, 0.1])),
}
PARTS = {"beta 1": Surgery(-13.0, 6.0, 4.5, 1.5), "beta 30": Surgery(-25.0, 0.0, 0.0, 0.0)}
KL, ACTIVITY = torch.tensor([0.5, 2.0, 0.001, 1.0]), torch.tensor([0.3, 0.9, 1e-4, 0.02])


def named(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_bounds_are_drawn_with_two_standard_errors_and_the_truth():
    (axis,) = bound_plot(K, BOUNDS, exact=-2.4).axes
    assert set(named(axis)) == {"log p(x)", "IWAE-k", "ELBO"}
    assert axis.get_xscale() == "log"
    assert axis.lines[0].get_ydata()[0] == -2.4
    for container, (mean, error) in zip(axis.containers, BOUNDS.values(), strict=True):
        line, _, (bars,) = container.lines
        assert line.get_xdata().tolist() == K and line.get_ydata().tolist() == mean.tolist()
        heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
        assert heights == pytest.approx((4 * error).tolist())
    assert "log p(x)" not in named(bound_plot(K, BOUNDS).axes[0])


def test_variances_are_drawn_on_a_logarithmic_axis_and_zero_leaves_a_gap():
    variance = torch.tensor([4.0, 0.0, 0.25])
    (axis,) = variance_plot([0.0, 1.0, 2.0], {"baseline": variance, "other": variance + 1}, "mean of q").axes
    first, second = axis.lines
    assert axis.get_yscale() == "log" and axis.get_xlabel() == "mean of q"
    assert first.get_ydata()[[0, 2]].tolist() == [4.0, 0.25] and math.isnan(first.get_ydata()[1])
    assert second.get_ydata().tolist() == [5.0, 1.0, 1.25]
    assert first.get_linestyle() != second.get_linestyle()


def test_a_bar_is_as_high_as_the_negative_elbo():
    (axis,) = surgery_plot(PARTS).axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == list(PARTS)
    for i, part in enumerate(PARTS.values()):
        pieces = [container[i] for container in axis.containers]
        heights = [piece.get_height() for piece in pieces]
        assert heights == [-part.reconstruction, part.mutual_information, part.marginal_kl]
        assert pieces[-1].get_y() + pieces[-1].get_height() == pytest.approx(-part.elbo)


def test_dimensions_are_in_the_order_of_their_kl_and_say_which_have_collapsed():
    left, right = latent_plot(KL, ACTIVITY).axes
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["1", "3", "0", "2"]
    assert [bar.get_height() for bar in left.patches] == pytest.approx([2.0, 1.0, 0.5, 0.001])
    assert [bar.get_height() for bar in right.patches] == pytest.approx([0.9, 0.02, 0.3, 1e-4])
    for axis in (left, right):
        colours = [to_hex(bar.get_facecolor()).upper() for bar in axis.patches]
        assert colours == [viz.OKABE_ITO["blue"]] * 3 + [viz.OKABE_ITO["vermilion"]]
        assert named(axis) == ["3 active", "1 collapsed"]
    assert right.get_yscale() == "log" and right.lines[0].get_ydata()[0] == 0.01
    assert right.get_ylim()[0] < 1e-4


@pytest.mark.parametrize(
    "fig",
    [
        lambda: bound_plot([5], {"one": (torch.zeros(1), torch.zeros(1))}),
        lambda: surgery_plot({"none": Surgery(-1.0, 0.0, -1e-4, 1e-4)}),
        lambda: latent_plot(torch.zeros(3), torch.zeros(3)),
        lambda: latent_plot(torch.ones(40), torch.ones(40)),
        lambda: latent_plot(KL.double().requires_grad_(), ACTIVITY.double()),
    ],
)
def test_edges_are_drawn_without_a_warning(fig, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        viz.save(fig(), tmp_path / "x.png", dpi=40)


def test_every_colour_is_of_okabe_and_ito_and_every_axis_is_labelled():
    variances = {"a": torch.ones(3), "b": torch.ones(3)}
    figures = [
        bound_plot(K, BOUNDS, -2.4),
        variance_plot(K, variances, "x"),
        surgery_plot(PARTS),
        latent_plot(KL, ACTIVITY),
    ]
    for axis in [axis for fig in figures for axis in fig.axes]:
        assert axis.get_xlabel() and axis.get_ylabel()
        used = {to_hex(line.get_color()).upper() for line in axis.lines}
        used |= {to_hex(patch.get_facecolor()).upper() for patch in axis.patches}
        assert used <= set(viz.OKABE_ITO.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bound_plot([1], BOUNDS), r"bounds: expected mean and error \(1,\) of 'IWAE-k', got \(3,\)"),
        (
            lambda: variance_plot([1], {"a": torch.zeros(2)}, "x"),
            r"variances: expected \(1,\) of 'a', got \(2,\)",
        ),
        (
            lambda: variance_plot([1], dict.fromkeys("abcdefg", torch.ones(1)), "x"),
            "at most 6 lines in one plot, got 7",
        ),
        (lambda: surgery_plot({}), "parts: expected at least one model, got none"),
        (lambda: latent_plot(KL, KL[:2]), r"kl: expected \(d,\) as activity has, got \(4,\) and \(2,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
