"""A student's functions and objects, seen from the trusted side: data goes in, data comes out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganedu.check import CheckFailed, compare
from ganedu.grading.guest.wire import Reference

Ask = Callable[[dict[str, Any]], Any]


class Drained(NamedTuple):
    """What an iterator gave, and whether it had `ended`; one that had not was cut."""

    items: list[Any]
    ended: bool


class Student:
    """The answer to a check. Every reply is checked data; what else comes back ends the check.

    Replies can be forged by an answer that rewrites the guest. It earns nothing that way which the functions
    could not earn by returning the same values: what is compared is computed here, on inputs that are new.
    """

    def __init__(self, ask: Ask):
        """`ask` carries a request to the answer and returns its value; `CheckFailed` if there is none."""
        self._ask = ask
        self._numbers = itertools.count()
        self.messages: list[str] = []

    def call(self, function: str, /, **arguments: Any) -> Any:
        """The value of `function(**arguments)`: a tensor, number, bool, None, or containers of them.

        Raises `CheckFailed` if the function is missing, raises, hangs or returns what is not data. Non-finite
        entries come through (log 0 is an honest -inf); `close` accepts them only where they are expected.
        """
        return self._ask({"do": "call", "function": function, "arguments": arguments})

    def call_tensors(self, function: str, count: int, /, **arguments: Any) -> tuple[Tensor, ...]:
        """As `call`, for a function that returns `count` tensors; raises `CheckFailed` for anything else."""
        value = self.call(function, **arguments)
        if not isinstance(value, (tuple, list)) or len(value) != count:
            many = f"{len(value)} values" if isinstance(value, (tuple, list)) else type(value).__name__
            raise CheckFailed(f"✗ {function} returned {many}, expected {count} tensors")
        if not all(isinstance(item, Tensor) for item in value):
            kinds = ", ".join(type(item).__name__ for item in value)
            raise CheckFailed(f"✗ {function} returned {kinds}, expected {count} tensors")
        return tuple(value)

    def drain(self, function: str, limit: int, /, **arguments: Any) -> Drained:
        """At most `limit` items of what `function(**arguments)` iterates over, drained in the sandbox."""
        return _drained(self._ask, {"function": function, "arguments": arguments}, limit)

    def vjp(self, function: str, /, *, wrt: str | Sequence[str], cotangent: Any, **arguments: Any) -> Any:
        """cotangentᵀ ∂function/∂wrt at `arguments`, by autograd through the student's function.

        `wrt` names an argument, or "critic.weight", a parameter of the handle in the argument `critic`; for a
        sequence of names the result is a tuple. Zero where the result does not depend on it. `cotangent` has
        the shape of the result, and is a tuple if that is one. A gradient that is right is a right answer,
        whether autograd made it or not.
        """
        return _vjp(self._ask, {"function": function, "arguments": arguments}, wrt, cotangent)

    def argument_after(self, function: str, /, *, argument: str, **arguments: Any) -> Any:
        """What `argument` is after `function(**arguments)`: as it was sent, unless that works in place.

        A rewritten guest may echo the argument and so hide an in-place change. What such a change does to
        whoever calls again shows where the function is called twice on what the sandbox was told to `hold`.
        """
        return self._ask({"do": "after", "function": function, "arguments": arguments, "argument": argument})

    def hold(self, value: Any) -> Reference:
        """Put `value` into the sandbox once: functions that get it as an argument all get the same object."""
        number = next(self._numbers)
        self._ask({"do": "hold", "function": "an argument", "arguments": {"value": value}, "keep": number})
        return Reference(number)

    def make(self, name: str, /, *, state: Mapping[str, Tensor] | None = None, **arguments: Any) -> Handle:
        """The object `name(**arguments)`, made in the sandbox and left there, with `state` loaded into it.

        Raises `CheckFailed` where it cannot be made, or has other parameters than `state`.
        It lives as long as this check and its kernel.
        """
        number = next(self._numbers)
        self._ask({"do": "call", "function": name, "arguments": arguments, "keep": number})
        handle = Handle(self._ask, number, name)
        if state is not None:
            handle.load(state)
        return handle

    def close(
        self,
        what: str,
        got: Any,
        expect: Any,
        *,
        rtol: float = 1e-4,
        atol: float = 1e-5,
        wrong: Mapping[str, Any] | None = None,
        equation: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Go on if `got` equals `expect`, else end the check; `wrong` has known mistakes by their names."""
        compare(what, got, expect, rtol=rtol, atol=atol, wrong=wrong, equation=equation, hint=hint)
        self.messages.append(f"✓ {what}")

    def require(self, what: str, ok: bool, message: str, mistake: str | None = None) -> None:
        """Go on if the claim `what` holds, else end the check with `message`, naming the known `mistake`."""
        if not ok:
            named = f"\n    looks like: {mistake}" if mistake else ""
            raise CheckFailed(f"✗ {what}\n    {message}{named}", mistake)
        self.messages.append(f"✓ {what}")


