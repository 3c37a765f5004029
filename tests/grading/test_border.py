"""Objects of the student's behind handles, iterators, gradients and deadlines; and a guest that lies."""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganedu.check import CheckFailed
from ganedu.grading import grade
from ganedu.grading.border import DTYPES, ask, rehearsal
from ganedu.grading.checks import Named, Student, check, rehearse, run_check
from ganedu.grading.examples import answered
from ganedu.grading.guest import wire
from ganedu.grading.guest.wire import Deadline, Reference, WireError
from ganedu.grading.probe import Probe
from ganedu.grading.student import part_of, tensor_of
from tests.grading.mini_course import released, submit

X, WEIGHT, BIAS = torch.randn(5, 3), torch.randn(3), torch.tensor(0.25)


class Critic(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width))
        self.bias = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.register_buffer("seen", torch.tensor(0))

    def forward(self, x):
        self.seen += 1
        return x @ self.weight + self.bias

    def score(self, x):
        return -self(x)

    def walk(self, x):
        return (x + k for k in count())


FUNCTIONS = {
    "Critic": Critic,
    "mean_score": lambda critic, x: critic(x).mean(),
    "product": lambda a, b: (a * b, (a * b).sum()),
    "naturals": lambda: count(),
    "three": lambda: iter(torch.arange(3)),
    "seven": lambda: 7,
    "bad": lambda: (object() for _ in range(2)),
    "number": 3,
    "raises": lambda: next(iter(())),
}


@pytest.fixture
def student():
    with rehearsal(FUNCTIONS) as talk:
        yield Student(talk)


def state():
    return {"weight": WEIGHT, "bias": BIAS}


def test_a_module_is_made_there_and_called_here(student):
    critic = student.make("Critic", width=3, state=state())
    expect = X @ WEIGHT + BIAS
    torch.testing.assert_close(critic(x=X), expect)
    torch.testing.assert_close(critic.call(x=X), expect)
    torch.testing.assert_close(critic.method("score", x=X), -expect)
    torch.testing.assert_close(student.call("mean_score", critic=critic, x=X), expect.mean())
    assert critic.state()["seen"] == 4 and set(critic.state()) == {"weight", "bias", "seen"}


def test_two_handles_are_two_objects_and_load_takes_dtypes(student):
    one, two = (student.make("Critic", width=3, state=state()) for _ in range(2))
    two.load({"weight": 2 * WEIGHT.double(), "bias": BIAS.double(), "seen": torch.tensor(5)})
    torch.testing.assert_close(two(x=X.double()), 2 * X.double() @ WEIGHT.double() + BIAS.double())
    torch.testing.assert_close(one.state()["weight"], WEIGHT)
    assert two.state()["seen"] == 6


