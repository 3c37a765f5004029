"""Check an answer and say, on one screen, what is wrong with it. Holds no solutions.

A student's notebook calls `shape`, `close`, `finite`, `true` and `done`; the hidden checks of the autograder
report through the same `compare`, so feedback reads the same before and after submission.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

SHOWN = 6  # entries of a tensor that fit on a line


class CheckFailed(AssertionError):
    """An answer is wrong, and the message says how. `known_mistake` names the mistake where it is known."""

    def __init__(self, message: str, known_mistake: str | None = None):
        super().__init__(message)
        self.known_mistake = known_mistake

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback through library code that the student did not write."""
        return str(self).splitlines()


def shape(what: str, got: Any, expect: tuple[int, ...], *, hint: str | None = None) -> None:
    """Tick if `got` is a tensor of shape `expect`, else raise `CheckFailed`."""
    _same_shape(what, _tensor(what, got, hint), tuple(expect), None, hint)
    _tick(f"{what}: shape {_shape(expect)}")


def close(
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
    """Tick if `got` equals `expect` within tolerance, else raise `CheckFailed`; see `compare`."""
    compare(what, got, expect, rtol=rtol, atol=atol, wrong=wrong, equation=equation, hint=hint)
    _tick(what)


def finite(what: str, got: Any, *, hint: str | None = None) -> None:
    """Tick if no entry of `got` is infinite or not a number, else raise `CheckFailed`."""
    tensor = _tensor(what, got, hint)
    bad = ~torch.isfinite(tensor)
    if bad.any():
        where = bad.nonzero()[0].tolist()
        count = f"{int(bad.sum())} of {bad.numel()} entries are not finite"
        raise CheckFailed(_lines(f"✗ {what}", f"{count}; the first is {_at(tensor, where)}", _next(hint)))
    _tick(f"{what}: finite")


def true(what: str, ok: Any, hint: str | None = None) -> None:
    """Tick if the claim `what` holds: `ok` is a bool or a tensor of one bool."""
    if not (isinstance(ok, (bool, torch.Tensor)) or hasattr(ok, "dtype")) or not bool(ok):
        raise CheckFailed(_lines(f"✗ {what}", "this does not hold", _next(hint)))
    _tick(what)


def done(visible: int, hidden: int) -> None:
    """Close an exercise: `visible` checks ran here, `hidden` more run when the notebook is submitted."""
    print(f"{visible} visible checks passed; {hidden} more run when you submit.")


def compare(
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
    """Raise `CheckFailed` unless |got - expect| <= atol + rtol |expect| in every entry.

    Tensors, arrays, floats and bools are compared as float64, so a right answer in float64 passes against a
    float32 reference. Equal infinities agree; a NaN never does. `wrong` maps the name of a known mistake to
    the value it gives: a wrong answer that equals one of them is named.
    """
    title = f"✗ {what}" + (f", equation {equation}" if equation else "")
    answer, truth = _tensor(what, got, hint), _tensor(what, expect, hint)
    mistake = next((name for name, value in (wrong or {}).items() if _agree(answer, value, rtol, atol)), None)
    _same_shape(what, answer, tuple(truth.shape), mistake, hint)
    if (answer.dtype == torch.bool) != (truth.dtype == torch.bool):
        kind = f"the result has dtype {_name(answer.dtype)}, expected {_name(truth.dtype)}"
        raise CheckFailed(_lines(title, kind, _next(hint)))
    answer, truth = answer.double(), truth.double()
    off = ~_within(answer, truth, rtol, atol)
    if not off.any():
        return
    distance = (answer - truth).abs().nan_to_num(nan=torch.inf, posinf=torch.inf).where(off, -torch.inf)
    where = list(torch.unravel_index(distance.argmax(), distance.shape)) if distance.dim() else []
    where = [int(i) for i in where]
    gap = float(distance[tuple(where)])
    worst = f"differs most {_at(answer, where)}, expected {_number(truth[tuple(where)])}: " if where else ""
    lines = [
        f"got       {_preview(answer)}",
        f"expected  {_preview(truth)}",
        f"{worst}off by {gap:.3g}",
        f"allowed   {atol:g} + {rtol:g}·|expected|; {int(off.sum())} of {off.numel()} entries are off",
    ]
    raise CheckFailed(_lines(title, *lines, _mistake(mistake), _next(hint)), mistake)


def _tensor(what: str, value: Any, hint: str | None) -> Tensor:
    try:
        return torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        came = "nothing (None): is there a return?" if value is None else type(value).__name__
        kind = f"expected a tensor, got {came}"
        raise CheckFailed(_lines(f"✗ {what}", kind, _next(hint))) from None


def _within(got: Tensor, expect: Tensor, rtol: float, atol: float) -> Tensor:
    finite_both = torch.isfinite(got) & torch.isfinite(expect)
    return torch.where(finite_both, (got - expect).abs() <= atol + rtol * expect.abs(), got == expect)


def _agree(got: Tensor, value: Any, rtol: float, atol: float) -> bool:
    value = torch.as_tensor(value).detach().cpu()
    return value.shape == got.shape and bool(_within(got.double(), value.double(), rtol, atol).all())


def _same_shape(
    what: str, got: Tensor, expect: tuple[int, ...], mistake: str | None, hint: str | None
) -> None:
    if tuple(got.shape) == expect:
        return
    lines = [f"the result has shape {_shape(got.shape)}, expected {_shape(expect)}"]
    if sorted(n for n in got.shape if n != 1) == sorted(n for n in expect if n != 1):
        lines.append("a stray axis of length 1 turns a later sum or difference into a table: squeeze it away")
    elif len(expect) == 1 and tuple(got.shape) == expect * 2:
        n = expect[0]
        lines.append(f"({n}, 1) and ({n},) in one sum or difference become such a table: squeeze the 1 away")
    raise CheckFailed(_lines(f"✗ {what}", *lines, _mistake(mistake), _next(hint)), mistake)


def _preview(values: Tensor) -> str:
    flat = values.flatten()
    shown = ", ".join(_number(v) for v in flat[:SHOWN])
    return (
        shown
        if values.dim() == 0
        else f"[{shown}{', …' if flat.numel() > SHOWN else ''}]  {_shape(values.shape)}"
    )


def _number(value: Tensor) -> str:
    return f"{float(value):.6g}"


def _at(values: Tensor, where: list[int]) -> str:
    return (f"at {where}: " if where else "") + f"{_number(values[tuple(where)])}"


def _shape(sizes: Any) -> str:
    return str(tuple(int(n) for n in sizes))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _mistake(name: str | None) -> str | None:
    return name and f"looks like: {name}"


def _next(hint: str | None) -> str | None:
    return hint and f"next: {hint}"


def _lines(title: str, *lines: str | None) -> str:
    return "\n    ".join([title, *(line for line in lines if line)])


def _tick(what: str) -> None:
    print(f"✓ {what}")
