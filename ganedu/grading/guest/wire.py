"""One message on the wire: two lengths, a JSON tree, and the tree's tensors as safetensors. Never pickle.

Whatever bytes come, `receive` ends in plain data, WireError, OSError or TimeoutError, and takes at most 256
MiB of memory meanwhile: the limits below are those that the parsers do not keep.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from .named import Named

JSON_LIMIT = 1 << 20  # bytes; what a check's arguments and a student's numbers never reach
TENSOR_LIMIT = 64 << 20
NODE_LIMIT = 100_000  # values in a tree
COUNT_LIMIT = 1024  # tensors
HEADER_LIMIT = 256 * COUNT_LIMIT  # bytes that describe the tensors
STRING_LIMIT = 1 << 16  # characters
INTEGER_LIMIT = 1 << 63
DEPTH_LIMIT = 16
LENGTHS = struct.Struct(">II")


class WireError(ValueError):
    """What came over the wire is not a message, or is larger than a message may be."""


class Reference:
    """An object that stays on the guest's side, as the number that the trusted side gave it."""

    def __init__(self, number: int):
        self.number = number


class Deadline:
    """The moment, `seconds` from now, by which everything has to be sent and received."""

    def __init__(self, seconds: float):
        self.seconds, self.moment = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, more than 0. Raises TimeoutError afterwards."""
        if (left := self.moment - time.monotonic()) <= 0:
            raise TimeoutError(f"{self.seconds:g} s are over")
        return left


def send(connection: socket.socket, value: Any, deadline: Deadline | None = None) -> None:
    """Send `value`: None, bool, int, float, str, tensor, array, `Named`, or lists, tuples, dicts of them.

    Raises WireError for anything else and for what is too large, before a byte is sent; TimeoutError at the
    `deadline`.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_pack(value, tensors, iter(range(NODE_LIMIT)), 0)).encode()
    try:
        data = save(tensors) if tensors else b""
    except Exception as error:  # a dtype or a subclass that safetensors has no form for
        raise WireError(f"a tensor that is not plain: {type(error).__name__}") from None
    if len(tree) > JSON_LIMIT or len(data) > TENSOR_LIMIT:
        raise WireError(f"a result of {(len(tree) + len(data)) >> 20} MiB is too large")
    if deadline:
        connection.settimeout(deadline.left())  # of all of sendall
    connection.sendall(LENGTHS.pack(len(tree), len(data)) + tree + data)


def receive(connection: socket.socket, deadline: Deadline | None = None) -> Any:
    """The next message. Its lengths are checked before a byte of the body is read, let alone parsed.

    Raises WireError for what is no message, and TimeoutError at the `deadline`, however the bytes drip in.
    """
    tree_length, data_length = LENGTHS.unpack(_exactly(connection, LENGTHS.size, deadline))
    if tree_length > JSON_LIMIT or data_length > TENSOR_LIMIT:
        raise WireError(f"a message of {(tree_length + data_length) >> 20} MiB is too large")
    tree, data = (_exactly(connection, length, deadline) for length in (tree_length, data_length))
    if int.from_bytes(data[:8], "little") > HEADER_LIMIT:
        raise WireError("a message of too many tensors")
    try:
        tensors = load(data) if data else {}
        parsed = json.loads(tree, object_pairs_hook=_object)
        return _unpack(parsed, tensors, iter(range(NODE_LIMIT)), 0)
    except WireError:
        raise
    except Exception as error:  # parsers raise many kinds on hostile bytes; all mean the same
        raise WireError(f"not a message: {type(error).__name__}") from None


def _exactly(connection: socket.socket, length: int, deadline: Deadline | None) -> bytes:
    chunks = bytearray()
    while len(chunks) < length:
        if deadline:
            connection.settimeout(deadline.left())
        chunk = connection.recv(min(length - len(chunks), 1 << 20))
        if not chunk:
            raise ConnectionError("the other side has gone")
        chunks += chunk
    return bytes(chunks)


def _pack(value: Any, tensors: dict[str, torch.Tensor], nodes: Iterator[int], depth: int) -> Any:
    _count(nodes, depth)
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if isinstance(value, Reference):
        return {"reference": value.number}
    if isinstance(value, Named):
        parameters = {k: _pack(v, tensors, nodes, depth + 1) for k, v in value.parameters.items()}
        return {"named": value.name, "parameters": parameters}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(v, tensors, nodes, depth + 1) for v in value]}
    if isinstance(value, dict):
        return {"dict": {_scalar(str(k)): _pack(v, tensors, nodes, depth + 1) for k, v in value.items()}}
    if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
        name = str(len(tensors))
        if len(tensors) == COUNT_LIMIT:
            raise WireError(f"more than {COUNT_LIMIT} tensors")
        try:
            # An array is copied so that it may be written.
            value = torch.as_tensor(value if isinstance(value, torch.Tensor) else np.array(value)).detach()
            size = value.numel() * value.element_size()
            if size <= TENSOR_LIMIT:
                dense = value.to_dense() if value.layout != torch.strided else value
                tensors[name] = dense.cpu().contiguous().clone()
        except Exception as error:  # whatever the object's own __array__ raises
            raise WireError(f"a {type(value).__name__} that is no tensor: {error}") from None
        if size > TENSOR_LIMIT:
            raise WireError(f"a tensor of {size >> 20} MiB is too large")
        return {"tensor": name}
    raise WireError(f"a {type(value).__name__} is not data")


def _unpack(tree: Any, tensors: dict[str, torch.Tensor], nodes: Iterator[int], depth: int) -> Any:
    _count(nodes, depth)
    match tree:
        case None | bool() | int() | float() | str():
            return _scalar(tree)
        case {"tensor": str(name)}:
            tensor = tensors.pop(name)  # each once: a few bytes of tree must not make many of one
            # Any byte but 0 is a True, and arithmetic on bools is only right for the byte 1.
            return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor
        case {"list": list(items)}:
            return [_unpack(item, tensors, nodes, depth + 1) for item in items]
        case {"tuple": list(items)}:
            return tuple(_unpack(item, tensors, nodes, depth + 1) for item in items)
        case {"dict": dict(items)}:
            return {_scalar(k): _unpack(item, tensors, nodes, depth + 1) for k, item in items.items()}
        case {"named": str(name), "parameters": dict(parameters)}:
            return Named(name, **{k: _unpack(v, tensors, nodes, depth + 1) for k, v in parameters.items()})
        case {"reference": int(number)}:
            return Reference(number)
    raise WireError("not a message")


def _count(nodes: Iterator[int], depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise WireError("nested too deeply")
    if next(nodes, None) is None:
        raise WireError(f"more than {NODE_LIMIT} values")


def _scalar(value: Any) -> Any:
    """`value`, None or a number or a string, if every program that will read it can."""
    if isinstance(value, int) and abs(value) >= INTEGER_LIMIT:
        raise WireError("an integer of more than 64 bits")
    if isinstance(value, str) and len(value) > STRING_LIMIT:
        raise WireError(f"a string of more than {STRING_LIMIT} characters")
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        raise WireError("a string that is not Unicode")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise WireError("a key comes twice")
    return found