def test_a_handle_goes_inside_a_named_function(student):
    critic = student.make("Critic", width=3, state=state())
    walled = Named("walled", logit=critic, radius=1e9)
    torch.testing.assert_close(student.call("mean_score", critic=walled, x=X), (X @ WEIGHT + BIAS).mean())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"weight": WEIGHT}, "Critic has the parameters weight, bias, seen, expected weight"),
        (state() | {"other": BIAS}, "Critic has the parameters weight, bias, seen, expected"),
        (
            state() | {"weight": WEIGHT[:2]},
            r"Critic has the parameter weight of shape \(3,\), expected \(2,\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_said(student, wrong, said):
    with pytest.raises(CheckFailed, match=said):
        student.make("Critic", width=3, state=wrong)


def test_what_cannot_be_made_or_called_is_said(student):
    with pytest.raises(CheckFailed, match="there is no function Generator"):
        student.make("Generator", dim=2)
    with pytest.raises(CheckFailed, match="there is no function number"):
        student.make("number")
    with pytest.raises(CheckFailed, match="Critic raised TypeError"):
        student.make("Critic", height=3)
    with pytest.raises(CheckFailed, match=r"there is no function Critic\.entropy"):
        student.make("Critic", width=3).method("entropy", x=X)
    with pytest.raises(CheckFailed, match=r"seven is of type int, expected a torch\.nn\.Module"):
        student.make("seven", state={})


def test_an_object_is_gone_with_the_check_that_made_it(student):
    kept = [student.make("Critic", width=3) for _ in range(2)][1]
    with rehearsal(FUNCTIONS) as talk:
        later = Student(talk)
        later.make("Critic", width=3)
        with pytest.raises(CheckFailed, match="mean_score is called with an object that is gone"):
            later.call("mean_score", critic=kept, x=X)
        assert later.call("seven") == 7
    assert kept(x=X).shape == (5,)


def test_iterators_are_drained_there_and_cut_at_the_limit(student):
    assert student.drain("naturals", 4) == ([0, 1, 2, 3], False)
    for limit in (3, 9):
        items, ended = student.drain("three", limit)
        assert torch.stack(items).tolist() == [0, 1, 2] and ended
    assert len(student.drain("three", 2).items) == 2 and not student.drain("three", 2).ended
    walk = student.make("Critic", width=3).drain(2, "walk", x=X)
    assert not walk.ended and torch.equal(walk.items[1], X + 1)
    with pytest.raises(CheckFailed, match="int where something to iterate over was expected"):
        student.drain("seven", 2)
    with pytest.raises(CheckFailed, match="a object is not data"):
        student.drain("bad", 2)
    with pytest.raises(CheckFailed, match="is not data"):
        student.call("naturals")


def test_vjp_reaches_arguments_parameters_and_parameters_of_arguments(student):
    critic = student.make("Critic", width=3, state=state())
    cotangent = torch.randn(5, dtype=torch.float64)
    weights = cotangent.float()
    by_x, by_weight, by_bias = critic.vjp(wrt=["x", "weight", "bias"], cotangent=cotangent, x=X)
    torch.testing.assert_close(by_x, weights[:, None] * WEIGHT)
    torch.testing.assert_close(by_weight, weights @ X)
    assert by_bias == 0, "a frozen parameter"
    torch.testing.assert_close(critic.vjp("score", wrt="weight", cotangent=cotangent, x=X), -weights @ X)
    through = student.vjp("mean_score", wrt="critic.weight", cotangent=torch.ones(()), critic=critic, x=X)
    torch.testing.assert_close(through, X.mean(0))
    pair = (torch.ones(3), torch.tensor(2.0))
    found = student.vjp("product", wrt=("a", "b"), cotangent=pair, a=WEIGHT, b=X[0])
    torch.testing.assert_close(found, (3 * X[0], 3 * WEIGHT))


@pytest.mark.parametrize(
    ("function", "cotangent", "said"),
    [
        ("mean_score", torch.ones(5), r"returned a tensor of shape \(\), expected \(5,\)"),
        ("number", torch.ones(5), "there is no function number"),
    ],
)
def test_a_gradient_that_cannot_be_taken_is_said(student, function, cotangent, said):
    critic = student.make("Critic", width=3)
    with pytest.raises(CheckFailed, match=said):
        student.vjp(function, wrt="x", cotangent=cotangent, critic=critic, x=X)
    with pytest.raises(CheckFailed, match="Critic has no parameter scale, only weight, bias, seen"):
        critic.vjp(wrt="scale", cotangent=torch.ones(5), x=X)
    with pytest.raises(CheckFailed, match="int where a tensor was expected"):
        student.vjp("seven", wrt=[], cotangent=torch.ones(()))


def test_what_is_held_is_one_object_for_every_call():
    def add_one(x):
        return x.add_(1).clone()

    with rehearsal({"add_one": add_one}) as talk:
        student = Student(talk)
        held = student.hold(torch.zeros(2))
        assert [student.call("add_one", x=held).tolist() for _ in range(2)] == [[1, 1], [2, 2]]
        assert student.call("add_one", x=torch.zeros(2)).tolist() == [1, 1]


def test_an_iterator_that_is_spent_is_an_error_of_the_answer(student):
    with pytest.raises(CheckFailed, match="raises raised StopIteration"):
        student.call("raises")


# What only a rewritten guest can say.


def lying(reply):
    return Student(lambda request: reply)


@pytest.mark.parametrize("reply", [None, 3, [1], ([1, 2, 3], True), ([1], 1), ([1], True, 0), "ab", {}])
def test_a_drained_reply_of_another_form_is_refused(reply):
    with pytest.raises(CheckFailed, match="did not answer with what it iterates over"):
        lying(reply).drain("f", 2)


@pytest.mark.parametrize("reply", [None, 3.0, (X,), [X, X], (X, X, X), (X, "x"), {"x": X}])
def test_a_gradient_of_another_form_is_refused(reply):
    with pytest.raises(CheckFailed, match="did not answer with a gradient"):
        lying(reply).vjp("f", wrt=["x", "y"], cotangent=X, x=X, y=X)
    with pytest.raises(CheckFailed, match="did not answer with a gradient"):
        lying([X]).vjp("f", wrt="x", cotangent=X, x=X)


@pytest.mark.parametrize("reply", [None, 3, X, [X], {"weight": 1.0}])
def test_a_state_of_another_form_is_refused(reply):
    with pytest.raises(CheckFailed, match="no parameters that are tensors"):
        lying(reply).make("Critic").state()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Reference(3), "returned a function, not data"),
        ([{"x": Reference(3)}], "returned a function, not data"),
        (torch.zeros(0, 1 << 40), r"shape \(0, 1099511627776\), which is too large"),
        (torch.zeros(2, dtype=torch.float8_e5m2), "dtype torch.float8_e5m2"),
        (torch.zeros(2, dtype=torch.complex64), "dtype torch.complex64"),
        (torch.zeros(2, dtype=torch.uint64), "dtype torch.uint64"),
    ],
)
def test_a_reply_that_is_not_common_data_is_refused(value, said):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(theirs, {"value": value})
        with pytest.raises(CheckFailed, match=said):
            ask(ours, {"function": "f"})


