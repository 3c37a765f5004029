"""What an entry of the zoo is on disk: weights, and a card that says where they are from."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganedu import checkpoints, zoo
from ganedu.training.files import write_json

# Weights that are stored as float16, so that all the zoo's fit into 20 MB. Loading makes float32 of them.
HALF = {"cifar10-sngan", "mnist-infogan", "mnist-vae"}


def precision(name: str) -> torch.dtype:
    """Of the stored weights of ``name``."""
    return torch.float16 if name in HALF else torch.float32


def rounded(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """``tensors``, the floating ones in ``dtype``.

    Raises ValueError where a number becomes infinite.
    """
    found = {}
    for name, value in tensors.items():
        found[name] = value.to(dtype) if value.is_floating_point() else value
        if not (torch.isfinite(found[name]) == torch.isfinite(value)).all():
            raise ValueError(f"{name}: {float(value.abs().max()):.3g} is beyond {dtype}")
    return found


def round_weights(name: str, **parts: nn.Module) -> None:
    """Make of the weights, in place, what those who load ``name`` will get: figures are of these."""
    checkpoints.unpack(rounded(checkpoints.pack(**parts), precision(name)), **parts)


def write_weights(name: str, **parts: nn.Module) -> str:
    """Their SHA-256."""
    tensors = rounded(checkpoints.pack(**parts), precision(name))
    path = checkpoints.save(zoo.FOLDER / f"{name}.safetensors", tensors)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(name: str, kind: str, sha: str, meta: dict, data: str, length: dict, **more) -> dict:
    """Write the card of a run whose checkpoint says ``meta``, and return it."""
    told = {
        "name": name,
        "kind": kind,
        "command": f"ganedu train {name} --precision {meta['precision']}",
        "data": data,
        **length,
        "seconds": round(meta["seconds"]),
        "machine": meta["machine"],
        "recipe": meta["recipe"],
        "sha256": sha,
        "stored": stored(name),
        **more,
    }
    return write_card(told)


def stored(name: str) -> str:
    """As a card says it."""
    words = {torch.float32: "float32", torch.float16: "float16; every figure is of the rounded weights"}
    return words[precision(name)]


def write_card(told: dict) -> dict:
    """Put the card ``told`` in its place, and return it."""
    write_json(zoo.FOLDER / f"{told['name']}.json", told)
    return told
