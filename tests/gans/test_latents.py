"""Ways through latent space: where they begin, end and lie between, by trigonometry and the chi law."""

import math

import pytest
import torch
from scipy import stats

from ganedu.gans.latents import arithmetic, linear, spherical


def draws(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_quarter_of_a_circle_is_gone_in_equal_angles():
    way = spherical(torch.tensor([2.0, 0.0]).double(), torch.tensor([0.0, 2.0]).double(), 7)
    angle = torch.arange(7) * math.pi / 12
    torch.testing.assert_close(
        way, 2 * torch.stack([angle.cos(), angle.sin()], 1).double(), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("dim", [2, 3, 100])
def test_an_arc_turns_evenly_in_the_plane_of_its_ends_and_its_lengths_go_evenly(dim):
    start, end = draws(5, dim), 3 * draws(5, dim, 1)
    way = spherical(start, end, 9)
    torch.testing.assert_close(way[0], start)
    torch.testing.assert_close(way[-1], end)
    lengths = way.norm(dim=-1)
    torch.testing.assert_close(lengths.diff(dim=0), ((lengths[-1] - lengths[0]) / 8).expand(8, 5))
    angles = (way[1:] * way[:-1]).sum(-1) / (lengths[1:] * lengths[:-1])
    whole = (start * end).sum(-1) / (start.norm(dim=-1) * end.norm(dim=-1))
    torch.testing.assert_close(angles.arccos(), (whole.arccos() / 8).expand(8, 5), atol=1e-7, rtol=1e-7)
    for i in range(5):
        assert torch.linalg.matrix_rank(way[:, i]) == 2


def test_between_near_directions_the_arc_is_the_chord():
    start = draws(4, 10)
    for end in (start, 2.0 * start, start + 1e-9 * draws(4, 10, 1)):
        torch.testing.assert_close(spherical(start, end, 5), linear(start, end, 5), atol=1e-8, rtol=0)
    short = start.float()
    assert torch.isfinite(spherical(short, short.clone(), 3)).all()


def test_the_middle_of_a_chord_is_where_the_prior_is_not():
    """Of 2,000 pairs; a mean of chi-squared numbers over n d = 200,000 degrees, five standard errors."""
    start, end = draws(2000, 100), draws(2000, 100, 1)
    for way, share in ((linear, 0.5), (spherical, 1.0)):
        middle = way(start, end, 3)[1]
        # An arc's middle is as long as its ends are on average, which is less by their spread.
        expect = share * 100 if way is linear else ((start.norm(dim=1) + end.norm(dim=1)) / 2).square().mean()
        error = 5 * 100 * share * math.sqrt(2 / 200_000)
        assert float(middle.square().sum(1).mean()) == pytest.approx(float(expect), abs=error)
    assert stats.chi2(100).cdf(50) < 1e-5  # what the docstring says


def test_a_sum_of_means_is_that_of_a_loop():
    plus, minus, other = draws(3, 4), draws(3, 4, 1), draws(2, 4, 2)
    expect = [
        sum(row[j] for row in plus.tolist()) / 3
        - sum(row[j] for row in minus.tolist()) / 3
        + sum(row[j] for row in other.tolist()) / 2
        for j in range(4)
    ]
    assert arithmetic(plus, minus, other).tolist() == pytest.approx(expect)


def test_what_has_no_way_is_refused():
    z = torch.ones(3)
    with pytest.raises(ValueError, match=r"start, end: expected one shape \(..., d\), got \(3,\) and \(2,\)"):
        linear(z, torch.ones(2), 3)
    with pytest.raises(ValueError, match="steps: expected at least 2"):
        spherical(z, z, 1)
    with pytest.raises(ValueError, match="got one at 0"):
        spherical(z, 0 * z, 3)
    with pytest.raises(ValueError, match="no opposite directions"):
        spherical(z, -2 * z, 3)
    with pytest.raises(ValueError, match=r"minus: expected latents \(k, 3\), k > 0, got \(3, 4\)"):
        arithmetic(torch.ones(3, 3), torch.ones(3, 4), torch.ones(3, 3))


def test_whole_numbers_and_no_latents_are_refused():
    z = torch.ones(3)
    with pytest.raises(ValueError, match="start, end: expected floats, got torch.int64"):
        linear(z.long(), z.long(), 3)
    with pytest.raises(ValueError, match=r"other: expected latents \(k, 3\), k > 0, got \(0, 3\)"):
        arithmetic(torch.ones(2, 3), torch.ones(2, 3), torch.ones(0, 3))
