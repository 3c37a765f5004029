"""The power of the contract: the proofs of test_contract.py reject a planted error of every kind.

Each is tried as there, with the same points, draws and bounds.
"""

from collections.abc import Callable

import pytest
import torch

from ganedu.flows import Affine, Autoregressive, Coupling, Flow, LULinear, Multiscale, RationalQuadratic
from ganedu.flows.conditioners import conv, mlp
from tests.flows import planted, proofs
from tests.flows.registry import Case, on_normal

CYCLE = torch.tensor([2, 0, 3, 1])
CHECKS = {
    "inverse": proofs.inverse_error,
    "log_det": proofs.log_det_error,
    "gradient": proofs.gradient_error,
    "continuity": proofs.jump,
    "integral": proofs.integral_error,
    "law": proofs.law_error,
}


def coupling(univariate, kind=Coupling, dim=2) -> Flow:
    half = dim // 2
    return on_normal(dim, kind(mlp(half, (16,), univariate.size * half), univariate), LULinear(dim))


def images(kind=Multiscale, last=Affine) -> Flow:
    split = Coupling(conv(2, 4, 4))
    return on_normal(16, kind((1, 4, 4), [[Affine(8)], [split, last(4)]]))


ERRORS: dict[str, tuple[Callable[[], Flow], tuple[str, ...]]] = {
    "wrong sign": (lambda: coupling(planted.WrongSign()), ("log_det", "integral", "law")),
    "shift after scale": (lambda: coupling(planted.ShiftAfterScale()), ("inverse",)),
    "one slope of two": (lambda: coupling(RationalQuadratic(), planted.OneSlope, dim=4), ("log_det",)),
    "leaking mask": (
        lambda: on_normal(2, Autoregressive(planted.LeakyMADE(2, (16,), 2))),
        ("inverse", "log_det", "integral", "law"),
    ),
    "flat ends": (lambda: coupling(planted.FlatEnds(5, 2.0)), ("continuity",)),
    "swapped slopes": (lambda: coupling(planted.SwappedSlopes(5, 2.0)), ("log_det", "continuity", "law")),
    "clamped": (lambda: coupling(planted.Clamped(5, 2.0)), ("inverse",)),
    "permutation not inverted": (lambda: on_normal(4, planted.NotInverted(CYCLE), Affine(4)), ("inverse",)),
    "one pixel": (lambda: images(last=planted.OnePixel), ("log_det",)),
    "diagonal without log": (lambda: on_normal(2, planted.LowerOnly(2)), ("log_det", "integral", "law")),
    "parts of z in another order": (lambda: images(planted.SwappedParts), ("inverse",)),
    "gradient through bisection": (lambda: on_normal(2, planted.NoNewton(2)), ("gradient",)),
    "no slope along the radius": (lambda: on_normal(2, planted.OneRadius(2)), ("log_det", "integral", "law")),
    "not a number": (lambda: on_normal(2, planted.NoNumber(2)), ("inverse", "log_det")),
    "not a number in one": (lambda: on_normal(2, planted.NoNumberInOne(2)), ("inverse", "law")),
    "unused parameter": (lambda: on_normal(2, planted.Unused(2)), ("gradient",)),
}


@pytest.mark.parametrize(("name", "proof"), [(name, proof) for name in ERRORS for proof in ERRORS[name][1]])
def test_a_planted_error_is_rejected(name, proof):
    case = Case(ERRORS[name][0], spread=0.25)
    assert CHECKS[proof](case.build(), case) > 1.5


@pytest.mark.parametrize("name", ["coupling", "spline", "images"])
def test_without_the_error_the_same_flow_passes(name):
    make = {
        "coupling": lambda: coupling(planted.ScaleShift()),
        "spline": lambda: coupling(RationalQuadratic(5, 2.0)),
        "images": images,
    }[name]
    case = Case(make, spread=0.25)
    for proof in ("inverse", "log_det", "gradient", "continuity"):
        assert CHECKS[proof](case.build(), case) < 1, proof


@pytest.mark.parametrize(
    "make",
    [
        lambda: on_normal(2, planted.Rounded(2)),
        lambda: coupling(planted.ScaleShift(), planted.RoundedSlopes),
    ],
    ids=["linear", "coupling"],
)
def test_what_autocast_rounds_is_rejected(make):
    assert proofs.autocast_error(Case(make, spread=0.25).build()) > 1.5


def test_rows_that_hang_together_are_rejected():
    case = Case(lambda: on_normal(2, planted.BatchNorm(2)))
    assert not proofs.rows_are_independent(case.build())
