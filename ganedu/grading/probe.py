"""What the checks of every lab ask of a function: right values in both precisions, and good manners."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ganedu.check import CheckFailed
from ganedu.grading import answers
from ganedu.grading.checks import Named, Student
from ganedu.grading.student import described, part_of, tensor_of

TO_SINGLE = "float64 is cut to float32"
IN_PLACE = "an argument is changed in place"
SMALLER = (0.5, 0.25, 0.1)  # times the arguments, where two known mistakes give one answer


class Probe:
    """A student's `function`, and the known mistakes that its answers are compared with."""

    def __init__(self, student: Student, function: str, wrong: Mapping[str, Mapping[str, str]]):
        """`wrong` is the lab's WRONG: source code by function, then by the name of the mistake."""
        self.student, self.function, self.wrong = student, function, wrong[function]

    def call(self, arguments: Mapping[str, Any], dtype: torch.dtype = torch.float32) -> Any:
        """The answer to `arguments`, whose float tensors are sent in `dtype`: data of any form."""
        return self.student.call(self.function, **cast(arguments, dtype))

    def tensor(
        self,
        arguments: Mapping[str, Any],
        shape: Sequence[int] | None = None,
        part: Callable[[Any], Any] = lambda answer: answer,
    ) -> Tensor:
        """`part` of the answer to `arguments` in float32; `CheckFailed` unless a tensor (of that `shape`)."""
        what = f"the result of {self.function}"
        return tensor_of(part_of(self.call(arguments), part, what), what, shape)

    def manners(self, arguments: Mapping[str, Any], random: str | None = None) -> None:
        """Dtype kept, arguments left alone, the same answer twice (`random` names the mistake, where not).

        Two of the calls get the same objects in the sandbox: a change in place that the answer hides, or a
        `.grad` that adds up, shows in the second.
        """
        fresh = {}
        for dtype, mistake in ((torch.float32, None), (torch.float64, TO_SINGLE)):
            fresh[dtype] = self._tensors(self.call(arguments, dtype))
            kinds = {part.dtype for part in fresh[dtype]} - {torch.bool}
            message = f"the result has dtype {', '.join(map(_name, kinds))}, expected {_name(dtype)}"
            self.student.require(f"{_name(dtype)} in, {_name(dtype)} out", kinds <= {dtype}, message, mistake)
        single = cast(arguments, torch.float32)
        for name in [name for name, value in single.items() if isinstance(value, Tensor)]:
            after = self.student.argument_after(self.function, argument=name, **single)
            kept = isinstance(after, Tensor) and _identical(after, single[name])
            message = f"{name} has changed: return a new tensor, the caller will use this one again"
            self.student.require(f"{name} is left as it was", kept, message, IN_PLACE)
        held = {
            name: self.student.hold(value) if isinstance(value, Tensor) else value
            for name, value in single.items()
        }
        once, twice = (self._tensors(self.student.call(self.function, **held)) for _ in range(2))
        title = "the same arguments give the same answer"
        if not _alike(fresh[torch.float32], once):
            message = "two calls gave two answers: all randomness comes in as an argument"
            self.student.require(title, False, message, random)
        message = "a second call with the same tensors gave another answer: the first left something in them"
        self.student.require(title, _alike(once, twice), message, IN_PLACE)

    def close(
        self,
        what: str,
        arguments: Mapping[str, Any],
        expect: Tensor,
        *,
        part: Callable[[Any], Any] = lambda answer: answer,
        rtol: float = 1e-4,
        atol: float = 1e-4,
        equation: str | None = None,
        hint: str | None = None,
    ) -> None:
        """`part` of the answer equals `expect`: in float32, and in float64 to two more digits.

        No more than two, so that a constant that was once a float32 costs nothing; `manners` looks at dtypes.
        """
        for dtype, factor in ((torch.float32, 1.0), (torch.float64, 1e-2)):
            single, title = cast(arguments, dtype), f"{what}, {_name(dtype)}"
            answer = self.student.call(self.function, **single)
            got = part_of(answer, part, title)
            compared = partial(self.student.close, title, got, expect, equation=equation, hint=hint)
            compared = partial(compared, rtol=factor * rtol, atol=factor * atol)
            try:
                compared()
            except CheckFailed:
                known = self._known(single, answer, part)
                if isinstance(got, Tensor) and got.isnan().any():
                    mistake = next((name for name, value in known.items() if close_enough(got, value)), None)
                    message = f"{int(got.isnan().sum())} of {got.numel()} entries are not a number (NaN)"
                    message += f"\n    next: {hint}" if hint else ""
                    self.student.require(title, False, message, mistake)
                compared(wrong=known)

    def _known(self, arguments: Mapping[str, Any], answer: Any, part: Callable[[Any], Any]) -> dict[str, Any]:
        """`part` of what each known mistake gives; first those that agree with the whole `answer`.

        Where several do, the answer to smaller arguments parts them.
        """
        found = self._mistakes(arguments)
        alike = [name for name, value in found.items() if _same(answer, value)]
        for factor in SMALLER:
            if len(alike) < 2:
                break
            smaller = scaled(arguments, factor)
            try:
                answer, values = self.student.call(self.function, **smaller), self._mistakes(smaller)
            except CheckFailed:  # what is reported is the difference that was found, not this
                break
            alike = [name for name in alike if name in values and _same(answer, values[name])] or alike
        parts = {}
        for name in sorted(found, key=lambda name: name not in alike):
            with contextlib.suppress(CheckFailed):  # a mistake may not have that part
                value = part_of(found[name], part, name)
                if isinstance(value, (Tensor, bool, int, float)):
                    parts[name] = value
        return parts

    def _mistakes(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return answers.values(self.wrong, self.function, arguments)

    def _tensors(self, result: Any) -> list[Tensor]:
        parts = list(result) if isinstance(result, (tuple, list)) else [result]
        if parts and all(isinstance(part, Tensor) for part in parts):
            return parts
        raise CheckFailed(f"✗ the result of {self.function}\n    expected tensors, got {described(result)}")


def cast(value: Any, dtype: torch.dtype) -> Any:
    """`value` with every float tensor in it, also among the parameters of a `Named`, in `dtype`."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, Named):
        return Named(value.name, **cast(value.parameters, dtype))
    if isinstance(value, Mapping):
        return {name: cast(item, dtype) for name, item in value.items()}
    return value


def scaled(arguments: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """`arguments` with every float tensor among them times `factor`."""
    return {
        name: value * factor if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in arguments.items()
    }


def close_enough(got: Any, value: Any) -> bool:
    """Whether both are tensors of one shape and agree to three digits, NaN with NaN."""
    if not (isinstance(got, Tensor) and isinstance(value, Tensor)) or got.shape != value.shape:
        return False
    return torch.allclose(got.double(), value.double(), rtol=1e-3, atol=1e-4, equal_nan=True)


def _same(answer: Any, value: Any) -> bool:
    if isinstance(answer, (tuple, list)) and isinstance(value, (tuple, list)):
        return len(answer) == len(value) and all(map(close_enough, answer, value))
    return close_enough(answer, value)


def _alike(once: list[Tensor], twice: list[Tensor]) -> bool:
    return len(once) == len(twice) and all(map(_identical, once, twice))


def _identical(once: Tensor, twice: Tensor) -> bool:
    if once.shape != twice.shape or once.dtype != twice.dtype:
        return False
    return bool(((once == twice) | (once.isnan() & twice.isnan())).all())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
