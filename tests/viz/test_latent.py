"""The plots of lecture 10 show the numbers that they are given, where they say."""

import pytest
import torch
from matplotlib.colors import to_hex

from ganedu.viz import latent, results, surface, tilt


def flat(*levels: float) -> torch.Tensor:
    """One grey image a level, (n, 3, 4, 4)."""
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_proposals_lie_over_the_states_that_they_led_to_with_their_marks():
    accepted, alpha = torch.tensor([True, False]), torch.tensor([0.75, 0.25])
    x, proposed = flat(-1.0, -0.5, -0.5), flat(-0.5, 0.5)
    curves = {"acceptance": torch.tensor([0.9, 0.4]), "jump": torch.tensor([1.0, 9.0])}
    fig = latent.proposals(x, proposed, accepted, alpha, curves, (0.1, 1.0), 1.0, {"jump": 5.0}, "title")
    strip, left, right = fig.axes
    page = strip.images[0].get_array()
    rows = [[page[1 + 5 * row, 1 + 5 * k, 0] for k in range(3)] for row in range(2)]
    assert rows == [pytest.approx([1.0, 0.25, 0.75]), pytest.approx([0.0, 0.25, 0.25])]
    assert [text.get_text() for text in strip.texts] == ["✓ 0.75", "✗ 0.25"]
    colours = [to_hex(frame.get_edgecolor()).upper() for frame in strip.patches]
    assert colours == [latent.ACCEPTED, latent.REJECTED]
    assert left.lines[0].get_ydata().tolist() == pytest.approx([0.9, 0.4]) and len(left.lines) == 2
    assert right.lines[2].get_ydata()[0] == 5.0 and right.lines[1].get_xdata()[0] == 1.0
    fig = latent.proposals(x, proposed, accepted, alpha, curves, (0.1, 1.0), 0.1, {"jump": 5.0}, "title")
    _, left, right = fig.axes
    assert left.lines[0].get_ydata().tolist() == pytest.approx([0.9])  # what longer steps do comes later
    assert right.get_ylim()[1] > 9.0 and right.get_xlim()[1] > 1.0  # and has its place already
    with pytest.raises(ValueError, match="one state more than steps, got 2, 2, 2, 2"):
        latent.proposals(x[:2], proposed, accepted, alpha, curves, (0.1, 1.0), 1.0, {}, "")


def test_two_targets_have_the_median_of_their_chains():
    logits = {"with": torch.arange(6.0).reshape(2, 3), "without": torch.full((2, 3), 9.0)}
    fig = latent.two_targets({"a": flat(0.0), "b": flat(0.5)}, logits, 10, 10, 5.5, columns=1)
    assert [axis.get_title() for axis in fig.axes[:2]] == ["a", "b"]
    lines = fig.axes[2].lines
    medians = [line for line in lines if "median" in line.get_label()]
    assert [line.get_ydata().tolist() for line in medians] == [[1.0, 4.0], [9.0, 9.0]]
    assert medians[0].get_xdata().tolist() == [0, 10]
    fig = latent.two_targets({"a": flat(0.0), "b": flat(0.5)}, logits, 0, 10, 5.5, columns=1)
    axis = fig.axes[2]
    assert {len(line.get_xdata()) for line in axis.lines if "median" in line.get_label()} == {1}
    assert axis.get_ylim()[1] > 9.0 and axis.get_xlim()[1] > 10
    assert [line.get_ydata()[0] for line in lines if line.get_label().startswith("99.9%")] == [5.5]


def test_a_path_is_drawn_up_to_its_step():
    way = torch.arange(10.0).reshape(5, 2)
    shares = {"path": torch.tensor([0.6, 0.2]), "walk": torch.tensor([0.5, 0.3])}
    fig = latent.path(way, torch.zeros(3, 2), 8, 4, shares, flat(0.0, 0.1), "title")
    plane, bars, strip = fig.axes
    whole, shown, start, now = plane.lines
    assert len(whole.get_xdata()) == 5 and shown.get_xdata().tolist() == [0, 2, 4]
    assert (float(start.get_xdata()[0]), float(now.get_ydata()[0])) == (0, 5)
    assert [bar.get_height() for bar in bars.patches] == pytest.approx([0.6, 0.2, 0.5, 0.3])
    assert [tick.get_text() for tick in strip.get_xticklabels()] == ["0", "8"]
    _, bars, _ = latent.path(way, torch.zeros(3, 2), 8, 4, {}, flat(0.0, 0.1), "title").axes
    assert not bars.patches and bars.get_legend() is None


