"""Each known answer of each lab meets the hidden checks in this process, over the wire that grading uses."""

import ast
import re

import pytest

from ganedu.grading.checks import rehearse
from tests.labs.lab import LABS, checks, code, functions

SEEDS = range(1, 6)  # beside 0, which every answer meets


def namespace(lab: str, answers: dict[str, str]) -> dict:
    """What the cells define that hold only imports and functions, with `answers` in the place of theirs."""
    found: dict = {}
    for name, text in code(lab).items():
        text = answers.get(name, text)
        if all(
            isinstance(node, (ast.FunctionDef, ast.Import, ast.ImportFrom)) for node in ast.parse(text).body
        ):
            exec(compile(text, f"<{name}>", "exec"), found)
    return found


def cases(kind: str) -> list:
    return [
        pytest.param(lab, function, name, id=f"{function}: {name}")
        for lab in LABS
        for function in functions(lab)
        for name in getattr(checks(lab), kind)[function]
    ]


def verdict(lab: str, function: str, answer: str | None, seed: int):
    answers = {} if answer is None else {function: answer}
    found = rehearse(checks(lab).checks[f"{function}_test"], namespace(lab, answers), seed)
    assert found.error is None, found.error
    return found


@pytest.mark.parametrize("lab", LABS)
def test_every_function_has_eight_known_mistakes_and_four_unusual_answers(lab):
    for function in functions(lab):
        assert len(checks(lab).wrong[function]) >= 8 and len(checks(lab).right[function]) >= 4, function


@pytest.mark.parametrize(("lab", "function"), [(lab, f) for lab in LABS for f in functions(lab)])
def test_the_reference_scores_full_marks_and_the_cell_says_how_many_checks_there_are(lab, function):
    found = verdict(lab, function, None, seed=0)
    assert found.points == found.max_points, found.messages[-1]
    visible, hidden = re.search(
        r"check\.done\(visible=(\d+), hidden=(\d+)\)", code(lab)[f"{function}_test"]
    ).groups()
    ticks = re.findall(r"^\s*check\.(?!done)\w+\(", code(lab)[f"{function}_test"], re.MULTILINE)
    assert (int(visible), int(hidden)) == (len(ticks), len(found.messages))


@pytest.mark.parametrize(("lab", "function", "name"), cases("right"))
def test_an_unusual_right_answer_scores_full_marks(lab, function, name):
    found = verdict(lab, function, checks(lab).right[function][name], seed=0)
    assert found.points == found.max_points, found.messages[-1]


@pytest.mark.parametrize(("lab", "function", "name"), cases("wrong"))
def test_a_known_mistake_loses_the_points_and_is_named(lab, function, name):
    found = verdict(lab, function, checks(lab).wrong[function][name], seed=0)
    assert (found.points, found.known_mistake) == (0, name), found.messages[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("lab", "function"), [(lab, f) for lab in LABS for f in functions(lab)])
def test_verdicts_do_not_depend_on_the_seed(lab, function):
    """Every answer on two seeds more, by turns, so that every check meets each of them several times."""
    known = checks(lab)
    answers = {None: None, **known.right[function], **known.wrong[function]}
    for i, (name, answer) in enumerate(answers.items()):
        for seed in (SEEDS[i % 5], SEEDS[(i + 2) % 5]):
            found = verdict(lab, function, answer, seed)
            if name in known.wrong[function]:
                assert (found.points, found.known_mistake) == (0, name), (seed, found.messages[-1])
            else:
                assert found.points == found.max_points, (name, seed, found.messages[-1])


@pytest.mark.parametrize(("lab", "function"), [(lab, f) for lab in LABS for f in functions(lab)])
def test_an_answer_that_is_not_written_scores_nothing(lab, function):
    missing = f"def {function}(*arguments, **named):\n    raise NotImplementedError\n"
    found = verdict(lab, function, missing, seed=0)
    assert found.points == 0 and "not written yet" in found.messages[-1]
