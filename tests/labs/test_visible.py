"""Which known mistakes a lab's visible checks catch: a student who sees every tick has made none of them."""

import contextlib
import io

import pytest

from ganedu.check import CheckFailed
from tests.labs.lab import LABS, checks, functions, grade_id, source

# What is left to the hidden checks on purpose: no page can ask everything.
LEFT = {
    ("lab08_markov_chains", "mh_log_alpha"): {"an argument is changed in place"},
    ("lab08_markov_chains", "mala_step"): {
        "a proposal that is not a number is accepted",
        "the densities are exponentiated before they are divided",
    },
    ("lab08_markov_chains", "hmc_step"): {
        "a trajectory that is not a number is accepted",
        "the energies are exponentiated before they are divided",
    },
    ("lab09_density_ratio", "platt_scale"): {"an argument is changed in place"},
    ("lab09_density_ratio", "drs_accept_prob"): {"epsilon is left out"},
    ("lab10_rep_gan", "rep_gan_chain"): {
        "states are mixed by multiplication, so that NaN times zero stays NaN"
    },
}


def passes(answer: str, cell: str, names: dict) -> bool:
    """Whether ``answer`` gets every tick of the test ``cell``, after what the page has defined so far."""
    names = dict(names)
    try:
        for text in (answer, cell):
            exec(compile(text, "<visible checks>", "exec"), names)
    except (CheckFailed, ArithmeticError, IndexError, RuntimeError, TypeError, ValueError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS)
def test_the_visible_checks_catch_all_known_mistakes_but_those_that_are_left_to_the_hidden_ones(lab):
    """And stop no unusual right answer."""
    cells = [
        c for c in source(lab).cells if c.cell_type == "code" and "long" not in c.metadata.get("tags", [])
    ]
    cells = {grade_id(cell): cell.source for cell in cells}
    names, known, exercises = {}, checks(lab), functions(lab)
    with contextlib.redirect_stdout(io.StringIO()):
        for name, text in cells.items():
            if name in exercises:
                test = cells[f"{name}_test"]
                missed = {m for m, answer in known.wrong[name].items() if passes(answer, test, names)}
                assert missed == LEFT.get((lab, name), set()), name
                stopped = {r for r, answer in known.right[name].items() if not passes(answer, test, names)}
                assert not stopped, name
            exec(compile(text, f"<{name}>", "exec"), names)
