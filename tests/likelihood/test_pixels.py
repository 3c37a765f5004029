"""What a likelihood is asked about: binary pixels, dequantised ones, and bits for them."""

import math

import pytest
import torch

from ganedu import data
from ganedu.likelihood import binarise, dequantise, floats, threshold
from ganedu.likelihood.pixels import BYTE, DIGIT
from tests.laws import worst


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


BYTES = torch.randint(0, 256, (50, 1, 8, 8), generator=rng(), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("make", "random"), [(floats, False), (threshold, False), (binarise, True), (dequantise, True)]
)
def test_bytes_and_floats_of_the_same_image_give_the_same(make, random):
    of_bytes, of_floats = (make(x, *[rng(3)] * random) for x in (BYTES, data.to_float(BYTES)))
    assert torch.equal(of_bytes, of_floats)
    assert of_bytes.dtype == torch.float32 and of_bytes.shape == BYTES.shape


def test_the_threshold_is_between_127_and_128():
    x = torch.tensor([[0, 127, 128, 255]], dtype=torch.uint8)
    assert threshold(x).tolist() == [[0, 0, 1, 1]]


def test_a_binary_pixel_is_one_as_often_as_it_is_bright():
    """Four shades, 100,000 draws each, 5.5 standard errors: by luck once in six million runs. Power: the
    brightness squared, and the threshold, fail."""
    shades = torch.tensor([0, 60, 128, 255], dtype=torch.uint8)
    drawn = binarise(shades.expand(100_000, -1), rng())
    assert set(drawn.unique().tolist()) == {0, 1}
    p = shades / 255
    allowed = 5.5 * (p * (1 - p) / 100_000).sqrt() + 1e-6
    assert ((drawn.mean(0) - p).abs() < allowed).all()
    for wrong in (p.square(), threshold(shades)):
        assert ((drawn.mean(0) - wrong).abs() > allowed).any()


@pytest.mark.parametrize("gap", [BYTE, DIGIT])
def test_dequantised_pixels_are_even_between_one_grey_level_and_the_next(gap):
    x = torch.full((20_000,), -1.0, dtype=torch.float64) + 3 * gap
    spread = (dequantise(x, rng(), gap) - x) / gap
    assert spread.min() >= 0 and spread.max() < 1
    assert worst({"even": (spread, lambda u: u.clamp(0, 1))})[0] < 1
    assert worst({"centred": (spread, lambda u: (u + 0.5).clamp(0, 1))})[0] > 1


def test_every_grey_level_keeps_its_cell():
    levels = torch.arange(256, dtype=torch.uint8)
    cells = ((dequantise(levels, rng()).double() + 1) / BYTE).floor()
    assert (cells - levels).abs().max() <= 1e-6


def test_the_digits_have_seventeen_grey_levels_a_gap_apart():
    x = data.digits().x()
    assert len(x.unique()) == 17
    assert (x.unique() - torch.linspace(-1, 1, 17)).abs().max() < 0.51 * BYTE  # bytes, rounded
    assert DIGIT == pytest.approx(2 / 16)


def test_the_bound_on_the_probability_of_grey_levels_is_tight_where_the_density_is_flat_on_each_cell():
    """Four levels with probabilities ½, ¼, ⅛, ⅛ and entropy 1.75 log 2: -E log p(x + u) - log gap is that for
    the flat density, and more for one that is not flat, by 5 standard errors of 100,000 draws (Jensen)."""
    p = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    gap, n = 2 / 3, 100_000
    levels = torch.multinomial(p, n, replacement=True, generator=rng())
    cells = ((dequantise(levels * gap - 1.0, rng(1), gap) + 1) / gap).clamp(max=4 - 1e-6)
    flat = (p / gap).log()[cells.long()]
    for log_p, tight in ((flat, True), (flat + (0.5 + cells.frac()).log(), False)):
        nats = -log_p - math.log(gap)
        off = (float(nats.mean()) - 1.75 * math.log(2)) / float(nats.std()) * math.sqrt(n)
        assert abs(off) < 5 if tight else off > 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: binarise(torch.tensor([0.0, 1.5]), rng()),
            r"x: expected pixels in \[-1, 1\], got values from 0 to 1.5",
        ),
        (
            lambda: dequantise(torch.tensor([-2.0, 1.0]), rng()),
            r"x: expected pixels in \[-1, 1\], got values from -2",
        ),
        (
            lambda: binarise(torch.tensor([math.nan]), rng()),
            r"x: expected pixels in \[-1, 1\], got values from nan",
        ),
        (lambda: dequantise(torch.zeros(1), rng(), gap=0.0), "gap: expected a positive number, got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
