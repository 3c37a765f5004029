"""Figures of merit. Each carries what it depends on: n, the network, and the SHA of its weights.

None of these is an Inception Score or an FID, which are figures in one particular network: for
those see ``ganedu.metrics.inception`` (extra ``ganedu[inception]``).
"""

from ganedu.metrics.frechet import feature_statistics, frechet, frechet_distance
from ganedu.metrics.measurement import Measurement
from ganedu.metrics.networks import fingerprint
from ganedu.metrics.outliers import outlier_share
from ganedu.metrics.score import classifier_score, score

__all__ = [
    "Measurement",
    "classifier_score",
    "feature_statistics",
    "fingerprint",
    "frechet",
    "frechet_distance",
    "outlier_share",
    "score",
]