UNUSUAL = {
    "sparse": lambda x: (2 * x).to_sparse(),
    "compressed": lambda x: (2 * x).to_sparse_csr(),
    "quantized": lambda x: torch.quantize_per_tensor(2 * x, 1.0, 0, torch.qint8),
    "nested": lambda x: torch.nested.nested_tensor([2 * x[0], 2 * x[1, :1]]),
    "on no device": lambda x: x.to("meta"),
    "complex128": lambda x: x.to(torch.complex128),
    "a view of one entry": lambda x: x[:1, :1].expand(1 << 20, 1 << 12),
    "half a byte": lambda x: torch.empty(2, dtype=torch.float4_e2m1fn_x2),
    "conjugate": lambda x: torch.view_as_complex(torch.stack([x, x], -1)).conj(),
    "negative": lambda x: torch._neg_view(-2 * x),
    "a parameter": lambda x: nn.Parameter(2 * x),
    "a surrogate": lambda x: "\ud800",
    "a huge integer": lambda x: 10**5000,
    "a long string": lambda x: "a" * 70_000,
    "many": lambda x: [0] * 200_000,
    "many tensors": lambda x: [x] * 2000,
    "surrogate key": lambda x: {"\ud800": x},
    "itself": lambda x: (lambda a: a.append(a) or a)([]),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_result_is_plain_or_refused_and_the_guest_goes_on(name):
    @check("f_test", points=1)
    def doubles(student, rng):
        try:
            got = student.call("f", x=X)
        except CheckFailed as failure:
            student.messages.append(str(failure))
        else:
            student.close("f", got, 2 * X)
        student.close("g", student.call("g", x=X), X)

    verdict = rehearse(doubles, {"f": UNUSUAL[name], "g": lambda x: x})
    assert verdict.error is None and verdict.points == 1
    right = name in ("sparse", "compressed", "negative", "a parameter")
    assert verdict.messages[0].startswith("✓ f" if right else "✗ f returned")


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | st.text(max_size=3)
    | st.builds(lambda shape, dtype: torch.ones(shape).to(dtype),
                st.lists(st.integers(0, 3), max_size=3), st.sampled_from(sorted(DTYPES, key=str))),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@given(anything)
def test_whatever_a_reply_is_comparing_it_with_the_truth_ends_in_a_verdict(reply):
    @check("f_test", points=1)
    def ones(student, rng):
        for truth in (torch.ones(2, 3), torch.tensor(True), torch.tensor(1), 1.0):
            try:
                student.close("f", student.call("f"), truth, wrong={"zeros": torch.zeros(2, 3), "no": False})
            except CheckFailed:
                continue

    assert run_check(ones, lying(reply), 0).error is None


def test_a_message_that_quotes_a_reply_is_cut():
    @check("f_test", points=1)
    def quotes(student, rng):
        student.require("f", False, str(student.call("f")))

    assert len(run_check(quotes, lying("a" * 60_000), 0).messages[-1]) == 4000
    probe = Probe(lying([1.0] * 50_000), "f", {"f": {}})
    with pytest.raises(CheckFailed, match=r"expected tensors, got a list of 50000 \(float, float, "):
        probe.manners({"x": X})


# Time.


def dripping(connection, stop):
    while not stop.wait(0.05):
        try:
            connection.send(b"\0")
        except OSError:
            return


@pytest.mark.parametrize(
    "start", [b"", struct.pack(">II", 1 << 20, 0), struct.pack(">II", 2, 1 << 20) + b"1 "]
)
def test_a_guest_that_drips_bytes_meets_the_deadline_of_the_check(start):
    ours, theirs = socket.socketpair()
    stop = threading.Event()
    with ours, theirs:
        theirs.sendall(start)
        thread = threading.Thread(target=dripping, args=(theirs, stop))
        thread.start()
        with pytest.raises(CheckFailed, match=r"f did not return within 0\.3 s, the time of this check"):
            ask(ours, {"function": "f"}, Deadline(0.3))
        stop.set()
        thread.join()


def test_one_deadline_holds_for_all_requests_of_a_check():
    ours, theirs = socket.socketpair()
    deadline = Deadline(0.4)

    def slow():
        for _ in range(50):
            try:
                wire.receive(theirs)
                time.sleep(0.1)
                wire.send(theirs, {"value": 1})
            except OSError:
                return

    thread = threading.Thread(target=slow)
    thread.start()
    with pytest.raises(CheckFailed, match="within 0.4 s"):  # no one of them takes half of that
        for _ in range(50):
            ask(ours, {"function": "f"}, deadline)
    ours.close()
    thread.join()
    theirs.close()


def test_a_guest_that_reads_nothing_meets_the_deadline_too():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(CheckFailed, match="within 0.2 s"):
        ask(ours, {"function": "f", "arguments": {"x": torch.zeros(1 << 22)}}, Deadline(0.2))
    with pytest.raises(TimeoutError):
        Deadline(-1).left()


def test_a_request_that_cannot_be_sent_is_the_checks_fault():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(WireError):
        ask(ours, {"function": "f", "arguments": {"x": object()}})


# Bytes.


def received(tree: bytes, data: bytes = b""):
    """What `receive` makes of a message; WireError as None, and any other exception as itself."""
    ours, theirs = socket.socketpair()
    message = wire.LENGTHS.pack(len(tree), len(data)) + tree + data
    with ours, theirs:
        thread = threading.Thread(target=theirs.sendall, args=(message,))
        thread.start()
        try:
            return wire.receive(ours, Deadline(30))
        except WireError:
            return None
        finally:
            thread.join()


def plain(value) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    if isinstance(value, dict):
        return all(map(plain, [*value, *value.values()]))
    if isinstance(value, Named):
        return plain(value.parameters)
    if isinstance(value, str):
        return bool(value.encode()) or not value
    return value is None or isinstance(value, (bool, int, float, torch.Tensor, Reference))


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
words = st.sampled_from(["tensor", "list", "tuple", "dict", "named", "parameters", "reference", "0", "ring"])
trees = st.recursive(
    leaves | words.map(lambda word: {"tensor": word}),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(words, inner | words, max_size=3)
        | st.sampled_from(["list", "tuple"]).flatmap(lambda kind: st.lists(inner).map(lambda v: {kind: v}))
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(lambda v: {"dict": v})
    ),
    max_leaves=16,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(
            ["F32", "F64", "BOOL", "I8", "U64", "C64", "F8_E5M2", "F4", "F6_E2M3", "X", 3]
        ),
        "shape": st.lists(st.sampled_from([0, 1, 2, 3, 4, -1, 1 << 62, 1 << 64, 1.5]), max_size=20),
        "data_offsets": st.lists(st.integers(-1, 20) | st.just(1 << 64), max_size=3),
    },
)
headers = st.dictionaries(words, entries | leaves, max_size=3)


