"""One message on the wire: two lengths, a JSON tree, and the tree's tensors as safetensors. Never pickle."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from .named import Named

JSON_LIMIT = 1 << 20  # bytes; what a check's arguments and a student's numbers never reach
TENSOR_LIMIT = 64 << 20
DEPTH_LIMIT = 16
LENGTHS = struct.Struct(">II")


class WireError(ValueError):
    """What came over the wire is not a message, or is larger than a message may be."""


def send(connection: socket.socket, value: Any) -> None:
    """Send `value`: None, bool, int, float, str, tensor, array, `Named`, or lists, tuples, dicts of them."""
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_pack(value, tensors, 0)).encode()
    data = save(tensors) if tensors else b""
    if len(tree) > JSON_LIMIT or len(data) > TENSOR_LIMIT:
        raise WireError(f"a result of {(len(tree) + len(data)) >> 20} MiB is too large")
    connection.sendall(LENGTHS.pack(len(tree), len(data)) + tree + data)


def receive(connection: socket.socket) -> Any:
    """The next message. Its lengths are checked before a byte of the body is read, let alone parsed."""
    tree_length, data_length = LENGTHS.unpack(_exactly(connection, LENGTHS.size))
    if tree_length > JSON_LIMIT or data_length > TENSOR_LIMIT:
        raise WireError(f"a message of {(tree_length + data_length) >> 20} MiB is too large")
    tree, data = _exactly(connection, tree_length), _exactly(connection, data_length)
    try:
        return _unpack(json.loads(tree), load(data) if data else {}, 0)
    except WireError:
        raise
    except Exception as error:  # parsers raise many kinds on hostile bytes; all mean the same
        raise WireError(f"not a message: {type(error).__name__}") from None


def _exactly(connection: socket.socket, length: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < length:
        chunk = connection.recv(min(length - len(chunks), 1 << 20))
        if not chunk:
            raise ConnectionError("the other side has gone")
        chunks += chunk
    return bytes(chunks)


def _pack(value: Any, tensors: dict[str, torch.Tensor], depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise WireError("nested too deeply")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Named):
        parameters = {k: _pack(v, tensors, depth + 1) for k, v in value.parameters.items()}
        return {"named": value.name, "parameters": parameters}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(v, tensors, depth + 1) for v in value]}
    if isinstance(value, dict):
        return {"dict": {str(k): _pack(v, tensors, depth + 1) for k, v in value.items()}}
    if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
        name = str(len(tensors))
        try:
            value = (
                value if isinstance(value, torch.Tensor) else np.array(value)
            )  # a copy that may be written
            value = torch.as_tensor(value).detach()
            tensors[name] = (
                (value.to_dense() if value.layout != torch.strided else value).cpu().contiguous().clone()
            )
        except Exception as error:  # whatever the object's own __array__ raises
            raise WireError(f"a {type(value).__name__} that is no tensor: {error}") from None
        return {"tensor": name}
    raise WireError(f"a {type(value).__name__} is not data")


def _unpack(tree: Any, tensors: dict[str, torch.Tensor], depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise WireError("nested too deeply")
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case {"tensor": str(name)}:
            return tensors.pop(name)  # each once: a few bytes of tree must not make many of one
        case {"list": list(items)}:
            return [_unpack(item, tensors, depth + 1) for item in items]
        case {"tuple": list(items)}:
            return tuple(_unpack(item, tensors, depth + 1) for item in items)
        case {"dict": dict(items)}:
            return {key: _unpack(item, tensors, depth + 1) for key, item in items.items()}
        case {"named": str(name), "parameters": dict(parameters)}:
            return Named(name, **{k: _unpack(v, tensors, depth + 1) for k, v in parameters.items()})
    raise WireError("not a message")
