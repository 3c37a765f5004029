"""Whatever an answer returns, and whatever a guest that was rewritten says, ends as that check's verdict."""

import pytest
import torch
from torch import Tensor

from ganedu.check import CheckFailed
from ganedu.grading.border import rehearsal
from ganedu.grading.checks import Check, Student, check, run_check
from tests.labs.lab import LABS, checks, functions
from tests.labs.test_answers import namespace

ODD = {
    "nothing": None,
    "True": True,
    "an integer": 2**62,
    "a number": float("nan"),
    "a string": "12 of 12 points",
    "a list of nothing": [],
    "a pair of nothing": (None, None),
    "a list of strings": ["a", "b"],
    "a ragged list": [[1.0], [2.0, 3.0]],
    "a dict": {"0": torch.zeros(5), "value": 1.0},
    "a tensor without axes": torch.tensor(1.0),
    "a tensor without entries": torch.zeros(0, 3),
    "a tensor that claims to be wide": torch.zeros(0, 1 << 24),
    "seven axes": torch.zeros(2, 1, 3, 1, 2, 1, 1),
    "bools": torch.tensor([True, False, True]),
    "a pair of numbers": (torch.tensor(0.5), torch.tensor(True)),
    "a pair of vectors": (torch.ones(3), torch.ones(3)),
    "three tensors": (torch.ones(2, 3),) * 3,
}


def twisted(reply):
    """What is nearly the right reply."""
    found = {"in a list": [reply], "twice": (reply, reply)}
    if isinstance(reply, Tensor):
        bigger = torch.stack([reply, reply])
        found |= {"its first row": reply[:1] if reply.dim() else reply, "one row more": bigger}
        found |= {"half": reply.half(), "truth": reply.bool(), "small integers": reply.to(torch.uint8)}
        found |= {"turned": reply.mT if reply.dim() > 1 else reply[None], "as a list": reply.tolist()}
        found |= {"all NaN": torch.full_like(reply, torch.nan) if reply.is_floating_point() else ~reply}
        found |= {"infinite": reply / torch.zeros_like(reply)}
    if isinstance(reply, (list, tuple)):
        found |= {"the other way round": reply[::-1], "its first": reply[0], "all but its last": reply[:-1]}
        found |= {f"{name}, in the first": (part, *reply[1:]) for name, part in twisted(reply[0]).items()}
        found |= {f"{name}, in the last": (*reply[:-1], part) for name, part in ODD.items()}
    return found


def honest(check: Check, functions: dict) -> list:
    """Each reply of the reference to this check, in order."""
    replies = []
    with rehearsal(functions) as ask:

        def record(request):
            replies.append(ask(request))
            return replies[-1]

        verdict = run_check(check, Student(record), seed=0)
    assert verdict.points == check.points, verdict.messages
    return replies


def said(check: Check, replies: list, place: int, odd: object):
    """The verdict where the reply number `place` is `odd`, and all others are honest."""
    asked = iter(range(10_000))

    def ask(request):
        number = next(asked)
        if number >= len(replies):  # the check asks more where it wants to name a mistake
            raise CheckFailed("✗ no more")
        return odd if number == place else replies[number]

    return run_check(check, Student(ask), seed=0)


def verdicts(check: Check, functions: dict, step: int) -> dict:
    """The verdict by (place, name) of one odd reply among honest ones, for each `step`-th of all that are."""
    replies = honest(check, functions)
    odd = {
        (place, name): value
        for place, reply in enumerate(replies)
        for name, value in (ODD | twisted(reply)).items()
    }
    return {key: said(check, replies, key[0], odd[key]) for key in list(odd)[::step]}


EACH = [(lab, function) for lab in LABS for function in functions(lab)]


def holds(lab: str, function: str, step: int) -> None:
    found = verdicts(checks(lab).checks[f"{function}_test"], namespace(lab, {}), step)
    assert {key: verdict.error for key, verdict in found.items() if verdict.error} == {}


@pytest.mark.parametrize(("lab", "function"), EACH)
def test_an_odd_reply_costs_the_check_and_breaks_nothing(lab, function):
    holds(lab, function, step=41)


@pytest.mark.slow
@pytest.mark.parametrize(("lab", "function"), EACH)
def test_more_odd_replies_break_no_check(lab, function):
    holds(lab, function, step=5)


def test_the_search_finds_a_careless_check():
    @check("f_test", points=1)
    def careless(student, rng):
        student.close("the first", student.call("f")[0].sum(), 3.0)

    found = verdicts(careless, {"f": lambda: (torch.ones(3), 2)}, step=1)
    assert any(verdict.error for verdict in found.values())
