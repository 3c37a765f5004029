"""The trusted end of the wire: ask the guest, and check every byte of what it replies."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ganedu.check import CheckFailed
from ganedu.grading.guest.named import Named
from ganedu.grading.guest.serve import converse
from ganedu.grading.guest.wire import Deadline, Reference, WireError, receive, send
from ganedu.grading.missing import MISSING
from ganedu.grading.text import printable

DTYPES = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
DTYPES |= {torch.float16, torch.bfloat16, torch.float32, torch.float64}
DIMENSION_LIMIT = 16
ELEMENT_LIMIT = 16 << 20


def ask(connection: socket.socket, request: dict[str, Any], deadline: Deadline | None = None) -> Any:
    """Send one request and return the checked value of the reply; raise `CheckFailed` if there is none.

    One `deadline` for all requests of a check bounds the time that an answer can take. Raises WireError for a
    request that cannot be sent, which is the check's fault.
    """
    name = request["function"]
    try:
        send(connection, request, deadline)
        with _refusals(name):
            reply = receive(connection, deadline)
    except TimeoutError:
        seconds = f"{deadline.seconds:g} s, the time of this check" if deadline else "its time"
        raise CheckFailed(f"✗ {name} did not return within {seconds}") from None
    except OSError:
        raise CheckFailed(
            f"✗ {name} ended the notebook's kernel, or used up the time of this check"
        ) from None
    match reply:
        case {"value": value}:
            return _data(name, value)
        case {"error": dict(error)}:
            raise CheckFailed(_explain(name, error))
    raise CheckFailed(f"✗ {name} did not answer with data")


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise CheckFailed(f"✗ {name} returned what is not data: {printable(error)}") from None


def _data(name: str, value: Any) -> Any:
    """`value` if it holds only tensors of common dtypes, numbers, strings, None and containers of them."""
    if isinstance(value, torch.Tensor) and value.dtype not in DTYPES:
        raise CheckFailed(f"✗ {name} returned a tensor of dtype {value.dtype}")
    if isinstance(value, torch.Tensor) and value.dim() > DIMENSION_LIMIT:
        raise CheckFailed(f"✗ {name} returned a tensor of {value.dim()} dimensions")
    # Without entries a shape may claim any size, and what is computed from it would have that many.
    if isinstance(value, torch.Tensor) and math.prod(max(n, 1) for n in value.shape) > ELEMENT_LIMIT:
        raise CheckFailed(f"✗ {name} returned a tensor of shape {tuple(value.shape)}, which is too large")
    if isinstance(value, (Named, Reference)):
        raise CheckFailed(f"✗ {name} returned a function, not data")
    inside = value.values() if isinstance(value, dict) else value
    for item in inside if isinstance(value, (dict, list, tuple)) else ():
        _data(name, item)
    return value


def _explain(name: str, error: dict[str, Any]) -> str:
    said = (error.get(key) for key in ("kind", "text", "line"))
    kind, text, line = (printable(word) if isinstance(word, str) else "" for word in said)
    where = f"\n    in the line: {line}" if line else ""
    match kind:
        case "missing":
            return f"{MISSING} {name}\n    next: keep its name, and run all cells in order"
        case "gone":
            return f"✗ {name} is called with an object that is gone: its check or its kernel has ended"
        case "wrong":
            return f"✗ {name} {text}"
        case "NotImplementedError":
            return f"✗ {name} is not written yet"
        case "result":
            return f"✗ {name} returned what is not data: {text}"
        case "TypeError":
            where += "\n    next: compare its arguments with the released ones"
    return f"✗ {name} raised {kind or 'an error'}: {text}{where}"


@contextlib.contextmanager
def rehearsal(namespace: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], Any]]:
    """An `ask` whose guest is a thread of this process with trusted functions: the wire, no sandbox."""
    ours, theirs = socket.socketpair()

    thread = threading.Thread(target=converse, args=(theirs, namespace), daemon=True)
    thread.start()
    try:
        yield lambda request: ask(ours, request)
    finally:
        send(ours, {"do": "bye"})
        thread.join()
        ours.close()
        theirs.close()
