"""Where a training runs, and in which arithmetic."""

import platform

import torch


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """``float32`` or ``bfloat16``: weights and losses stay in float32 either way."""
    if precision not in {"float32", "bfloat16"}:
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def circumstances(precision: str) -> dict[str, str]:
    """What a training time depends on, for the card: arithmetic, processor, threads, torch."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return {"precision": precision, "machine": machine}
