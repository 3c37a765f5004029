"""Training state on disk: safetensors, no pickle, renamed into place when whole."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer


def save(path: Path, tensors: Mapping[str, Tensor], **meta) -> Path:
    """Write ``tensors`` and JSON ``meta``; a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    owned = {name: value.detach().contiguous().cpu().clone() for name, value in tensors.items()}
    save_file(owned, part, metadata={"ganedu": json.dumps(meta)})
    part.replace(path)
    return path


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the meta of ``save``."""
    with safe_open(path, framework="pt") as file:
        meta = json.loads((file.metadata() or {}).get("ganedu", "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, meta


def pack(**parts: nn.Module | Optimizer) -> dict[str, Tensor]:
    """The state of modules and optimisers as one flat dictionary, ``part.name`` -> tensor."""
    flat = {}
    for part, owner in parts.items():
        state = _slots(owner) if isinstance(owner, Optimizer) else owner.state_dict()
        flat |= {f"{part}.{name}": value for name, value in state.items()}
    return flat


def unpack(flat: Mapping[str, Tensor], **parts: nn.Module | Optimizer) -> None:
    """Put back what ``pack`` took, in place."""
    for part, owner in parts.items():
        state = {name.removeprefix(f"{part}."): flat[name] for name in flat if name.startswith(f"{part}.")}
        if isinstance(owner, Optimizer):
            _restore_slots(owner, state)
        else:
            owner.load_state_dict(state)


def _slots(optimiser: Optimizer) -> dict[str, Tensor]:
    """``index.slot`` -> tensor, of every parameter's running averages."""
    slots = optimiser.state_dict()["state"]
    return {
        f"{index}.{slot}": torch.as_tensor(value)
        for index, values in slots.items()
        for slot, value in values.items()
        if value is not None
    }


def _restore_slots(optimiser: Optimizer, slots: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in slots.items():
        index, slot = key.split(".")
        state.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
