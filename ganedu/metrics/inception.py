"""The real Inception Score and FID, for comparison with published figures: ``ganedu[inception]``.

The network and its weights are torch-fidelity's port of the original; the formulas are ours.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ganedu.data import Images, to_bytes
from ganedu.data.inception import FOLDER, NAME, SHA256, get
from ganedu.metrics.frechet import feature_statistics, frechet_distance
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.networks import in_batches, label
from ganedu.metrics.score import score

SPLITS = 10


class InceptionV3(nn.Module):
    """Images (n, 3, H, W) in [-1, 1] -> logits (n, 1008) without bias; ``features`` gives (n, 2048)."""

    name = "inception-v3-2015-12-05"

    def __init__(self, extractor: nn.Module):
        super().__init__()
        self.extractor = extractor

    def features(self, x: Tensor) -> Tensor:
        return self.extractor(to_bytes(x))[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.extractor(to_bytes(x))[1]


def network() -> InceptionV3:
    """The published network in eval mode.

    Raises ImportError without the extra, DataNotFound where the weights can't be had, ValueError
    where they have another checksum.
    """
    try:
        from torch_fidelity import FeatureExtractorInceptionV3
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision built for another torch
        raise ImportError(
            f"Inception Score and FID need torch-fidelity, which can't be imported ({error}). "
            "Install it with: pip install 'ganedu[inception]'"
        ) from error
    import pooch

    weights = get() / NAME
    # The file is a pickle, so what $GANEDU_DATA holds is not opened on trust.
    if not pooch.hashes.hash_matches(str(weights), SHA256):
        raise ValueError(f"{weights}: expected SHA-256 {SHA256}; remove it and run: ganedu data get {FOLDER}")
    wanted = ["2048", "logits_unbiased"]
    extractor = FeatureExtractorInceptionV3("inception", wanted, feature_extractor_weights_path=str(weights))
    return InceptionV3(extractor).eval()


def fid(x: Tensor | Images, reference: Tensor | Images) -> Measurement:
    """FID of the images ``x`` to ``reference`` (Heusel et al. 2017).

    Raises ValueError below 1,000 images on either side, and as ``network`` does.
    """
    net = network()
    return replace(frechet_distance(x, net, feature_statistics(reference, net)), name="FID")


def inception_score(x: Tensor | Images) -> Measurement:
    """Inception Score (Salimans et al. 2016): the mean over ten splits, in the order given.

    Raises ValueError for fewer than 20 images, and as ``network`` does.
    """
    if len(x) < 2 * SPLITS:
        raise ValueError(f"x: expected at least {2 * SPLITS} images, got {len(x)}")
    net = network()
    logits = torch.cat(list(in_batches(net, x, net)))
    parts = torch.tensor([score(part)[0] for part in logits.tensor_split(SPLITS)])
    error = float(parts.std() / SPLITS**0.5)
    return Measurement(
        float(parts.mean()), len(logits), "Inception Score", **label(net), standard_error=error
    )