@given(trees, headers, st.binary(max_size=24), st.integers(-8, 8))
def test_any_message_is_plain_data_or_refused(tree, header, body, off):
    text = json.dumps(header).encode()
    data = struct.pack("<Q", max(len(text) + off if off > 4 else len(text), 0)) + text + body
    assert plain(received(json.dumps(tree).encode(), data))


@given(
    st.lists(st.sampled_from([1, 4, 8]), max_size=3),
    st.sampled_from(["F32", "BOOL", "U64", "C64", "F8_E5M2"]),
)
def test_a_tensor_of_any_dtype_is_read_or_refused(shape, dtype):
    size = {"F32": 4, "BOOL": 1, "U64": 8, "C64": 8, "F8_E5M2": 1}[dtype] * torch.Size(shape).numel()
    header = json.dumps({"0": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    got = received(b'{"tensor": "0"}', struct.pack("<Q", len(header)) + header + b"\7" * size)
    assert isinstance(got, torch.Tensor) and got.shape == torch.Size(shape)
    if dtype == "BOOL":  # the byte 7 is true, and equal to every other truth
        assert torch.equal(got.to(torch.uint8), torch.ones(shape, dtype=torch.uint8))


@pytest.mark.parametrize(
    "tree",
    [
        b'{"dict": {"a": 1, "a": 2}}', b'{"list": [], "list": []}', b"9" * 30, b"1" + b"0" * 100_000,
        b'"\\ud800"', b'{"dict": {"\\udc00": 1}}', b'"' + b"a" * 70_000 + b'"', b'{"reference": 1.5}',
        b'{"list": [' + b"0," * 110_000 + b"0]}", b'{"a":' * 150_000, b"", b"nan", b'{"named": "ring"}',
        b'{"named": "ring", "parameters": {"x": {"named": "eval", "parameters": {}}}}',
    ],
)  # fmt: skip
def test_trees_that_would_hurt_are_refused(tree):
    assert received(tree) is None


@pytest.mark.parametrize(("tree", "value"), [(b"Infinity", "inf"), (b"-1e999", "-inf"), (b"NaN", "nan")])
def test_numbers_that_are_not_finite_are_floats(tree, value):
    assert repr(received(tree)) == value


def test_many_tensors_are_refused_unread():
    parts = [f'"{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}' for i in range(10_000)]
    header = f"{{{','.join(parts)}}}".encode()
    assert received(b"1", struct.pack("<Q", len(header)) + header + b"0" * 10_000) is None
    assert received(b"1", struct.pack("<Q", 1 << 63)) is None


MEMORY = """
import resource, socket, threading
import torch
from safetensors.torch import save
from ganedu.grading.examples import answered
from ganedu.grading.guest import wire

def listed(unit):
    return b'{"list": [' + b",".join([unit] * ((wire.JSON_LIMIT - 12) // (len(unit) + 1))) + b"]}"

big = save({"0": torch.ones(wire.TENSOR_LIMIT - 100, dtype=torch.bool)})
units = (b"{}", b"[]", b'{"a":1}', b'{"dict":{}}', b"[[[[]]]]", b"1.5", b'"ab"')
messages = [(listed(unit), b"") for unit in units]
messages += [(b'{"tensor": "0"}', big), (b"1", (60 << 20).to_bytes(8, "little") + b"[" * (60 << 20))]
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
del big
torch.ones(4).to(torch.uint8)
before = used()
for tree, data in messages:
    ours, theirs = socket.socketpair()
    def write():
        theirs.sendall(wire.LENGTHS.pack(len(tree), len(data)))
        theirs.sendall(tree)
        for i in range(0, len(data), 1 << 20):
            theirs.sendall(memoryview(data)[i : i + (1 << 20)])
    thread = threading.Thread(target=write)
    thread.start()
    try:
        wire.receive(ours)
    except wire.WireError:
        pass
    thread.join()
print(used() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_reading_a_message_takes_less_memory_than_is_stated():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 256 << 10


# Parts of replies.


def test_a_part_that_is_not_there_is_the_answers_fault():
    assert part_of((1, 2), lambda pair: pair[1], "f") == 2
    for reply, said in (
        (3, "an int"),
        ((1,), r"a tuple of 1 \(int\)"),
        (None, "is there a return"),
        ({}, "a dict"),
    ):
        with pytest.raises(CheckFailed, match=f"✗ f\n    the result is .*{said}"):
            part_of(reply, lambda pair: pair[1], "f")
    assert tensor_of(X, "f", (5, 3)) is X
    with pytest.raises(CheckFailed, match=r"a tensor of shape \(5, 3\), expected a tensor of shape \(3,\)"):
        tensor_of(X, "f", (3,))
    with pytest.raises(CheckFailed, match=r"a list of 5 \(int, int, int, int, …\), expected a tensor"):
        tensor_of([1] * 5, "f")


# In the sandbox.

CHECK = '''

@check("double_test", points=2)
def made(student, rng):
    """What the notebook defines is made, called, drained and differentiated in its kernel."""
    x, weight = torch.randn(5, 3, generator=rng), torch.randn(3, generator=rng)
    critic = student.make("Critic", state={"weight": weight})
    student.close("score", critic(x=x), x @ weight)
    student.close("gradient", critic.vjp(wrt="weight", cotangent=torch.ones(5), x=x), x.sum(0))
    student.close("as an argument", student.call("double", f=critic, x=x), 2 * x @ weight)
    walk = student.drain("walk", 3)
    student.require("three steps", walk == ([0, 1, 2], False), "it ended early")
'''
ANSWER = """
class Critic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x @ self.weight

def double(f, x):
    return 2 * f(x)

def walk():
    k = 0
    while True:
        yield k
        k += 1
"""


@pytest.mark.slow
def test_objects_and_iterators_of_a_notebook_are_used_in_its_sandbox(sandboxed, course):
    path = course / "solutions" / "mini" / "checks.py"
    text = path.read_text()
    path.write_text(text[: text.index('@check("double_test"')].rstrip() + CHECK)
    hand_ins = {"ada": ANSWER, "bob": ANSWER.replace("x @ self.weight", "x @ self.weight.detach()")}
    for student, answer in hand_ins.items():
        submit(course, student, answered(released(course), {"double": answer}))
    results = {result.student: result for result in grade("mini", course, progress=False)}
    checks = {name: result.checks[0] for name, result in results.items()}
    assert checks["ada"]["points"] == 2, checks["ada"]["messages"]
    assert checks["bob"]["points"] == 0 and checks["bob"]["messages"][-1].startswith("✗ gradient")
