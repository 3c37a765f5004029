"""The language of hidden checks, on answers of this process."""

import math

import pytest
import torch

from ganedu.check import CheckFailed
from ganedu.grading import checks
from ganedu.grading.checks import Named, check, load, rehearse
from tests.grading.mini_course import write_course


@check("f_test", points=2)
def doubles(student, rng):
    """f doubles
    its argument."""
    x = torch.randn(3, 2, generator=rng)
    student.close("f", student.call("f", x=x), 2 * x, wrong={"tripled": 3 * x})
    student.require("f is called f", True, "never said")


def test_a_right_answer_gets_all_points_and_a_tick_a_claim():
    verdict = rehearse(doubles, {"f": lambda x: x + x})
    assert verdict == checks.Verdict("f_test", 2, 2, ("✓ f", "✓ f is called f"))


def test_the_docstring_is_the_description():
    assert doubles.description == "f doubles its argument."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "there is no function f"),
        (lambda y: y, "raised TypeError"),
        (lambda x: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda x: exec("raise NotImplementedError"), "is not written yet"),
        (lambda x: lambda: x, "returned what is not data"),
        (lambda x: Named("constant", value=1.0), "returned a function, not data"),
        (lambda x: (2 * x).to(torch.complex64), "returned a tensor of dtype torch.complex64"),
        (lambda x: exec("raise SystemExit(0)"), "raised SystemExit"),
        (lambda x: {"points": 2}, "expected a tensor, got dict"),
        (lambda x: 2 * x * math.nan, "nan"),
    ],
)
def test_a_wrong_answer_gets_nothing_and_a_reason(answer, said):
    verdict = rehearse(doubles, {"f": answer})
    assert verdict.points == 0 and verdict.error is None
    assert said in verdict.messages[-1]


def test_a_known_mistake_is_named_in_the_verdict():
    assert rehearse(doubles, {"f": lambda x: 3 * x}).known_mistake == "tripled"


def test_an_answer_that_changes_its_argument_changes_only_its_copy():
    def in_place(x):
        return x.mul_(2)

    assert rehearse(doubles, {"f": in_place}).points == 2


def test_a_broken_check_is_the_instructors_problem():
    @check("g_test", points=1)
    def broken(student, rng):
        raise KeyError("planted")

    verdict = rehearse(broken, {})
    assert verdict.points == 0 and verdict.error == "g_test: KeyError: 'planted'"
    assert "planted" not in "".join(verdict.messages)


def test_vjp_is_the_transposed_jacobian_times_the_cotangent():
    matrix, cotangent, x = torch.randn(3, 4), torch.randn(3), torch.randn(4)

    @check("h_test", points=1)
    def gradient(student, rng):
        got = student.vjp("h", wrt="x", cotangent=cotangent, x=x, m=matrix)
        student.close("gradient", got, matrix.T @ cotangent)

    assert rehearse(gradient, {"h": lambda x, m: m @ x}).points == 1
    assert rehearse(gradient, {"h": lambda x, m: m @ x.detach()}).points == 0
    assert rehearse(gradient, {"h": lambda x, m: 2 * m @ x}).points == 0


def test_the_inputs_depend_on_the_seed_alone():
    seen = []

    @check("f_test", points=1)
    def record(student, rng):
        seen.append(torch.randn(4, generator=rng))

    for seed in (1, 1, 2):
        rehearse(record, {}, seed)
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


@pytest.mark.parametrize("value", [None, 3.0, torch.zeros(2), [torch.zeros(2)] * 3, [torch.zeros(2), "x"]])
def test_call_tensors_refuses_anything_but_that_many_tensors(value):
    student = checks.Student(lambda request: value)
    with pytest.raises(CheckFailed, match="expected 2 tensors"):
        student.call_tensors("f", 2)


def test_a_labs_checks_are_loaded_by_grade_id(tmp_path):
    lab = load(write_course(tmp_path) / "solutions" / "mini" / "checks.py")
    assert lab.lab.name == "mini" and list(lab.checks) == ["slope_test", "double_test"]
    assert lab.reference["double"].startswith("def double")


def test_checks_without_a_lab_or_with_a_grade_id_twice_are_refused(tmp_path):
    path = tmp_path / "checks.py"
    with pytest.raises(ValueError, match="there is no"):
        load(path)
    path.write_text("")
    with pytest.raises(ValueError, match="has no LAB"):
        load(path)
    twice = "@check('a', points=1)\ndef {}(student, rng): pass\n"
    head = "from ganedu.grading.checks import *\nLAB = Lab('x')\n"
    path.write_text(head + twice.format("one") + twice.format("two"))
    with pytest.raises(ValueError, match="two checks"):
        load(path)
