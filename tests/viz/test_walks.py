"""Pictures of lecture 8 show the numbers that they were given, where they say, and name what is wrong."""

import math
import warnings

import pytest
import torch
from matplotlib.colors import to_hex

from ganedu import viz
from ganedu.viz.figure import png

PLANE = (-4.0, 4.0, -3.0, 3.0)
STEPS = torch.tensor([0.1, 0.3, 1.0])


def prior(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * z.square().sum(1)


def xy(line) -> list[list[float]]:
    return torch.tensor(line.get_xydata()).tolist()


def named(axis) -> dict:
    return dict(zip([t.get_text() for t in axis.get_legend().get_texts()], axis.get_lines(), strict=False))


def the_optimum(**changed):
    parts = {
        "step_size": STEPS,
        "acceptance": torch.tensor([0.9, 0.6, 0.1]),
        "ess": torch.tensor([5.0, 20.0, 3.0]),
        "limit": torch.tensor([0.95, 0.55, 0.05]),
    }
    return viz.mixing.optimum(**parts | changed, best=0.574, at=1, names=("τ", "worth"), title="a title")


def the_bias():
    def flat(x):
        return torch.full_like(x, 0.1)

    draws = {"ULA": torch.linspace(-3, 3, 50), "MALA": torch.zeros(50)}
    variances = {"ULA": torch.tensor([1.0, 1.5, 2.0]), "MALA": torch.ones(3)}
    return viz.mixing.bias(draws, {"target": flat}, variances, STEPS, lambda t: 1 + t, 0.3, "a title")


def the_meeting():
    x = torch.arange(24.0).reshape(6, 4)
    return viz.mixing.meeting(x, torch.tensor([3, 6]), torch.tensor([2.0, 1.2]), 1.01, "a title")


def the_orbit(energy=(1.0, 1.5, 0.9)):
    return viz.walks.orbit(
        torch.tensor([3.0, 1.0, 0.0]), torch.tensor([4.0, 2.0, 1.0]), torch.tensor(energy), "t"
    )


def test_a_particle_walks_its_path_and_pays_for_each_step():
    path = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 2.0]])
    plane, trace = viz.walks.particle(path, prior, PLANE, "a title", cost=10).axes
    way, start, here = plane.get_lines()[:3]
    assert xy(way) == path.tolist()
    assert xy(start) == [[0.0, 1.0]] and xy(here) == [[1.0, 2.0]]
    assert xy(trace.get_lines()[0]) == [[0, 0.0], [10, 1.0], [20, 1.0]]
    assert plane.get_xlim() == PLANE[:2] and plane.get_ylim() == PLANE[2:]


def test_an_orbit_is_drawn_beside_the_circle_through_its_start():
    plane, error = the_orbit().axes
    circle, way = plane.get_lines()[:2]
    assert torch.tensor(circle.get_xydata()).norm(dim=1).tolist() == pytest.approx([5.0] * 200)
    assert xy(way) == [[3.0, 4.0], [1.0, 2.0], [0.0, 1.0]]
    assert xy(error.get_lines()[0]) == [[0, 0.0], [1, 0.5], [2, pytest.approx(-0.1)]]
    assert error.get_yscale() == "linear"


def test_an_orbit_that_explodes_is_drawn_to_its_end():
    _, error = the_orbit((0.0, 50.0, 1e9)).axes
    assert error.get_yscale() == "symlog" and error.get_ylim()[1] > 1e9


def test_flows_are_written_in_percent_from_row_to_column():
    matrix = torch.tensor([[0.1, 0.25], [0.05, 0.6]])
    (axis,) = viz.walks.flows({"one": matrix}).axes
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "10.0", (1, 0): "25.0", (0, 1): "5.0", (1, 1): "60.0"}
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("to state", "from state", "one")


