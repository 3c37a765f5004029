"""The targets by name, and the moments that a sampler has to find there, with their errors.

``references.json`` is made by ``python -m benchmarks.references``: closed forms, quadrature and
importance sampling, none of which knows a kernel of this library.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.targets.base import Target
from ganedu.targets.posteriors import EightSchools, EightSchoolsCentred, breast_cancer, diabetes
from ganedu.targets.toys import (
    Banana,
    Funnel,
    Ring,
    far_modes,
    ill_conditioned_gaussian,
    twenty_five_gaussians,
)

FILE = Path(__file__).with_name("references.json")

# Each is called with dtype=..., and makes the target of which the file has the moments.
TARGETS: dict[str, Callable[..., Target]] = {
    "banana": Banana,
    "bayesian_linear": diabetes,
    "eight_schools": EightSchools,
    "eight_schools_centred": EightSchoolsCentred,
    "far_modes": far_modes,
    "funnel": Funnel,
    "gaussian_100": ill_conditioned_gaussian,
    "logistic_regression": breast_cancer,
    "ring": Ring,
    "twenty_five_gaussians": twenty_five_gaussians,
}


class Moments(NamedTuple):
    """Per coordinate of z, (d,) in double precision: mean, standard deviation, and one standard error
    of each (of a quadrature, the bound on its error).

    ``log_evidence`` is the log of the integral of exp log_prob, with its error, and ``how`` says how the
    numbers were made.
    """

    mean: Tensor
    sd: Tensor
    mean_error: Tensor
    sd_error: Tensor
    log_evidence: float
    log_evidence_error: float
    how: str


def references(name: str) -> Moments:
    """The moments of ``TARGETS[name]()``. Raises ValueError for a name that is not in ``TARGETS``."""
    if name not in TARGETS:
        raise ValueError(f"name: expected one of {', '.join(TARGETS)}, got {name!r}")
    entry = _file()[name]
    return Moments(
        *(torch.tensor(entry[part], dtype=torch.float64) for part in Moments._fields[:4]),
        *(entry[part] for part in Moments._fields[4:]),
    )


@cache
def _file() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))
