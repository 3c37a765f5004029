"""Reliability diagrams and trade-offs show the numbers they were given."""

import pytest
import torch

from ganedu import viz
from ganedu.gans.calibration import Reliability

CURVE = Reliability(torch.tensor([0.1, 0.6]), torch.tensor([0.3, 0.5]), torch.tensor([30, 10]))


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def lines(axis):
    return {line.get_label(): line for line in axis.lines}


def test_a_reliability_diagram_has_observed_over_predicted_and_how_often():
    left, right = viz.calibration.reliability({"raw": CURVE}, bins=5, title="slope 1").axes
    assert lines(left)["raw"].get_xydata().tolist() == pytest.approx(torch.tensor([[0.1, 0.3], [0.6, 0.5]]))
    assert lines(left)["calibrated"].get_xydata().tolist() == [[0, 0], [1, 1]]
    # 30 of 40 draws in a bin of length 1/5 are a density of 3.75.
    assert lines(right)["raw"].get_ydata().tolist() == pytest.approx([3.75, 1.25])
    assert left.get_xlabel() == right.get_xlabel() == "predicted probability of real"
    assert right.get_title() == "slope 1" and labels(left) == ["calibrated", "raw"]


def test_the_modes_figure_has_all_draws_shares_and_rates():
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    shares = {"GAN": torch.tensor([0.1, 0.9]), "DRS": torch.tensor([0.4, 0.6])}
    rates = {"DRS": [0.5, 0.1]}
    fig = viz.calibration.modes({"DRS": x}, shares, 0.5, (0.5, 2.0), rates, 2.0)
    scatter, share, rate = fig.axes
    torch.testing.assert_close(torch.tensor(scatter.collections[0].get_offsets().data), x.double())
    assert scatter.get_title() == "DRS"
    for name, expect in shares.items():
        assert lines(share)[name].get_ydata() == pytest.approx(expect.tolist())
    assert lines(share)["data"].get_ydata()[0] == 0.5
    assert lines(rate)["DRS"].get_xydata().tolist() == [[0.5, 0.5], [2.0, 0.1]]
    assert lines(rate)["here"].get_xdata()[0] == 2.0
    # A sampler keeps its colour in all panels.
    assert lines(share)["DRS"].get_color() == lines(rate)["DRS"].get_color() == viz.OKABE_ITO["vermilion"]


def test_draws_on_the_grid_have_a_panel_each():
    x = torch.zeros(4, 2)
    fig = viz.calibration.on_grid({"data": x, "GAN": x + 1})
    assert [axis.get_title() for axis in fig.axes] == ["data", "GAN"]
    assert fig.axes[1].collections[0].get_offsets().data.tolist() == [[1, 1]] * 4


def test_the_rejection_figure_marks_where_it_is():
    logit = torch.linspace(-20, 2, 1000)
    here, exact = torch.sigmoid(logit), (logit - 2).exp()
    along = {"share accepted": [0.9, 0.5], "distance": [0.4, 0.0]}
    now = {"share accepted": 0.5, "distance": 0.1}
    names = {"here": here, "exact": exact}
    left, right = viz.tradeoff.rejection(logit, names, [-1.0, 0.0], along, 0.0, now).axes
    for name in names:
        x, y = torch.tensor(lines(left)[name].get_xydata()).float().T
        assert x.max() == 2.0 and x.min() > -6.1  # the best draw is shown, hopeless ones are not
        torch.testing.assert_close(
            y, torch.sigmoid(x) if name == "here" else (x - 2).exp(), rtol=1e-3, atol=1e-4
        )
    assert labels(right) == ["share accepted: 0.5 here", "distance: 0.1 here"]
    assert [[0.0, 0.5], [0.0, 0.1]] == [
        line.get_xydata().tolist()[0] for line in right.lines if len(line.get_xydata()) == 1
    ]


def test_the_step_size_figure_marks_the_step_and_the_noise():
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    distances = {"DDLS": [0.3, 0.1], "REP-GAN": [0.2, 0.05]}
    left, right = viz.tradeoff.step_sizes(
        x,
        lambda z: -0.5 * z.square().sum(1),
        (-3, 3, -2, 2),
        "DDLS, τ = 0.1",
        (0.01, 0.1),
        distances,
        0.1,
        0.04,
    ).axes
    torch.testing.assert_close(torch.tensor(left.collections[0].get_offsets().data), x.double())
    assert left.get_xlim() == (-3, 3) and left.get_ylim() == (-2, 2) and left.get_title() == "DDLS, τ = 0.1"
    for name, expect in distances.items():
        assert lines(right)[name].get_ydata().tolist() == expect
    assert labels(right) == ["DDLS", "REP-GAN", "exact draws: noise"]
    assert right.patches[0].get_height() == pytest.approx(0.04)
    assert 0.1 in [line.get_xdata()[0] for line in right.lines]
