"""Figures of merit. Each carries what it depends on: n, the network, and the SHA of its weights.

None of these is an Inception Score or an FID, which are figures in one particular network: for
those see ``ganedu.metrics.inception`` (extra ``ganedu[inception]``).
"""

from ganedu.metrics.frechet import feature_statistics, frechet, frechet_distance
from ganedu.metrics.kernel_distance import image_features, kernel_distance, mmd2_and_error
from ganedu.metrics.matching import MatchedAccuracy, matched_accuracy, matching
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.modes import Modes, modes
from ganedu.metrics.neighbours import PRDC, Memorisation, memorisation, nearest, prdc
from ganedu.metrics.networks import fingerprint
from ganedu.metrics.outliers import outlier_share
from ganedu.metrics.score import classifier_score, score

__all__ = [
    "PRDC",
    "MatchedAccuracy",
    "Measurement",
    "Memorisation",
    "Modes",
    "classifier_score",
    "feature_statistics",
    "fingerprint",
    "frechet",
    "frechet_distance",
    "image_features",
    "kernel_distance",
    "matched_accuracy",
    "matching",
    "memorisation",
    "mmd2_and_error",
    "modes",
    "nearest",
    "outlier_share",
    "prdc",
    "score",
]
