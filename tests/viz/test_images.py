"""Grids and strips put each picture where they say, and refuse what is no picture."""

import pytest
import torch

from ganedu import viz
from ganedu.viz.images import tile


def flat(*levels: float, size: int = 4) -> torch.Tensor:
    """One grey image a level, (n, 3, size, size)."""
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, size, size)


def test_a_tile_holds_the_images_row_by_row_one_pixel_apart():
    page = tile(flat(-1.0, -0.5, 0.0, 0.5, 1.0), columns=2)
    assert page.shape == (3 * 5 + 1, 2 * 5 + 1, 3)
    corners = [page[1 + 5 * row, 1 + 5 * column, 0] for row in range(3) for column in range(2)]
    assert corners == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    for line in (page[0], page[-1], page[:, 5], page[:, -1]):
        assert (line == 1).all()


def test_a_tile_keeps_rows_columns_and_colours_of_an_image():
    x = torch.rand(1, 3, 3, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    inside = tile(x)[1:-1, 1:-1]
    torch.testing.assert_close(torch.tensor(inside), (x[0].permute(1, 2, 0) + 1) / 2)


def test_grey_images_are_drawn_grey():
    page = tile(torch.zeros(1, 1, 2, 2))
    assert page[1:-1, 1:-1].shape == (2, 2, 3) and (page[1:-1, 1:-1] == 0.5).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, 4), "x: expected images"),
        (torch.zeros(2, 2, 4, 4), "x: expected images"),
        (torch.zeros(0, 3, 4, 4), "x: expected images"),
        (torch.full((1, 3, 4, 4), 127.0), r"x: expected values in \[-1, 1\], got 127"),
        (torch.full((1, 3, 4, 4), torch.nan), r"x: expected values in \[-1, 1\], got nan"),
    ],
)
def test_what_is_no_image_is_refused_by_name(x, message):
    with pytest.raises(ValueError, match=message):
        tile(x)


def test_compare_gives_one_titled_panel_a_set():
    fig = viz.images.compare(
        {"GAN": flat(0.0, 0.1), "DRS": flat(0.2), "MH-GAN": flat(0.3), "DDLS": flat(0.4)}
    )
    assert [axis.get_title() for axis in fig.axes] == ["GAN", "DRS", "MH-GAN", "DDLS"]
    with pytest.raises(ValueError, match="sets: expected at least one"):
        viz.images.compare({})


def test_a_strip_has_a_row_a_chain_and_time_to_the_right():
    trace = torch.linspace(-1, 1, 6).reshape(3, 2, 1, 1, 1).expand(3, 2, 3, 4, 4)
    (axis,) = viz.images.strip(trace, steps=(0, 50, 100)).axes
    page = axis.images[0].get_array()
    rows = [[page[1 + 5 * chain, 1 + 5 * draw, 0] for draw in range(3)] for chain in range(2)]
    assert rows == [pytest.approx([0.0, 0.4, 0.8]), pytest.approx([0.2, 0.6, 1.0])]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["0", "50", "100"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step", "chain")


def test_a_strip_refuses_a_wrong_trace_and_missing_labels():
    with pytest.raises(ValueError, match="x_trace: expected"):
        viz.images.strip(flat(0.0))
    with pytest.raises(ValueError, match="steps: expected one label for each of 3"):
        viz.images.strip(torch.zeros(3, 2, 3, 4, 4), steps=(0, 1))
