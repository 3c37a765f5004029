"""FID and Inception Score: the errors on the way to the network, and the formulas in a stand-in.

The real network is 96 MB and no test's business; what it gives is torch-fidelity's to prove.
"""

import hashlib
import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from ganedu import data
from ganedu.metrics import inception
from ganedu.rng import generator

weights = importlib.import_module("ganedu.data.inception")


class Extractor(nn.Module):
    """As torch-fidelity's: bytes (n, 3, H, W) -> (features, logits); insists on the weights' path."""

    def __init__(self, name, wanted, feature_extractor_weights_path):
        super().__init__()
        assert wanted == ["2048", "logits_unbiased"]
        with open(feature_extractor_weights_path, "rb") as file:
            assert file.read() == b"weights"
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.head = nn.Linear(12, 5), nn.Linear(5, 7)

    def forward(self, x):
        assert x.dtype == torch.uint8
        features = self.body(x.flatten(1) / 64.0)
        return features, self.head(features)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("GANEDU_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(weights, "URL", "http://127.0.0.1:9/weights.pth")
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(FeatureExtractorInceptionV3=Extractor))
    return tmp_path


@pytest.fixture
def installed(offline, monkeypatch):
    folder = offline / "named" / "inception"
    folder.mkdir(parents=True)
    (folder / inception.NAME).write_bytes(b"weights")
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(b"weights").hexdigest())


@pytest.fixture
def torchmetrics_fid():
    """Asked for before ``installed``: torchmetrics, while it is imported, looks for the real package."""
    return pytest.importorskip("torchmetrics.image.fid", reason="extra ganedu[metrics] is not installed")


def images(n: int, seed: int) -> torch.Tensor:
    return data.to_float(torch.randint(0, 256, (n, 3, 2, 2), generator=generator(seed), dtype=torch.uint8))


def test_without_the_extra_the_error_says_how_to_install_it(offline, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ImportError, match=r"pip install 'ganedu\[inception\]'"):
        inception.fid(images(1000, 0), images(1000, 1))


def test_a_torchvision_of_another_torch_is_said_to_be_the_cause(offline, monkeypatch, tmp_path):
    (tmp_path / "torch_fidelity.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.delitem(sys.modules, "torch_fidelity")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="torchvision::nms"):
        inception.network()


def test_without_the_weights_and_a_network_the_error_names_variable_and_command(offline):
    with pytest.raises(data.DataNotFound, match="GANEDU_DATA.*ganedu data get inception"):
        inception.inception_score(images(20, 0))


def test_weights_with_another_checksum_are_never_opened(offline):
    folder = offline / "named" / "inception"
    folder.mkdir(parents=True)
    (folder / inception.NAME).write_bytes(b"a pickle from somewhere")
    with pytest.raises(ValueError, match="expected SHA-256 6726825d"):
        inception.network()


def test_fid_is_torchmetrics_in_the_same_network(torchmetrics_fid, installed):
    class Features(nn.Module):
        num_features = 5

        def __init__(self):
            super().__init__()
            self.net = inception.network()

        def forward(self, x):
            return self.net.extractor(x)[0]

    real, fake = images(1200, 0), images(1000, 1) * 0.5
    theirs = torchmetrics_fid.FrechetInceptionDistance(feature=Features(), input_img_size=(3, 2, 2))
    theirs.update(data.to_bytes(real), real=True)
    theirs.update(data.to_bytes(fake), real=False)
    found = inception.fid(fake, real)
    assert found.value == pytest.approx(float(theirs.compute()), rel=1e-5) and found.value > 0.01
    assert str(found).startswith("FID ") and "inception-v3" in str(found)


def test_inception_score_is_the_mean_over_ten_splits(installed):
    x = images(105, 0)
    p = inception.network()(x).double().softmax(1).detach().numpy()
    parts = [np.exp(entropy(part, part.mean(0)[None], axis=1).mean()) for part in np.array_split(p, 10)]
    found = inception.inception_score(x)
    assert found.value == pytest.approx(np.mean(parts), rel=1e-5)
    assert found.standard_error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(10), rel=1e-3)
    assert found.name == "Inception Score" and found.n == 105


def test_fewer_images_than_two_a_split_are_refused(installed):
    with pytest.raises(ValueError, match="x: expected at least 20 images, got 19"):
        inception.inception_score(images(19, 0))


def test_the_network_gives_logits_and_its_features_apart(installed):
    net, x = inception.network(), images(30, 0)
    features, logits = net.extractor(data.to_bytes(x))
    assert torch.equal(net(x), logits) and torch.equal(net.features(x), features)


def test_n_of_the_fid_is_that_of_its_first_images(installed):
    assert inception.fid(images(1000, 0), images(1100, 1)).n == 1000
