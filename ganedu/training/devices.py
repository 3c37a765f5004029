"""Where a training runs, in which arithmetic, and in how many processes."""

import os
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """``float32`` or ``bfloat16``: weights and losses stay in float32 either way."""
    check_precision(precision)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def check_precision(precision: str) -> None:
    if precision not in {"float32", "bfloat16"}:
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")


def circumstances(precision: str) -> dict[str, str]:
    """What a training time depends on, for the card: arithmetic, processor, threads, torch."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return {"precision": precision, "machine": machine}


class OneDevice:
    """The part of ``lightning_fabric.Fabric`` that a loop needs, for one process without the package."""

    global_rank, world_size, is_global_zero = 0, 1, True

    def __init__(self, device: torch.device, precision: str):
        self.device, self.precision = device, precision

    def setup(
        self, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[Callable, torch.optim.Optimizer]:
        """``module`` on the device, to be called in ``precision``, and ``optimiser`` as it is."""
        module.to(self.device)

        def forward(*args: Tensor) -> Tensor:
            with autocast(self.device, self.precision):
                return module(*args)

        return forward, optimiser

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def all_reduce(self, x: Tensor, reduce_op: str) -> Tensor:
        """The sum over the processes, of which there is one."""
        return x

    def barrier(self) -> None:
        """Nobody to wait for."""


def launch(device: torch.device | str, precision: str) -> "Fabric | OneDevice":
    """The device, precision and processes of a training: lightning-fabric's where it is installed.

    ``torchrun --nproc_per_node 2 PROGRAM`` starts several processes; each takes the GPU of its own
    local rank, or a share of the processors. Alone, a process trains on ``device``.

    Raises ValueError for an unknown precision, and ModuleNotFoundError for several processes
    without lightning-fabric.
    """
    check_precision(precision)
    device = torch.device(device)
    several = torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()
    local, world = (int(os.environ[name]) if several else 1 for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError as error:
        if world == 1:
            return OneDevice(device, precision)
        message = f"{world} processes need lightning-fabric. Install it with: pip install 'ganedu[training]'"
        raise ModuleNotFoundError(message) from error
    fabric = Fabric(
        accelerator=device.type,
        devices=local if world > 1 or device.type != "cuda" else [device.index or 0],
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric
