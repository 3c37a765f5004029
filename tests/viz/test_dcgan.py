"""Pictures of what a DCGAN has learned: every picture and number where it is said to be."""

import pytest
import torch
from scipy import stats
from torch import nn

from ganedu import zoo
from ganedu.gans import latents
from ganedu.rng import generator
from ganedu.viz import dcgan


def flat(*levels: float) -> torch.Tensor:
    """One grey image a level, (n, 3, 4, 4)."""
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def shown(axis, rows: int, columns: int) -> list[list[float]]:
    """The level in [0, 1] of the image in each place."""
    page = axis.images[0].get_array()
    return [[page[1 + 5 * i, 1 + 5 * j, 0] for j in range(columns)] for i in range(rows)]


def test_walks_have_a_row_of_pictures_each_and_their_lengths_below():
    x = {"chord": flat(-1.0, 0.0, 1.0), "arc": flat(-0.5, 0.0, 0.5)}
    z = {"chord": torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, -2.0]]), "arc": torch.ones(3, 2)}
    pictures, lengths = dcgan.walks(x, z).axes
    assert shown(pictures, 2, 3) == [pytest.approx([0.0, 0.5, 1.0]), pytest.approx([0.25, 0.5, 0.75])]
    assert [label.get_text() for label in pictures.get_yticklabels()] == ["chord", "arc"]
    drawn = {line.get_label(): line.get_ydata().tolist() for line in lengths.lines}
    assert drawn["chord"] == pytest.approx([5 / 2**0.5, 1 / 2**0.5, 2**0.5])
    assert drawn["arc"] == pytest.approx([1.0] * 3)
    assert lengths.lines[0].get_xdata().tolist() == [0.0, 0.5, 1.0]
    assert lengths.get_xlabel() and lengths.get_ylabel()


@pytest.mark.parametrize("dim", [1, 2, 100, 512])
def test_the_band_of_lengths_has_the_quantiles_of_the_chi_law(dim):
    assert dcgan._lengths(dim) == pytest.approx(stats.chi(dim).ppf([0.0005, 0.9995]).tolist(), abs=3e-3)


def test_walks_that_do_not_fit_are_refused():
    x, z = {"a": flat(0.0, 0.0)}, {"a": torch.zeros(2, 3)}
    with pytest.raises(ValueError, match="z: expected the ways a, got b"):
        dcgan.walks(x, {"b": z["a"]})
    with pytest.raises(ValueError, match=r"expected equally many steps on all ways, got \[2, 3\]"):
        dcgan.walks(x, {"a": torch.zeros(3, 3)})


def test_terms_stand_in_columns_with_their_mean_below_and_the_result_beside():
    terms = {"+ a": flat(-1.0, 0.0, 1.0), "− b": flat(-0.5, 0.0, 0.5)}
    fig = dcgan.arithmetic(terms, flat(0.5, 0.6, 0.7, 0.8), "title")
    first, second, result = fig.axes
    assert shown(first, 3, 1) == [pytest.approx([v]) for v in (0.0, 0.5, 1.0)]
    assert shown(second, 3, 1) == [pytest.approx([v]) for v in (0.25, 0.5, 0.75)]
    assert shown(result, 2, 2) == [pytest.approx([0.75, 0.8]), pytest.approx([0.85, 0.9])]
    assert [axis.get_title() for axis in fig.axes] == ["+ a", "− b", "="]
    (tick,) = first.get_yticks()
    assert 10 < tick < 15, "the mean's picture is the third, 5 pixels each"
    with pytest.raises(ValueError, match="terms: expected pictures of at least one latent, and of the mean"):
        dcgan.arithmetic({"+ a": flat(0.0)}, flat(0.0))


def test_filters_are_grey_at_zero_and_scaled_by_the_largest_of_a_panel():
    w = torch.zeros(3, 3, 4, 4)
    w[0], w[1], w[2, 0] = 0.5, -0.25, 0.1
    first, second = dcgan.filters({"one": w, "none": torch.zeros(1, 1, 4, 4)}, columns=3).axes
    assert shown(first, 1, 3) == [pytest.approx([1.0, 0.25, 0.6])]
    assert first.images[0].get_array()[1, 11].tolist() == pytest.approx([0.6, 0.5, 0.5])
    assert shown(second, 1, 1) == [[0.5]]
    assert first.get_title() == "one\nwhite 0.5, grey 0, black -0.5"


@pytest.mark.parametrize(
    "w", [torch.zeros(3, 4), torch.full((1, 3, 2, 2), torch.nan), torch.zeros(2, 5, 3, 3)]
)
def test_what_are_no_filters_is_refused(w):
    with pytest.raises(ValueError, match="expected"):
        dcgan.filters({"layer": w})
    with pytest.raises(ValueError, match="weights: expected at least one"):
        dcgan.filters({})


def test_the_published_dcgan_walks_adds_and_shows_its_filters():
    """What the seed's pictures are of, on real networks: nothing but that they can be drawn."""
    gan, rng = zoo.load("cifar10-dcgan", "cpu"), generator(0)
    start, end = gan.prior(2, rng)
    ways = {"chord": latents.linear(start, end, 4), "arc": latents.spherical(start, end, 4)}
    walked = dcgan.walks({name: gan.generator(z) for name, z in ways.items()}, ways)
    terms = {name: gan.prior(3, rng) for name in ("plus", "minus", "other")}
    z = latents.arithmetic(*terms.values())
    made = dcgan.arithmetic(
        {name: gan.generator(part) for name, part in terms.items()}, gan.generator(z[None])
    )
    first = next(layer.weight for layer in gan.discriminator.modules() if isinstance(layer, nn.Conv2d))
    for figure in (walked, made, dcgan.filters({"first layer": first})):
        page = figure.axes[0].images[0].get_array()
        assert page.std() > 0.01