def test_an_inversion_frames_the_start_that_is_nearest():
    errors = torch.tensor([[0.5, 0.4], [0.1, 0.2]])
    frames = []
    for iteration in (0, 1):
        fig = latent.inversion(flat(0.0)[0], flat(0.1, 0.2), errors, 10 * errors, iteration, 3.0, "t")
        strip, error, norm = fig.axes
        frames.append(strip.patches[0].get_x() / 5 - 2)
    assert frames == [1, 0]
    assert error.lines[1].get_ydata().tolist() == pytest.approx([0.4, 0.2])
    assert norm.lines[0].get_ydata().tolist() == pytest.approx([5.0, 1.0])
    _, error, norm = latent.inversion(flat(0.0)[0], flat(0.1, 0.2), errors, 10 * errors, 0, 3.0, "t").axes
    assert len(error.lines[1].get_ydata()) == len(norm.lines[0].get_ydata()) == 1
    assert error.get_ylim()[0] < 0.1 and norm.get_ylim()[0] < 1.0


def test_a_tilt_weights_the_second_histogram():
    logit, weight = torch.tensor([0.0, 1.0]), torch.tensor([0.25, 0.75])
    curves = {"without": [0.9, 0.2]}
    fig = tilt.acceptance(logit, weight, (1.0, 2.0), curves, 2.0, {"paper": 0.05}, "title")
    bars, axis = fig.axes
    first, second = (patch.get_xy()[:, 1].max() for patch in bars.patches)
    assert first == pytest.approx(20) and second == pytest.approx(30)  # 40 bins of width 1/40
    assert list(axis.lines[0].get_ydata()) == [0.9, 0.2] and axis.lines[1].get_ydata()[0] == 0.05
    _, axis = tilt.acceptance(logit, weight, (1.0, 2.0), curves, 1.0, {"paper": 0.05}, "title").axes
    assert list(axis.lines[0].get_ydata()) == [0.9] and axis.get_ylim()[0] < 0.05


def test_terms_are_bars_above_their_sums():
    terms = {"p": (1.0, 0.5), "q": (-3.0, -0.5)}
    points = {"x": torch.zeros(2, dtype=torch.float64), "x′": torch.ones(2, dtype=torch.float64)}

    def lifted(z):
        return torch.cat([z, z[..., :1] * z[..., 1:]], dim=-1)

    fig = surface.bent(lifted, points, terms, "title")
    space, axis = fig.axes
    assert [bar.get_width() for bar in axis.patches] == [1.0, -3.0, -2.0, 0.5, -0.5, 0.0]
    assert [float(part[0]) for part in space.lines[1].get_data_3d()] == [1.0, 1.0, 1.0]


def test_gains_by_epoch_have_their_intervals_and_a_ranking_its_order():
    gains = {"ours": [(0.5, 0.1), (0.3, 0.2)], "theirs, no interval": [(0.2, 0.0), (0.1, 0.0)]}
    fig = results.by_epoch((1, 2), {"a": (0.1, 0.2)}, gains, "gain")
    left, right = fig.axes
    assert list(left.lines[0].get_ydata()) == [0.1, 0.2]
    bars, points = right.containers
    assert list(points.lines[0].get_ydata()) == [0.2, 0.1]
    assert points.lines[1:] == ((), ())  # no interval is known, and none is drawn, not even its caps
    segments = [part.tolist() for part in bars.lines[2][0].get_segments()]
    assert [[y for _, y in segment] for segment in segments] == [
        pytest.approx([0.4, 0.6]),
        pytest.approx([0.1, 0.5]),
    ]
    (axis,) = results.ranking({"best": 300.0, "worst": 3.0}, "samples", ("one", 1.5)).axes
    assert [bar.get_width() for bar in axis.patches] == [300.0, 3.0]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["best", "worst"]
    assert axis.lines[0].get_xdata()[0] == 1.5
