"""Answer the checker's requests from the student's namespace, until it says that it is done."""

from __future__ import annotations

import socket
import traceback
import warnings
from typing import Any

import torch

from .wire import WireError, receive, send

TEXT_LIMIT = 400  # characters of an error message


def serve(path: str, namespace: dict[str, Any]) -> None:
    """Connect to the checker at the UNIX socket `path` and call functions of `namespace` for it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        converse(connection, namespace)


def converse(connection: socket.socket, namespace: dict[str, Any]) -> None:
    """Answer one request after another until "bye"."""
    while (request := receive(connection))["do"] != "bye":
        reply = answer(request, namespace)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an answer may have turned warnings into errors
                send(connection, reply)
        except WireError as error:
            send(connection, {"error": {"kind": "result", "text": str(error)}})


def answer(request: dict[str, Any], namespace: dict[str, Any]) -> dict[str, Any]:
    """{"value": ...} or {"error": ...} for one request.

    "call" a function; pull a cotangent through it, "vjp"; or say what an argument is "after" the call.
    """
    name, arguments = request["function"], request["arguments"]
    function = namespace.get(name)
    if not callable(function):
        return {"error": {"kind": "missing", "text": f"there is no function {name}"}}
    try:
        if request["do"] == "vjp":
            return {"value": _vjp(function, arguments, request["wrt"], request["cotangent"])}
        if request["do"] == "after":
            function(**arguments)
            return {"value": arguments[request["argument"]]}
        return {"value": function(**arguments)}
    except (
        BaseException
    ) as error:  # SystemExit and KeyboardInterrupt too: the answer's fault, told to the checker
        return {"error": _describe(error)}


def _vjp(function: Any, arguments: dict[str, Any], wrt: str, cotangent: torch.Tensor) -> torch.Tensor:
    point = arguments[wrt].detach().clone().requires_grad_()
    with torch.enable_grad():
        result = function(**{**arguments, wrt: point})
        if not result.requires_grad:
            return torch.zeros_like(point)
        (gradient,) = torch.autograd.grad(result, point, cotangent, allow_unused=True)
    return torch.zeros_like(point) if gradient is None else gradient


def _describe(error: BaseException) -> dict[str, Any]:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ipykernel" in frame.filename]
    line = frames[-1].line if frames else None
    return {
        "kind": type(error).__name__[:80],
        "text": str(error)[:TEXT_LIMIT],
        "line": (line or "")[:TEXT_LIMIT],
    }
