"""Known answers are read from files of cells; a probe asks for right values and for manners."""

import pytest
import torch

from ganedu.check import CheckFailed
from ganedu.grading import answers
from ganedu.grading.border import rehearsal
from ganedu.grading.checks import Lab, Named, Student, check, rehearse, run_check
from ganedu.grading.probe import Probe, cast

LAB = Lab("triple")
FILE = """
# %% shared
import torch

THREE = 3

# %% wrong: twice instead of three times
def triple(x):
    return 2 * x

# %% wrong: breaks down
def triple(x):
    raise ZeroDivisionError

# %% right: a sum
def triple(x):
    return x + (THREE - 1) * x
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "triple.py").write_text(FILE, encoding="utf-8")
    return tmp_path


def test_a_file_of_cells_gives_source_by_function_and_name(folder):
    wrong, right = answers.read(folder)
    assert list(wrong["triple"]) == ["twice instead of three times", "breaks down"]
    x = torch.tensor([1.0, -2.0])
    assert answers.function(right["triple"]["a sum"], "triple")(x).tolist() == [3.0, -6.0]


def test_a_name_that_comes_twice_is_refused(folder):
    (folder / "triple.py").write_text(FILE + "\n# %% right: a sum\n", encoding="utf-8")
    with pytest.raises(ValueError, match="triple.py: two answers are called 'a sum'"):
        answers.read(folder)


def test_a_mistake_works_on_copies_and_may_break_down(tmp_path):
    text = "# %% wrong: in place\ndef zero(x):\n    return x.zero_()\n"
    (tmp_path / "zero.py").write_text(text + "# %% wrong: breaks down\ndef zero(x):\n    raise KeyError\n")
    wrong, _ = answers.read(tmp_path)
    x = torch.ones(2)
    assert list(answers.values(wrong["zero"], "zero", {"x": x})) == ["in place"]
    assert x.tolist() == [1.0, 1.0]


def test_cast_reaches_into_named_functions_and_leaves_bools():
    case = {"f": Named("constant", value=torch.ones(2)), "keep": torch.tensor([True]), "step_size": 0.5}
    double = cast(case, torch.float64)
    assert double["f"].parameters["value"].dtype == torch.float64
    assert double["keep"].dtype == torch.bool and double["step_size"] == 0.5


def tripled(folder):
    wrong, _ = answers.read(folder)

    @check("triple_test", points=1)
    def is_triple(student, rng):
        probe = Probe(student, "triple", wrong)
        case = {"x": torch.randn(5, generator=rng, dtype=torch.float64)}
        probe.manners(case, random="noise is added")
        probe.close("three times x", case, 3 * case["x"], hint="count")

    return is_triple


def in_place(x):
    x *= 3
    return x.clone()


def test_a_probe_accepts_the_truth(folder):
    found = rehearse(tripled(folder), {"triple": lambda x: 3 * x})
    assert found.points == 1 and len(found.messages) == 6


def test_a_probe_accepts_float64_whose_constants_were_once_float32(folder):
    assert rehearse(tripled(folder), {"triple": lambda x: x / torch.tensor(1 / 3)}).points == 1


def gradients_add_up(x):
    (1.5 * x.requires_grad_() ** 2).sum().backward()
    return x.grad.clone()


@pytest.mark.parametrize(
    ("answer", "mistake"),
    [
        (lambda x: 2 * x, "twice instead of three times"),
        (lambda x: (3 * x).float(), "float64 is cut to float32"),
        (in_place, "an argument is changed in place"),
        (lambda x: 3 * x + torch.randn_like(x), "noise is added"),
        (gradients_add_up, "an argument is changed in place"),
        (lambda x: 3 * x / torch.zeros_like(x) * 0, None),
        (lambda x: [3], None),
    ],
)
def test_a_probe_catches_and_names(folder, answer, mistake):
    found = rehearse(tripled(folder), {"triple": answer})
    assert (found.points, found.known_mistake, found.error) == (0, mistake, None)


def test_a_guest_that_echoes_arguments_hides_a_change_in_place_from_one_call_and_not_from_two(folder):
    """What is told of an argument is only a claim; that the same object gives the same answer is not."""

    def changes_its_argument(x):
        x *= 3
        return x.clone()

    with rehearsal({"triple": changes_its_argument}) as ask:

        def lying(request):
            if request["do"] == "after":
                return request["arguments"][request["argument"]]
            return ask(request)

        found = run_check(tripled(folder), Student(lying), seed=0)
    assert found.points == 0 and "x is left as it was" in found.messages[-2]
    assert "a second call with the same tensors gave another answer" in found.messages[-1]
    assert found.known_mistake == "an argument is changed in place"


@pytest.mark.parametrize("reply", [None, 3.0, torch.zeros(()), [torch.zeros(5)], torch.zeros(4), "x"])
def test_a_probe_asks_for_a_tensor_of_a_shape_and_gets_one_or_ends_the_check(reply):
    probe = Probe(Student(lambda request: reply), "triple", {"triple": {}})
    with pytest.raises(CheckFailed, match="the result of triple"):
        probe.tensor({"x": torch.zeros(5)}, shape=(5,))
    with pytest.raises(CheckFailed, match="the last of three"):
        probe.close("the last of three", {}, torch.ones(()), part=lambda answer: answer[2][1:])


def test_an_answer_that_fails_on_smaller_arguments_is_told_its_difference(tmp_path):
    text = "".join(f"# %% wrong: {n}\ndef triple(x):\n    return x * 0 + 1\n" for n in ("one", "two"))
    (tmp_path / "triple.py").write_text(text, encoding="utf-8")
    wrong, _ = answers.read(tmp_path)

    def triple(x):
        return x * 0 + 1 if x[0] > 1 else 1 / 0

    @check("triple_test", points=1)
    def is_triple(student, rng):
        x = torch.tensor([1.5, 3.0], dtype=torch.float64)
        Probe(student, "triple", wrong).close("three times x", {"x": x}, 3 * x)

    found = rehearse(is_triple, {"triple": triple})
    assert found.known_mistake == "one" and "differs most" in found.messages[-1]


def test_of_two_mistakes_that_give_one_answer_smaller_arguments_tell_which_it_is(tmp_path):
    text = "# %% wrong: capped at one\ndef triple(x):\n    return x.clamp(max=1)\n"
    text += "# %% wrong: always one\ndef triple(x):\n    return x * 0 + 1\n"
    (tmp_path / "triple.py").write_text(text, encoding="utf-8")
    wrong, _ = answers.read(tmp_path)

    @check("triple_test", points=1)
    def is_triple(student, rng):
        x = torch.tensor([1.5, 3.0], dtype=torch.float64)
        Probe(student, "triple", wrong).close("three times x", {"x": x}, 3 * x)

    capped, one = (
        rehearse(is_triple, {"triple": answer}).known_mistake
        for answer in (lambda x: x.clamp(max=1), torch.ones_like)
    )
    assert (capped, one) == ("capped at one", "always one")
