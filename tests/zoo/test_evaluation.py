"""Bounds on held-out likelihoods, of models whose likelihood is known; what is shown of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ganedu.flows import Affine, DequantisedLogLikelihood, Flow
from ganedu.likelihood import VAE, DiagonalGaussian, FixedStd, MonteCarloNegativeELBO
from ganedu.rng import generator
from ganedu.targets import StandardNormal
from ganedu.zoo.entries import ENTRIES, GREYS, PARTS, SPLITS, digit_rows, mnist_rows, part_of, spread
from ganedu.zoo.evaluation import evaluate, figure, figures

MEAN, STD = 0.4, 0.3


def greys(n: int = 30) -> torch.Tensor:
    return torch.randint(0, GREYS, (n, 1, 2, 2), generator=generator(0)).to(torch.uint8)


def log_probability(images: torch.Tensor, low: float, gap: float) -> torch.Tensor:
    """(n,): of the cells low + [b, b + 1) gap under N(MEAN, STD²) a pixel, by the error function."""
    law = torch.distributions.Normal(MEAN, torch.tensor(STD, dtype=torch.float64))
    left = low + images.double() * gap
    return (law.cdf(left + gap) - law.cdf(left)).log().flatten(1).sum(1)


class Image(nn.Module):
    """Vectors as images."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def log_prob(self, x):
        return self.flow.log_prob(x.flatten(1))


def bell_flow() -> nn.Module:
    affine = Affine(4)
    with torch.no_grad():
        affine.shift.fill_(MEAN)
        affine.log_scale.fill_(math.log(STD))
    return Image(Flow(StandardNormal(4), [affine]))


class Constant(nn.Module):
    """The same numbers for every row."""

    def __init__(self, value: torch.Tensor):
        super().__init__()
        self.value = nn.Parameter(value)

    def forward(self, x):
        return self.value.expand(len(x), *self.value.shape)


def blind_vae(head: nn.Module | None, value: float) -> VAE:
    """A decoder that does not look at z, and an encoder that is not the prior: the gap is their KL."""
    encoder = Constant(torch.tensor([0.5, -0.25, math.log(0.8), math.log(1.2)]))
    return VAE(encoder, Constant(torch.full((1, 2, 2), value)), 2, head, DiagonalGaussian)


KL = sum(0.5 * (s * s + m * m - 1) - math.log(s) for m, s in ((0.5, 0.8), (-0.25, 1.2)))


def entry(kind: str, judge, rows, **more):
    return replace(ENTRIES["mnist-vae"], kind=kind, judge=judge, rows=lambda part: rows, **more)


def test_a_flow_is_bounded_by_its_density_and_many_draws_come_to_the_probability():
    """ELBO: the mean over the cell by quadrature; five errors of 30 x 2,000 draws. IWAE-2000 is below by
    half the variance of the mean weight, here 1e-3."""
    images = greys()
    judged = entry("flow", DequantisedLogLikelihood(GREYS), images)
    got = evaluate(judged, bell_flow(), k=2_000, progress=False)
    exact = log_probability(images, 0.0, 1 / GREYS)
    assert got.iwae.mean == pytest.approx(float(exact.mean()), abs=5e-3)
    # E over a cell of width g of (x - m)²: its middle's square + g²/12.
    middle = (images.double() + 0.5) / GREYS
    inside = -0.5 * ((middle - MEAN) ** 2 + 1 / (12 * GREYS**2)) / STD**2 - math.log(
        STD * math.sqrt(2 * math.pi)
    )
    elbo = (inside - math.log(GREYS)).flatten(1).sum(1).mean()
    assert got.elbo.mean == pytest.approx(float(elbo), abs=2e-3)
    assert got.elbo.mean < got.iwae.mean and got.few_draws == 0.0
    assert (got.n, got.k, got.seed) == (30, 2_000, 0)


def test_a_vae_of_grey_levels_is_judged_by_the_same_probability():
    """Its weights have a noise of their own: five relative errors of 30 x 4,000 draws are below 0.02."""
    images = greys()
    judge = MonteCarloNegativeELBO(latent_dim=2, prepare=spread)
    judged = entry("vae", judge, images, log_cell=4 * math.log(1 / 8))
    got = evaluate(judged, blind_vae(FixedStd(STD), MEAN), k=4_000, progress=False)
    exact = log_probability(images, -1.0, 1 / 8).mean()
    assert got.iwae.mean == pytest.approx(float(exact), abs=0.02)
    assert got.elbo.mean < got.iwae.mean - 0.9 * KL


