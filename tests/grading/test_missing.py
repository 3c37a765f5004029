"""A missing function is explained by what its cell raised."""

import pytest
from nbformat.v4 import new_output

from ganedu.grading.checks import check, rehearse
from ganedu.grading.missing import explain_missing, raised


@check("f_test", points=1)
def calls_f(student, rng):
    student.require("first", True, "never said")
    student.call("f")


def test_the_error_of_the_cell_follows_the_verdict():
    outputs = [
        new_output("stream", name="stdout", text="hello"),
        new_output("error", ename="ModuleNotFoundError", evalue="No module named 'ganedu.samplers'"),
    ]
    messages = rehearse(calls_f, {}).messages
    *before, last = explain_missing(messages, raised(outputs))
    assert before == ["✓ first"] and last.splitlines() == [
        "✗ there is no function f",
        "    the cell that defines it raised ModuleNotFoundError: No module named 'ganedu.samplers'",
        "    next: write it without ganedu.samplers, which is not there while grading",
    ]


def test_other_errors_are_shown_as_they_are_and_other_verdicts_stay():
    missing = rehearse(calls_f, {}).messages
    assert "raised NameError: x" in explain_missing(missing, "NameError: x")[-1]
    assert "next" not in explain_missing(missing, "NameError: x")[-1]
    found = rehearse(calls_f, {"f": lambda: 1 / 0}).messages
    for messages, cause in ((missing, None), (missing, ""), (found, "NameError: x"), ((), "NameError: x")):
        assert explain_missing(messages, cause) == messages


@pytest.mark.parametrize("name", ["Error", "\x1b[31mError", "E\nr\nr\u202e"])
def test_what_a_cell_says_is_one_line_of_printable_text(name):
    cause = raised([new_output("error", ename=name, evalue="<b>12 of 12</b>\n" * 1000)])
    last = explain_missing(rehearse(calls_f, {}).messages, cause)[-1].splitlines()
    assert len(last) == 2 and all(line.isprintable() for line in last) and len(last[1]) < 500


def test_a_cell_without_an_error_has_no_cause():
    assert raised([]) is None and raised([new_output("stream", text="Error: no")]) is None
