"""What a run is known by: what differs is told apart, and what does not count is not."""

import copy
import json
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from ganedu.likelihood import dequantise
from ganedu.likelihood.pixels import BYTE, DIGIT
from ganedu.targets import StandardNormal, Tilted
from ganedu.training.identity import identity
from tests.training.tiny import Denoising, Likelihood, fill, make


@dataclass(frozen=True)
class One:
    size: int = 1
    seen: list = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Another:
    size: int = 1


class Slots:
    __slots__ = ()


class Two:
    def a(self):
        return 1

    def b(self):
        return 2


def with_default(value):
    def f(x, by=value):
        return x

    return f


def with_keyword(value):
    def f(x, *, by=value):
        return x

    return f


TWO = Two()


@dataclass(frozen=True)
class Prepared(Likelihood):
    """A loss whose settings are no numbers."""

    setting: object = None


def shifted(z, by):
    return z + by


def closing_over(value):
    return lambda z: z + value


class Held:
    """What is in it, by reference to itself as well."""

    def __init__(self, value):
        self.value, self.self = value, self

    def method(self, z):
        return z + self.value


DIFFERENT = {
    "arguments of a partial": (partial(dequantise, gap=DIGIT), partial(dequantise, gap=BYTE)),
    "positions of a partial": (partial(max, 1), partial(max, 2)),
    "function of a partial": (partial(shifted, by=1), partial(dequantise, by=1)),
    "functions": (dequantise, shifted),
    "targets": (Tilted(StandardNormal(2), shifted), Tilted(StandardNormal(3), shifted)),
    "likelihoods in a target": (
        Tilted(StandardNormal(2), closing_over(1.0)),
        Tilted(StandardNormal(2), closing_over(2.0)),
    ),
    "dataclasses": (Denoising(0.5), Denoising(0.6)),
    "types of equal fields": (One(), Another()),
    "objects": (Held(1), Held(2)),
    "methods": (Held(1).method, Held(2).method),
    "methods of one object": (TWO.a, TWO.b),
    "defaults": (with_default(1), with_default(2)),
    "keyword defaults": (with_keyword(1), with_keyword(2)),
    "a tensor's numbers": (torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])),
    "a tensor's shape": (torch.zeros(2, 3), torch.zeros(3, 2)),
    "an array's numbers": (np.zeros(3), np.array([0.0, 0.0, 1.0])),
    "an array's type": (np.zeros(3, np.int64), np.zeros(3, np.uint64)),
    "weights": (make("likelihood"), fill(make("likelihood"), 1.0)),
    "tuples": ((1, 2), (1, 3)),
    "at the end of something long": (list(range(1000)), [*range(999), 0]),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_two_runs_are_not_taken_for_one(name):
    one, two = (identity(Prepared(value), nn.Linear(1, 1)) for value in DIFFERENT[name])
    again = identity(Prepared(copy.deepcopy(DIFFERENT[name][0])), nn.Linear(1, 1))
    assert one == again == json.loads(json.dumps(one)) and one != two
    assert len(json.dumps(one)) <= 1000


def test_the_model_that_is_trained_does_not_tell_its_run_from_itself():
    """A stream may draw from it, and its weights are others when the run goes on."""
    model = make("denoising")
    before = [identity(f, model) for f in (closing_over(model), model.layers[0].forward)]
    fill(model, 1.0)
    assert before == [identity(f, model) for f in (closing_over(model), model.layers[0].forward)]


def test_what_is_not_compared_and_where_it_lies_do_not_count():
    model = nn.Linear(1, 1)
    assert identity(One(1, [1]), model) == identity(One(1, [2]), model)
    one, two = Slots(), Slots()
    assert repr(one) != repr(two) and identity(one, model) == identity(two, model)


def test_a_parameter_of_the_model_does_not_count():
    model = nn.Linear(1, 1)
    weight = model.weight

    def stream(n, rng):
        return weight.expand(n, 1)

    before = identity(stream, model)
    nn.init.constant_(weight, 7.0)
    assert identity(stream, model) == before
