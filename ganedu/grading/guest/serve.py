"""Answer the checker's requests from the student's namespace, until it says that it is done."""

from __future__ import annotations

import itertools
import socket
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from .named import Named
from .wire import Reference, receive, send

TEXT_LIMIT = 400  # characters of an error message
END = object()


class Refused(Exception):
    """The student's object is not what the request is about; `kind` and `text` go to the checker."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind, self.text = kind, text


def serve(path: str, namespace: dict[str, Any]) -> None:
    """Connect to the checker at the UNIX socket `path` and call functions of `namespace` for it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        converse(connection, namespace)


def converse(connection: socket.socket, namespace: dict[str, Any]) -> None:
    """Answer one request after another until "bye"; what a request says to "keep" is held until then."""
    held: dict[int, Any] = {}
    while (request := receive(connection))["do"] != "bye":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an answer may have turned warnings into errors
                send(connection, _keep(request, answer(_resolved(request, held), namespace), held))
        except OSError:
            raise
        except Exception as error:  # whatever the result's own methods raise while it is packed
            reply = _refusal(error) if isinstance(error, Refused) else {"kind": "result", "text": str(error)}
            send(connection, {"error": reply})


def answer(request: dict[str, Any], namespace: dict[str, Any]) -> dict[str, Any]:
    """{"value": ...} or {"error": ...} for one request.

    "call" a function, a method or a kept object; "drain" what it iterates over; pull a cotangent through it,
    "vjp"; say what an argument is "after" the call; "hold" a value; tell a module's "state", or "load" it.
    """
    arguments = request["arguments"]
    try:
        match request["do"]:
            case "hold":
                return {"value": arguments["value"]}
            case "state":
                return {"value": _state(request["on"])}
            case "load":
                return {"value": _load(request["on"], arguments)}
        function = _function(request, namespace)
        match request["do"]:
            case "vjp":
                return {"value": _vjp(function, request)}
            case "drain":
                return {"value": _drain(function(**arguments), request["limit"])}
            case "after":
                function(**arguments)
                return {"value": arguments[request["argument"]]}
        return {"value": function(**arguments)}
    except Refused as error:
        return {"error": _refusal(error)}
    except (
        BaseException
    ) as error:  # SystemExit and KeyboardInterrupt too: the answer's fault, told to the checker
        return {"error": _describe(error)}


def _keep(request: dict[str, Any], reply: dict[str, Any], held: dict[int, Any]) -> dict[str, Any]:
    if "keep" not in request or "value" not in reply:
        return reply
    held[request["keep"]] = reply["value"]
    return {"value": None}


def _resolved(value: Any, held: Mapping[int, Any]) -> Any:
    """`value` with the objects that its references stand for."""
    match value:
        case Reference() if value.number not in held:
            raise Refused("gone", "")
        case Reference():
            return held[value.number]
        case Named():
            return Named(value.name, **_resolved(value.parameters, held))
        case dict():
            return {name: _resolved(item, held) for name, item in value.items()}
        case list() | tuple():
            return type(value)(_resolved(item, held) for item in value)
    return value


def _function(request: dict[str, Any], namespace: dict[str, Any]) -> Any:
    name, kept = request["function"], request.get("on")
    if kept is None:
        function = namespace.get(name)
    else:
        function = getattr(kept, request["method"], None) if request["method"] else kept
    if not callable(function):
        raise Refused("missing", "")
    return function


def _drain(result: Any, limit: int) -> tuple[list[Any], bool]:
    """At most `limit` items of `result`, and whether there were no more."""
    if not hasattr(type(result), "__iter__"):
        raise Refused("result", f"{type(result).__name__} where something to iterate over was expected")
    items = iter(result)
    found = list(itertools.islice(items, limit))
    return found, next(items, END) is END


def _vjp(function: Any, request: dict[str, Any]) -> Any:
    arguments, wrt = dict(request["arguments"]), request["wrt"]
    leaves = []
    for name in [wrt] if isinstance(wrt, str) else wrt:
        if name in arguments:
            arguments[name] = arguments[name].detach().clone().requires_grad_()
            leaves.append(arguments[name])
        else:
            leaves.append(_parameter(name, request))
    with torch.enable_grad():
        result = function(**arguments)
        pairs = _paired(result, request["cotangent"])
        found = iter(_gradients(pairs, [leaf for leaf in leaves if leaf.requires_grad]))
    gradients = [next(found) if leaf.requires_grad else None for leaf in leaves]
    gradients = [
        torch.zeros_like(leaf) if got is None else got for leaf, got in zip(leaves, gradients, strict=True)
    ]
    return gradients[0] if isinstance(wrt, str) else tuple(gradients)


def _gradients(pairs: list[tuple[torch.Tensor, torch.Tensor]], leaves: list[torch.Tensor]) -> Any:
    pairs = [(result, cotangent) for result, cotangent in pairs if result.requires_grad]
    if not pairs or not leaves:
        return [None] * len(leaves)
    results, cotangents = zip(*pairs, strict=True)
    return torch.autograd.grad(results, leaves, cotangents, allow_unused=True)


def _paired(result: Any, cotangent: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each tensor of the result with its cotangent, in its dtype."""
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    cotangents = list(cotangent) if isinstance(cotangent, (list, tuple)) else [cotangent]
    if not all(isinstance(item, torch.Tensor) for item in results):
        raise Refused("result", f"{type(result).__name__} where a tensor was expected")
    shapes, expected = ([tuple(item.shape) for item in items] for items in (results, cotangents))
    if shapes != expected:
        said, wanted = (", ".join(map(str, many)) for many in (shapes, expected))
        raise Refused("wrong", f"returned a tensor of shape {said}, expected {wanted}")
    return [(item, weight.to(item.dtype)) for item, weight in zip(results, cotangents, strict=True)]


def _parameter(name: str, request: dict[str, Any]) -> torch.Tensor:
    """The parameter `name` of the object that is called, or of an argument: "critic.weight"."""
    module, (owner, _, rest) = request.get("on"), name.partition(".")
    if owner in request["arguments"]:
        module, name = request["arguments"][owner], rest
    state = _state(module)
    if name not in state:
        raise Refused("wrong", f"has no parameter {name}, only {', '.join(state) or 'none'}")
    return state[name]


def _state(module: Any) -> dict[str, torch.Tensor]:
    if not isinstance(module, torch.nn.Module):
        raise Refused("wrong", f"is of type {type(module).__name__}, expected a torch.nn.Module")
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _load(module: Any, state: Mapping[str, torch.Tensor]) -> None:
    """Give parameters and buffers new values, dtypes included. Every parameter has to be named."""
    own = _state(module)
    needed = {name for name, _ in module.named_parameters()}
    if not needed <= set(state) <= set(own):
        names = f"{', '.join(own) or 'none'}, expected {', '.join(state)}"
        raise Refused("wrong", f"has the parameters {names}")
    for name, value in state.items():
        if own[name].shape != value.shape:
            shapes = f"{tuple(own[name].shape)}, expected {tuple(value.shape)}"
            raise Refused("wrong", f"has the parameter {name} of shape {shapes}")
    for name, value in state.items():
        own[name].data = value.clone()


def _refusal(error: Refused) -> dict[str, Any]:
    return {"kind": error.kind, "text": error.text[:TEXT_LIMIT]}


def _describe(error: BaseException) -> dict[str, Any]:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ipykernel" in frame.filename]
    line = frames[-1].line if frames else None
    return {
        "kind": type(error).__name__[:80],
        "text": str(error)[:TEXT_LIMIT],
        "line": (line or "")[:TEXT_LIMIT],
    }
