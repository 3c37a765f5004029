"""The reporter that a student's notebook and the hidden checks share."""

import ast
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ganedu import check
from ganedu.check import CheckFailed

SOURCE = Path(check.__file__)


def failure(*args, **kwargs) -> CheckFailed:
    with pytest.raises(CheckFailed) as caught:
        check.close(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("got", "expect"),
    [
        (torch.tensor([1.0, 2.0]), np.array([1.0, 2.0])),
        (np.float32(0.5), 0.5),
        (0.5, torch.tensor(0.5, dtype=torch.float64)),
        (torch.tensor([True, False]), [True, False]),
        (3, 3.0),
        (torch.tensor([-math.inf, 0.0]), [-math.inf, 0.0]),
        (torch.tensor([1.0], requires_grad=True), [1.0]),
    ],
)
def test_equal_values_of_any_kind_get_a_tick(got, expect, capsys):
    check.close("the value", got, expect)
    assert capsys.readouterr().out == "✓ the value\n"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_passes_for_a_number(bad):
    failure("v", bad, 1.0)
    failure("v", 1.0, bad)
    failure("v", math.nan, math.nan)


@given(st.floats(-1e6, 1e6), st.floats(0, 2), st.floats(1e-6, 1e-2), st.floats(1e-6, 1e-2))
def test_the_tolerance_is_numpys(expect, factor, rtol, atol):
    assume(abs(factor - 1) > 1e-3)  # on the border itself rounding decides
    got = expect + factor * (atol + rtol * abs(expect))
    if np.isclose(got, expect, rtol=rtol, atol=atol):
        check.close("v", got, expect, rtol=rtol, atol=atol)
    else:
        failure("v", got, expect, rtol=rtol, atol=atol)


def test_a_failure_says_where_it_is_worst_and_by_how_much():
    got, expect = torch.zeros(2, 3), torch.zeros(2, 3)
    got[1, 2], got[0, 0] = 5.0, 0.1
    text = str(failure("density", got, expect, equation="(10.6)", hint="look at the exponent"))
    assert "✗ density, equation (10.6)" in text
    assert "at [1, 2]: 5, expected 0: off by 5" in text
    assert "2 of 6 entries are off" in text
    assert text.endswith("next: look at the exponent")
    assert len(text.splitlines()) < 12


def test_a_number_is_not_located_and_an_infinite_distance_is_called_one():
    text = str(failure("v", -12.5, 12.5))
    assert "differs most" not in text and "    off by 25" in text.splitlines()
    assert "expected 3: off by inf" in str(failure("v", torch.tensor([math.inf, 1.0]), [3.0, 1.0]))
    assert "at [0]: -2, expected -inf: off by inf" in str(failure("v", [-2.0, 1.0], [-math.inf, 1.0]))
    with pytest.raises(CheckFailed, match="the first is nan"):
        check.finite("v", math.nan)


def test_a_known_mistake_is_named_and_others_are_not():
    wrong = {"sign": torch.tensor([-1.0, -2.0]), "half": torch.tensor([0.5, 1.0])}
    named = failure("v", torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 2.0]), wrong=wrong)
    assert named.known_mistake == "sign" and "looks like: sign" in str(named)
    other = failure("v", torch.tensor([9.0, 9.0]), torch.tensor([1.0, 2.0]), wrong=wrong)
    assert other.known_mistake is None and "looks like" not in str(other)


def test_a_mistake_of_shape_can_be_named_too():
    named = failure("v", torch.tensor(3.0), torch.tensor([1.0, 2.0]), wrong={"summed": torch.tensor(3.0)})
    assert named.known_mistake == "summed"


def test_a_stray_axis_is_explained():
    text = str(failure("v", torch.zeros(5, 1), torch.zeros(5)))
    assert "shape (5, 1), expected (5,)" in text and "squeeze" in text


def test_a_table_that_an_axis_of_length_one_made_is_explained():
    column, row = torch.zeros(3, 4).sum(1, keepdim=True), torch.zeros(3)
    assert "(3, 1) and (3,) in one sum" in str(failure("v", column + row, row))
    assert "in one sum" not in str(failure("v", torch.zeros(2, 3), row))


@pytest.mark.parametrize(
    ("got", "said"), [(None, "return"), ("0.5", "str"), (object(), "object"), (10**400, "int")]
)
def test_what_is_no_tensor_is_said_in_words(got, said):
    assert said in str(failure("v", got, 0.5))


def test_numbers_do_not_pass_for_truth_values():
    assert "dtype" in str(failure("accepted", torch.ones(3), torch.ones(3, dtype=torch.bool)))


def test_objects_that_claim_to_be_equal_are_not_asked():
    class Agreeable:
        def __eq__(self, other):
            return True

    failure("v", Agreeable(), 1.0)
    with pytest.raises(CheckFailed):
        check.true("v", Agreeable())


def test_shape_finite_true_and_done(capsys):
    check.shape("z", torch.zeros(4, 2), (4, 2))
    check.finite("log q", torch.zeros(3))
    check.true("the chain moves", torch.tensor(True))
    check.done(visible=3, hidden=2)
    assert capsys.readouterr().out.splitlines()[-1] == "3 visible checks passed; 2 more run when you submit."
    with pytest.raises(CheckFailed, match=r"\(4, 2\), expected \(2, 4\)"):
        check.shape("z", torch.zeros(4, 2), (2, 4))
    with pytest.raises(CheckFailed, match="1 of 3 entries are not finite; the first is at \\[1\\]: nan"):
        check.finite("log q", torch.tensor([0.0, math.nan, 1.0]))
    with pytest.raises(CheckFailed, match="next: draw once a chain"):
        check.true("the chain moves", False, "draw once a chain")


def test_ipython_shows_the_message_and_no_library_traceback():
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance(colors='nocolor').run_cell("
        "'from ganedu import check; check.close(\"v\", 1.0, 2.0)')\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert "✗ v" in shown
    assert "Traceback" not in shown and "check.py" not in shown


def test_the_reporter_imports_nothing_of_grading():
    nodes = [
        n for n in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    names = {getattr(n, "module", None) or n.names[0].name for n in nodes}
    assert {name.split(".")[0] for name in names} <= {"__future__", "collections", "typing", "torch"}
