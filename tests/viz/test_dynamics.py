"""Phase portraits show the field and the ways that they are given."""

import pytest
import torch
from matplotlib.colors import to_hex

from ganedu import viz
from ganedu.gans import dynamics as games
from ganedu.viz.dynamics import phase_portraits

START = torch.tensor([1.0, 0.0])
WAYS = {"simultaneous": games.play(games.bilinear, START, 0.1, 30)}
BOTH = {**WAYS, "alternating": games.play(games.bilinear, START, 0.1, 30, games.alternating)}


def picture():
    fields = {"xy": games.bilinear, "saddle": games.saddle(0.3)}
    return phase_portraits(fields, {"xy": BOTH, "saddle": WAYS})


def test_every_way_is_drawn_from_its_start_to_its_end():
    first, second = picture().axes
    assert (first.get_title(), second.get_title()) == ("xy", "saddle")
    line, start, end, other = first.lines[:4]
    assert torch.tensor(line.get_xydata()).allclose(BOTH["simultaneous"].double())
    assert start.get_xydata().tolist() == [[1.0, 0.0]] and start.get_marker() == "o"
    assert torch.tensor(end.get_xydata())[0].allclose(BOTH["simultaneous"][-1].double())
    assert torch.tensor(other.get_xydata()).allclose(BOTH["alternating"].double())
    assert len(second.lines) == 4  # one way, and the mark at 0
    assert first.get_xlim() == (-2, 2) and first.get_xlabel() == "x (generator)"


def test_arrows_point_where_the_field_does():
    axis = picture().axes[0]
    quiver = next(artist for artist in axis.collections if hasattr(artist, "U"))
    places = torch.tensor(quiver.XY, dtype=torch.float64)
    shown = torch.stack([torch.tensor(quiver.U), torch.tensor(quiver.V)], 1)
    expected = games.bilinear(places)
    cosine = torch.cosine_similarity(shown, expected, dim=1)
    moving = expected.norm(dim=1) > 1e-9
    torch.testing.assert_close(cosine[moving], torch.ones_like(cosine[moving]))
    share = (expected.norm(dim=1) / expected.norm(dim=1).max()).sqrt()
    torch.testing.assert_close(shown.norm(dim=1), share)


def test_one_name_has_one_colour_and_one_dash_in_all_panels_and_in_the_legend():
    fig = picture()
    (legend,) = fig.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["simultaneous", "alternating"]
    looks = [(to_hex(line.get_color()).upper(), line.get_linestyle()) for line in legend.get_lines()]
    for axis in fig.axes:
        assert (to_hex(axis.lines[0].get_color()).upper(), axis.lines[0].get_linestyle()) == looks[0]
    assert len(set(looks)) == 2
    assert {colour for colour, _ in looks} <= set(viz.OKABE_ITO.values())


def test_several_ways_of_one_name_and_none_at_all():
    many = games.play(games.bilinear, torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), 0.1, 5)
    (axis,) = phase_portraits({"xy": games.bilinear}, {"xy": {"three": many}}).axes
    assert len(axis.lines) == 3 * 3 + 1 + 1  # and one that the legend shows
    still = phase_portraits({"rest": lambda z: 0 * z}, {})
    assert still._repr_png_().startswith(b"\x89PNG") and not still.legends


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ({"other": WAYS}, r"ways: expected titles among \['xy'\], got \['other'\]"),
        ({"xy": {"bad": torch.zeros(4, 3)}}, r"bad: expected shape \(steps, 2\)"),
        ({"xy": {str(i): WAYS["simultaneous"] for i in range(7)}}, "ways: expected at most 6 names, got 7"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ways, message):
    with pytest.raises(ValueError, match=message):
        phase_portraits({"xy": games.bilinear}, ways)