def test_decays_begin_at_step_0_and_bounds_are_black():
    values = {"a": torch.tensor([1.0, 0.5]), "limit": torch.tensor([2.0, 1.0])}
    (axis,) = viz.walks.decays(values, "distance", ["limit"]).axes
    first, bound = axis.get_lines()
    assert xy(first) == [[0, 1.0], [1, 0.5]] and xy(bound) == [[0, 2.0], [1, 1.0]]
    assert bound.get_color() == viz.OKABE_ITO["black"] and axis.get_yscale() == "log"


def test_the_optimum_is_drawn_against_step_and_against_acceptance():
    fig = the_optimum()
    left, right = fig.axes
    limit, measured, here = left.get_lines()[:3]
    assert measured.get_ydata().tolist() == pytest.approx([0.9, 0.6, 0.1])
    assert limit.get_ydata().tolist() == pytest.approx([0.95, 0.55, 0.05])
    assert xy(here) == [[pytest.approx(0.3), pytest.approx(0.6)]]
    assert xy(right.get_lines()[0]) == [pytest.approx(pair) for pair in ([0.9, 5], [0.6, 20], [0.1, 3])]
    assert [t.get_text() for t in left.get_xticklabels()] == ["0.1", "0.2", "0.5", "1"]
    assert right.get_lines()[2].get_xdata() == [0.574, 0.574]
    assert (left.get_xlabel(), right.get_ylabel(), fig.get_suptitle()) == ("τ", "worth", "a title")


def test_a_bias_is_drawn_as_a_law_and_as_variances():
    left, right = the_bias().axes
    assert named(right)["1 / (1 - τ/4)"].get_ydata()[-1] == pytest.approx(1 + 3.9)
    assert right.get_lines()[0].get_ydata().tolist() == [1.0, 1.5, 2.0]
    assert named(right)["this τ"].get_xdata() == [0.3, 0.3]
    assert left.get_lines()[0].get_ydata().tolist() == pytest.approx([0.1] * 300)


def test_a_meeting_shows_every_chain_and_r_hat_at_each_look():
    left, right = the_meeting().axes
    assert [line.get_ydata().tolist()[0] for line in left.get_lines()] == [0.0, 1.0, 2.0, 3.0]
    assert xy(right.get_lines()[0]) == [[3, 2.0], [6, pytest.approx(1.2)]]
    assert right.get_lines()[1].get_ydata() == [1.01, 1.01]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.walks.particle(torch.zeros(3, 4), prior, PLANE, ""), r"path: expected \(n, 2\)"),
        (lambda: viz.walks.particle(torch.zeros(0, 2), prior, PLANE, ""), "path: expected"),
        (lambda: viz.walks.orbit(torch.zeros(2), torch.zeros(3), torch.zeros(2), ""), "z, momentum, energy"),
        (lambda: viz.walks.flows({"A": torch.zeros(2, 3)}), r"A: expected a matrix .* got shape \(2, 3\)"),
        (lambda: viz.walks.decays({"A": torch.zeros(2, 3)}, ""), r"A: expected \(n,\)"),
        (lambda: the_optimum(ess=torch.zeros(2)), r"ess: expected \(k,\) like the others, \(3,\)"),
        (lambda: viz.mixing.meeting(torch.zeros(4), STEPS, STEPS, 1.01, ""), "x: expected"),
        (
            lambda: viz.mixing.meeting(torch.zeros(4, 2), STEPS, STEPS[:2], 1.01, ""),
            "rhat: expected one a look, 3",
        ),
    ],
)
def test_a_wrong_shape_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("figure", [the_optimum, the_bias, the_meeting, the_orbit])
def test_colours_are_those_of_okabe_and_ito_and_nothing_warns(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig = figure()
        assert png(fig).startswith(b"\x89PNG")
    for axis in fig.axes:
        assert axis.get_xlabel() and axis.get_ylabel()
        assert {to_hex(line.get_color()).upper() for line in axis.lines} <= set(viz.OKABE_ITO.values())
        assert all(math.isfinite(edge) for edge in (*axis.get_xlim(), *axis.get_ylim()))
