"""What a run is a run of, in words that a checkpoint keeps: two runs must not be taken for one."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
LONG = 1000  # characters: what takes more is a digest


def identity(value: Any, model: nn.Module) -> Any:
    """``value`` in words, or where these are long their digest, whatever the weights of ``model`` are."""
    trained = (*map(id, model.modules()), *map(id, model.parameters()))
    words = described(value, trained)
    text = json.dumps(words)
    return words if len(text) <= LONG else digest(text.encode())


def described(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """``value`` as JSON that is the same in another process, and another for another value.

    Numbers and texts are as they are, objects their type and fields, a ``partial`` and a method what
    they are made of, tensors and modules a digest of all their numbers. Of a dataclass the fields count
    that its ``==`` compares. A function is its name, the variables that it closes over and the defaults of
    its arguments: that its text was changed in between is not seen. What has an id among ``inside`` is not
    described again.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if id(value) in inside:
        return "itself"
    inside = (*inside, id(value))
    if isinstance(value, Tensor):
        numbers = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}, {digest(numbers)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}, {digest(value.tobytes())}"
    if isinstance(value, Mapping):
        return {str(key): described(item, inside) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [described(item, inside) for item in value]
    if isinstance(value, partial):
        return [described(part, inside) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [value.__name__, described(value.__self__, inside)]
    if isinstance(value, FunctionType):
        bound = [cell.cell_contents for cell in value.__closure__ or ()]
        bound += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [value.__name__, *(described(item, inside) for item in bound)] if bound else value.__name__
    if hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, nn.Module):
        held = value.state_dict()
    elif is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value) if field.compare}
    elif hasattr(value, "__dict__"):
        held = vars(value)
    else:
        return ADDRESS.sub("", repr(value))
    return {type(value).__name__: described(held, inside)}


def digest(whole: bytes | np.ndarray) -> str:
    """The first 16 of the 64 digits of its SHA-256."""
    return hashlib.sha256(whole).hexdigest()[:16]