def test_of_binary_pixels_the_gap_is_that_of_the_posterior():
    images = (torch.rand(30, 1, 2, 2, generator=generator(0)) < 0.3).float()
    judged = entry("vae", MonteCarloNegativeELBO(latent_dim=2), images)
    got = evaluate(judged, blind_vae(None, -0.7), k=4_000, progress=False)
    p = 1 / (1 + math.exp(0.7))
    exact = (images * math.log(p) + (1 - images) * math.log(1 - p)).flatten(1).sum(1)
    assert got.iwae.mean == pytest.approx(float(exact.mean()), abs=0.01)
    assert got.elbo.mean == pytest.approx(float(exact.mean()) - KL, abs=0.01)
    assert got.gap.mean == pytest.approx(KL, abs=0.02)
    assert got.iwae_bits.mean == pytest.approx(-got.iwae.mean / (4 * math.log(2)), rel=1e-9)
    assert got.iwae.error == pytest.approx(float(exact.std()) / math.sqrt(30), rel=0.05)


def test_a_cell_of_the_wrong_size_would_be_seen():
    images, judge = greys(), MonteCarloNegativeELBO(latent_dim=2, prepare=spread)
    judged = entry("vae", judge, images, log_cell=4 * math.log(1 / 16))
    got = evaluate(judged, blind_vae(FixedStd(STD), MEAN), k=500, progress=False)
    assert abs(got.iwae.mean - float(log_probability(images, -1.0, 1 / 8).mean())) > 2.0


def test_few_draws_are_owned_up_to():
    """k = 1 has no error at all, so nothing is known: every image counts."""
    judged = entry("flow", DequantisedLogLikelihood(GREYS), greys())
    got = evaluate(judged, bell_flow(), k=1, progress=False)
    assert got.few_draws == 1.0 and got.gap.mean == 0.0
    with pytest.raises(ValueError, match="k: expected an int of at least 1, got 0"):
        evaluate(judged, bell_flow(), k=0)


def test_a_model_whose_weights_are_broken_gets_no_figure():
    model = bell_flow()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    judged = entry("flow", DequantisedLogLikelihood(GREYS), greys())
    with pytest.raises(FloatingPointError, match="the ELBO of 30 of 30 images is not finite"):
        evaluate(judged, model, k=2, progress=False)


@pytest.mark.parametrize("name", ["digits-vae", "mnist-vae"])
def test_the_values_that_a_pixel_takes_are_counted_right(name):
    from ganedu.data import DataNotFound

    try:
        images = ENTRIES[name].rows("held-out")
    except DataNotFound as error:
        pytest.skip(str(error))
    assert len(images.unique()) == ENTRIES[name].levels


def test_the_figures_say_which_side_they_bound_from():
    judged = entry("flow", DequantisedLogLikelihood(GREYS), greys())
    got = figures(evaluate(judged, bell_flow(), k=2, seed=3, progress=False))
    assert {name: x["bound"] for name, x in got.items() if isinstance(x, dict)} == {
        "elbo": "lower",
        "iwae": "lower",
        "gap": None,
        "elbo_bits": "upper",
        "iwae_bits": "upper",
    }
    assert (got["n"], got["k"], got["seed"]) == (30, 2, 3)
    assert figure(torch.tensor([1.0, 3.0])) == pytest.approx((2.0, 1.0))


def test_the_parts_of_the_digits_share_no_image_and_are_all_of_them():
    parts = [digit_rows(part) for part in PARTS]
    assert tuple(map(len, parts)) == SPLITS["digits"]
    whole = torch.cat(parts)
    assert len(whole) == 1_797 and whole.dtype == torch.uint8
    assert whole.unique().tolist() == list(range(GREYS))
    order = part_of(torch.arange(1_797), SPLITS["digits"], "train")
    assert len(order.unique()) == 1_397 and not torch.equal(order, order.sort().values)
    from sklearn.datasets import load_digits

    ours, theirs = whole.flatten(1).long(), torch.from_numpy(load_digits().data).long()
    assert sorted(ours.tolist()) == sorted(theirs.tolist())
    with pytest.raises(ValueError, match="part: expected one of train, validation, held-out, got 'test'"):
        digit_rows("test")
    with pytest.raises(ValueError, match="images: expected 1797, got 5"):
        part_of(torch.arange(5), SPLITS["digits"], "train")


def test_grey_levels_are_spread_over_cells_that_touch_and_do_not_overlap():
    x = spread(torch.arange(GREYS, dtype=torch.uint8).repeat(1_000, 1), generator(0))
    low, high = x.min(0).values, x.max(0).values
    edges = torch.arange(GREYS + 1) / 8 - 1
    assert (low >= edges[:-1]).all() and (high <= edges[1:]).all()
    # A cell's first thousandth part is missed by 1,000 draws with probability e^-10 at a hundredth.
    assert ((low - edges[:-1]) < 0.125 * 0.02).all() and ((edges[1:] - high) < 0.125 * 0.02).all()


def test_held_out_mnist_is_binary_and_always_the_same(mnist_digits):
    one = mnist_rows("held-out")
    assert one.unique().tolist() == [0.0, 1.0] and torch.equal(one, mnist_rows("held-out"))
    assert mnist_rows("train").dtype == torch.uint8 and len(mnist_rows("train")) == 8_000
