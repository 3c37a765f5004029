"""Where a training runs, in which arithmetic, and in how many processes."""

import os
import platform
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """``float32`` or ``bfloat16``: weights, data and losses stay in float32 either way."""
    if precision not in {"float32", "bfloat16"}:
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def circumstances(precision: str) -> dict[str, str]:
    """What a training time depends on, for the card: arithmetic, processor, threads, torch."""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return {"precision": precision, "machine": machine}


def torchrun(name: str, alone: int) -> int:
    """What torchrun tells a process that it started; ``alone`` to any other."""
    started = torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()
    return int(os.environ[name]) if started else alone


def is_first() -> bool:
    """Whether this process is the only one, or the one of several that writes and prints."""
    return torchrun("RANK", 0) == 0


def check_alone(what: str) -> None:
    """Raise ValueError where torchrun started several processes, for a loop that cannot share its work."""
    world = torchrun("WORLD_SIZE", 1)
    if world > 1:
        raise ValueError(f"{what}: expected one process, got {world}; start it without torchrun")


def share_buffers(model: nn.Module, fabric: "Fabric | OneDevice") -> None:
    """Give every process the first one's buffers, BatchNorm's running statistics, which gradients do not
    keep together."""
    if fabric.world_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


class OneDevice:
    """The part of ``lightning_fabric.Fabric`` that a loop needs, for one process without the package."""

    global_rank, world_size = 0, 1

    def __init__(self, device: torch.device):
        self.device = device

    def setup(self, module: nn.Module, optimiser: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Both, the module on the device."""
        return module.to(self.device), optimiser

    def backward(self, loss: Tensor) -> None:
        """The gradients of ``loss``."""
        loss.backward()

    def all_reduce(self, x: Tensor, reduce_op: str) -> Tensor:
        """x, the sum over one process."""
        return x

    def barrier(self) -> None:
        """Nobody to wait for."""


def launch(device: torch.device | str) -> "Fabric | OneDevice":
    """The device and the processes of a training, by lightning-fabric where it is installed.

    ``torchrun --nproc_per_node 2 PROGRAM`` starts several processes: each takes the GPU of its local
    rank, or one thread of the processor: torchrun sets OMP_NUM_THREADS to 1 where it is not set. A process
    that is alone trains on ``device``.

    Raises ModuleNotFoundError for several processes without lightning-fabric.
    """
    device = torch.device(device)
    local, world = torchrun("LOCAL_WORLD_SIZE", 1), torchrun("WORLD_SIZE", 1)
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError as error:
        if world == 1:
            return OneDevice(device)
        message = f"{world} processes need lightning-fabric. Install it with: pip install 'ganedu[training]'"
        raise ModuleNotFoundError(message) from error
    # Its own bfloat16 would round the data as well as the weights, and a density of pixels that
    # were spread over their cells must not be shown them rounded back: see ``autocast``.
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if world == 1 and device.type == "cuda" else local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision="32-true",
    )
    fabric.launch()
    return fabric
