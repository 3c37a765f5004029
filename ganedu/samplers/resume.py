"""Checkpoints of chains: a state as named tensors, and whether a file is that of this very call."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganedu.samplers.base import State, leaves, rebuild

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def fingerprint(*things: Any) -> str:
    """SHA-256 of all that ``things`` are made of: numbers, texts, every entry of every tensor, the weights
    of modules, the fields of objects. Equal in another process; addresses in memory do not count."""
    digest = hashlib.sha256()
    for thing in things:
        for part in _parts(thing, set()):
            digest.update(part + b";")
    return digest.hexdigest()


def described(kernel: Any) -> str:
    """What a kernel is, for people, and a part of the fingerprint of what it holds."""
    return f"{ADDRESS.sub('', repr(kernel))} ({fingerprint(kernel)[:16]})"


def _parts(thing: Any, seen: set[int]) -> Iterator[bytes]:
    if isinstance(thing, Tensor):
        tensor = thing.detach().cpu().contiguous()
        yield f"{tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(thing, str | bytes | int | float | bool | None):
        yield repr(thing).encode()
    elif id(thing) in seen:
        yield b"seen"
    else:
        seen.add(id(thing))
        yield type(thing).__qualname__.encode()
        if isinstance(thing, nn.Module):
            thing = thing.state_dict()
        if isinstance(thing, Mapping):
            for key, value in thing.items():
                yield repr(key).encode()
                yield from _parts(value, seen)
        elif isinstance(thing, tuple | list):
            for value in thing:
                yield from _parts(value, seen)
        elif hasattr(thing, "__dict__") and not callable(thing):
            yield from _parts(vars(thing), seen)
        else:
            yield ADDRESS.sub("", repr(thing)).encode()


def packed(state: State) -> dict[str, Tensor]:
    """The tensors of a state by name, for ``checkpoints.save``."""
    return {f"state.{i}": leaf for i, leaf in enumerate(leaves(state))}


def unpacked(form: State, tensors: Mapping[str, Tensor]) -> State:
    """What ``packed`` took apart, of the form of ``form``."""
    return rebuild(form, (tensors[name] for name in packed(form)))


def check_same(path: Path, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise ValueError for a checkpoint of another call, naming what differs."""
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise ValueError(
                f"checkpoint: expected {path} to be of a run with {name} {value}, got {theirs.get(name)}"
            )