class Handle(Reference):
    """An object of the student's in the sandbox, called as data; an argument of other functions, if wanted.

    >>> critic = student.make("Critic", width=8, state={"weight": weight, "bias": bias})
    >>> student.close("score", critic(x=x), x @ weight + bias)
    """

    def __init__(self, ask: Ask, number: int, name: str):
        super().__init__(number)
        self._ask, self.name = ask, name

    def __call__(self, /, **arguments: Any) -> Any:
        """The value of the object called with `arguments`; see `Student.call`."""
        return self._ask({"do": "call", **self._target("", arguments)})

    def call(self, /, **arguments: Any) -> Any:
        """As the handle called itself."""
        return self(**arguments)

    def method(self, method: str, /, **arguments: Any) -> Any:
        """The value of its method called with `arguments`."""
        return self._ask({"do": "call", **self._target(method, arguments)})

    def drain(self, limit: int, method: str = "", /, **arguments: Any) -> Drained:
        """At most `limit` items of what the object, or its `method`, iterates over; see `Student.drain`."""
        return _drained(self._ask, self._target(method, arguments), limit)

    def vjp(self, method: str = "", /, *, wrt: str | Sequence[str], cotangent: Any, **arguments: Any) -> Any:
        """As `Student.vjp`, through the object or its `method`; `wrt` may name a parameter of it too."""
        return _vjp(self._ask, self._target(method, arguments), wrt, cotangent)

    def state(self) -> dict[str, Tensor]:
        """Its parameters and buffers by name, in the answer's shapes.

        Compare them with something. Do not feed a reference with them: zeros make many wrong functions right.
        """
        state = self._ask({"do": "state", **self._target("", {})})
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckFailed(f"✗ {self.name} has no parameters that are tensors")
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Give every parameter, and buffers where named, the values and dtypes of `state`.

        Raises `CheckFailed` for other names or shapes than the object's.
        """
        self._ask({"do": "load", **self._target("", dict(state))})

    def _target(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        name = f"{self.name}.{method}" if method else self.name
        return {"function": name, "on": Reference(self.number), "method": method, "arguments": arguments}


def part_of(reply: Any, part: Callable[[Any], Any], what: str) -> Any:
    """`part(reply)`; `CheckFailed` for a reply of another form: the answer's fault, not the check's."""
    try:
        return part(reply)
    except Exception:  # indices, attributes, shapes: a part that is not there is missed in many ways
        message = f"the result is {described(reply)}, which is not the form that was asked for"
        raise CheckFailed(f"✗ {what}\n    {message}") from None


def tensor_of(reply: Any, what: str, shape: Sequence[int] | None = None) -> Tensor:
    """`reply` if it is a tensor, of `shape` where that is given; else `CheckFailed`."""
    if isinstance(reply, Tensor) and (shape is None or tuple(reply.shape) == tuple(shape)):
        return reply
    wanted = "a tensor" if shape is None else f"a tensor of shape {tuple(shape)}"
    raise CheckFailed(f"✗ {what}\n    the result is {described(reply)}, expected {wanted}")


def described(reply: Any) -> str:
    """What kind of thing `reply` is, in a few words that hold nothing of its contents."""
    if isinstance(reply, Tensor):
        return f"a tensor of shape {tuple(reply.shape)}"
    if isinstance(reply, (list, tuple)):
        kinds = ", ".join(type(item).__name__ for item in reply[:4]) + (", …" if len(reply) > 4 else "")
        return f"a {type(reply).__name__} of {len(reply)}" + (f" ({kinds})" if reply else "")
    kind = type(reply).__name__
    return (
        "nothing (None): is there a return?" if reply is None else f"{'an' if kind == 'int' else 'a'} {kind}"
    )


def _drained(ask: Ask, target: dict[str, Any], limit: int) -> Drained:
    match ask({"do": "drain", **target, "limit": limit}):
        case (list(items), bool(ended)) if len(items) <= limit:
            return Drained(items, ended)
    raise CheckFailed(f"✗ {target['function']} did not answer with what it iterates over")


def _vjp(ask: Ask, target: dict[str, Any], wrt: str | Sequence[str], cotangent: Any) -> Any:
    wanted = wrt if isinstance(wrt, str) else list(wrt)
    reply = ask({"do": "vjp", **target, "wrt": wanted, "cotangent": cotangent})
    gradients = (reply,) if isinstance(wrt, str) else reply
    count = 1 if isinstance(wrt, str) else len(wrt)
    right = isinstance(gradients, tuple) and len(gradients) == count
    if not right or not all(isinstance(item, torch.Tensor) for item in gradients):
        raise CheckFailed(f"✗ {target['function']} did not answer with a gradient")
    return reply
