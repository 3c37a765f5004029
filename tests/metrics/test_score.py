"""The classifier score against its extremes, torchmetrics, and brute force; the share of outliers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganedu.data import to_float
from ganedu.metrics import classifier_score, outlier_share, score
from ganedu.rng import generator


def logits(n: int, seed: int, sharpness: float = 2.0) -> torch.Tensor:
    return sharpness * torch.randn(n, 10, generator=generator(seed), dtype=torch.float64)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 10))

    def forward(self, x):
        return self.body(x)


@given(classes=st.integers(2, 12), repeats=st.integers(1, 20))
def test_certain_and_balanced_gives_the_number_of_classes(classes, repeats):
    certain = 1000.0 * torch.eye(classes).repeat(repeats, 1)
    assert score(certain)[0] == pytest.approx(classes, rel=1e-12)


def test_the_same_answer_everywhere_gives_one():
    value, error = score(logits(1, 0).repeat(50, 1))
    assert value == pytest.approx(1.0, abs=1e-12) and error == pytest.approx(0.0, abs=1e-7)


def test_two_certain_classes_in_unequal_shares():
    p = 0.2
    certain = 1000.0 * torch.eye(2)[[0] * 20 + [1] * 80]
    assert score(certain)[0] == pytest.approx(math.exp(-p * math.log(p) - (1 - p) * math.log(1 - p)))


def test_it_is_the_mean_divergence_from_the_marginal():
    p = logits(200, 0).softmax(1)
    divergence = nn.functional.kl_div(p.mean(0).log().expand_as(p), p, reduction="none").sum(1)
    assert score(logits(200, 0))[0] == pytest.approx(float(divergence.mean().exp()), rel=1e-12)


def test_it_is_torchmetrics_inception_score_without_splits():
    inception = pytest.importorskip(
        "torchmetrics.image.inception", reason="extra ganedu[metrics] is not installed"
    )

    class Pass(nn.Module):  # the "images" are the logits
        def forward(self, x):
            return x

    theirs = inception.InceptionScore(feature=Pass(), splits=1)
    theirs.update(logits(300, 0))
    assert score(logits(300, 0))[0] == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


def test_the_jackknife_leaves_out_every_image_once():
    x = logits(40, 0)
    left_out = torch.tensor(
        [score(torch.cat([x[:i], x[i + 1 :]]))[0] for i in range(40)], dtype=torch.float64
    )
    expect = math.sqrt(39 / 40 * float((left_out - left_out.mean()).square().sum()))
    assert score(x)[1] == pytest.approx(expect, rel=1e-9)


def test_the_standard_error_is_the_spread_over_fresh_samples():
    runs = [score(logits(500, seed)) for seed in range(200)]
    spread = torch.tensor([value for value, _ in runs]).std().item()
    # The spread of 200 values is known to 1 / sqrt(400) = 5%: five of these.
    assert torch.tensor([error for _, error in runs]).mean().item() == pytest.approx(spread, rel=0.25)


def test_it_carries_what_it_depends_on_and_is_not_called_inception():
    net = Classifier().eval()
    net.name = "toy"
    x = to_float(torch.randint(0, 256, (30, 3, 2, 2), generator=generator(0), dtype=torch.uint8))
    found = classifier_score(x, net)
    value, error = score(net(x).detach())
    assert found.value == pytest.approx(value) and found.standard_error == pytest.approx(error, rel=1e-6)
    assert str(found).startswith("Classifier score ") and f"(n = 30, toy {found.sha256[:8]})" in str(found)
    assert " ± " in str(found)


def test_a_network_in_train_mode_is_refused():
    with pytest.raises(ValueError, match="net: expected eval mode"):
        classifier_score(torch.zeros(4, 3, 2, 2), Classifier())


@pytest.mark.parametrize("bad", [torch.zeros(10), torch.zeros(1, 10), torch.full((2, 2), torch.inf)])
def test_what_are_no_logits_is_named(bad):
    with pytest.raises(ValueError, match="logits: expected"):
        score(bad)


@given(values=st.lists(st.floats(-10, 10) | st.just(math.inf), min_size=1), threshold=st.floats(-10, 10))
def test_the_share_of_outliers_is_a_count(values, threshold):
    count = sum(value > threshold for value in values)
    found = outlier_share(torch.tensor(values, dtype=torch.float64), threshold)
    assert found == pytest.approx(count / len(values))


@pytest.mark.parametrize(
    ("values", "threshold"), [([], 0.0), ([[1.0]], 0.0), ([math.nan], 0.0), ([1.0], math.nan)]
)
def test_no_share_of_nothing_or_of_nan(values, threshold):
    with pytest.raises(ValueError, match="logits"):
        outlier_share(torch.tensor(values), threshold)
