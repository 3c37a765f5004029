"""The wire between checker and guest: data round trips, everything else is refused."""

import pickle
import socket
import threading
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganedu.check import CheckFailed
from ganedu.grading.border import ask
from ganedu.grading.guest import wire
from ganedu.grading.guest.named import REGISTRY, Named
from ganedu.grading.guest.wire import WireError


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        yield ours, theirs


def across(value):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=wire.send, args=(ours, value))
        thread.start()
        try:
            return wire.receive(theirs)
        finally:
            thread.join()


numbers = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text()
trees = st.recursive(
    numbers, lambda t: st.lists(t) | st.tuples(t, t) | st.dictionaries(st.text(), t), max_leaves=12
)


@settings(deadline=None)
@given(trees)
def test_plain_data_round_trips(value):
    assert across(value) == value


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64],
)
def test_tensors_round_trip_bit_for_bit(dtype):
    sent = torch.arange(12).reshape(3, 4).to(dtype).T  # not contiguous
    got = across({"z": (sent, [sent[0, 0]])})["z"][0]
    assert got.dtype == dtype and torch.equal(got, sent)


def test_arrays_scalars_gradients_and_views_arrive_as_plain_tensors():
    z = torch.ones(3, requires_grad=True)
    got = across([np.arange(3.0), np.float32(2.5), z, z[1:], torch.zeros(0, 2)])
    assert [tuple(t.shape) for t in got] == [(3,), (), (3,), (2,), (0, 2)]
    assert not any(t.requires_grad for t in got)


def test_named_functions_are_sent_by_name_with_their_parameters():
    inner = Named("affine", weight=torch.eye(2) * 3, bias=torch.ones(2))
    got = across(Named("walled", logit=Named("linear_logit", weight=torch.ones(2)), radius=1.5))
    x = torch.tensor([[1.0, 0.5], [3.0, 0.0]])
    torch.testing.assert_close(got(x), torch.tensor([1.5, float("nan")]), equal_nan=True)
    torch.testing.assert_close(across(inner)(x), 3 * x + 1)


def test_every_named_function_is_what_its_docstring_says():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    matrix, w, b = torch.randn(3, 3), torch.randn(3), torch.tensor(0.3)
    rows = [(name, x[i]) for name in ("latent_quadratic", "quadratic_logit") for i in range(5)]
    for name, row in rows:
        value = Named(name, matrix=matrix, weight=w, bias=b)(row[None])[0]
        torch.testing.assert_close(value, row @ (matrix @ row) + row @ w + b)
    w1, b1, w2, b2 = torch.randn(3, 4), torch.randn(4), torch.randn(4, 2), torch.randn(2)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    layers.load_state_dict({"0.weight": w1.T, "0.bias": b1, "2.weight": w2.T, "2.bias": b2})
    torch.testing.assert_close(Named("tanh_mlp", w1=w1, b1=b1, w2=w2, b2=b2)(x), layers(x))
    torch.testing.assert_close(Named("constant", value=2.0)(x), torch.full((5,), 2.0))
    coupled = Named("batch_coupled", weight=w)
    assert not torch.allclose(coupled(x)[:2], coupled(x[:2]))
    with pytest.raises(ValueError, match="affine"):
        Named("eval")
    assert "eval" not in REGISTRY


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_objects_are_not_data(pair):
    for value in (object(), Bomb(), lambda x: x, np.array([Bomb()], dtype=object)):
        with pytest.raises(WireError):
            wire.send(pair[0], value)


def test_pickled_bytes_are_refused_unread(pair):
    data = pickle.dumps(Bomb())
    pair[0].sendall(wire.LENGTHS.pack(2, len(data)) + b"{}" + data)
    with pytest.raises(WireError):
        wire.receive(pair[1])


def test_a_large_message_is_refused_before_its_body_is_read(pair):
    for lengths in ((wire.JSON_LIMIT + 1, 0), (2, wire.TENSOR_LIMIT + 1), (2**32 - 1, 2**32 - 1)):
        pair[0].sendall(wire.LENGTHS.pack(*lengths))  # no body follows: reading one would time out
        pair[1].settimeout(5)
        with pytest.raises(WireError, match="too large"):
            wire.receive(pair[1])


def test_a_large_result_is_refused_by_its_sender(pair):
    with pytest.raises(WireError, match="too large"):
        wire.send(pair[0], torch.zeros(wire.TENSOR_LIMIT // 4 + 100))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_noise_is_a_wire_error_or_plain_data(tree, data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(wire.LENGTHS.pack(len(tree), len(data)) + tree + data)
        try:
            value = wire.receive(theirs)
        except WireError:
            return
        assert isinstance(value, (type(None), bool, int, float, str))


@pytest.mark.parametrize(
    "tree",
    [
        b"[1]", b'{"tensor": "9"}', b'{"tensor": 0}', b'{"named": "os.system", "parameters": {}}',
        b'{"list": 3}', b'{"dict": []}', b'{"x": 1}', b"[" * 100_000, b"9" * 10_000,
        b'{"list": [' * 40 + b"1" + b"]}" * 40, b"\xff\xfe",
    ],
)  # fmt: skip
def test_trees_that_are_no_message_are_refused(tree, pair):
    pair[0].sendall(wire.LENGTHS.pack(len(tree), 0) + tree)
    with pytest.raises(WireError):
        wire.receive(pair[1])


def test_a_tensor_is_used_once_and_has_few_dimensions(pair):
    ours, theirs = pair
    tree, data = (
        b'{"list": [{"tensor": "0"}, {"tensor": "0"}]}',
        safetensors.torch.save({"0": torch.zeros(1)}),
    )
    theirs.sendall(wire.LENGTHS.pack(len(tree), len(data)) + tree + data)
    with pytest.raises(WireError):
        wire.receive(ours)
    wire.send(theirs, {"value": torch.zeros([1] * 20)})
    with pytest.raises(CheckFailed, match="20 dimensions"):
        ask(ours, {"function": "f"})


def test_an_answer_that_turned_warnings_into_errors_is_still_heard(pair):
    array = np.zeros(3)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wire.send(pair[0], array)
    assert torch.equal(wire.receive(pair[1]), torch.zeros(3, dtype=torch.float64))


def test_a_side_that_goes_away_is_noticed(pair):
    pair[0].sendall(wire.LENGTHS.pack(10, 0) + b"{")
    pair[0].close()
    with pytest.raises(ConnectionError):
        wire.receive(pair[1])
