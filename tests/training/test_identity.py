"""What a run is known by: what differs is told apart, and what does not count is not."""

import json
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from torch import nn

from ganedu.training.identity import identity


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
DIFFERENT = {
    "types of equal fields": (One(), Another()),
    "methods of one object": (TWO.a, TWO.b),
    "defaults": (with_default(1), with_default(2)),
    "keyword defaults": (with_keyword(1), with_keyword(2)),
    "positions of a partial": (partial(max, 1), partial(max, 2)),
    "an array's type": (np.zeros(3, np.int64), np.zeros(3, np.uint64)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_two_more_are_not_taken_for_one(name):
    one, two = (identity(value, nn.Linear(1, 1)) for value in DIFFERENT[name])
    assert one != two and json.loads(json.dumps(one)) == one


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
