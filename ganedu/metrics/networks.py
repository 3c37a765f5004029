"""What a metric asks of its network: eval mode, a name, and weights that can be told apart."""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from ganedu.data import Images

BATCH = 500


def fingerprint(net: nn.Module) -> str:
    """SHA-256 (hexadecimal) over the names, types, shapes and bytes of the weights; no device in it."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def label(net: nn.Module) -> dict[str, str]:
    """``network`` and ``sha256`` as the zoo wrote them on ``net`` (``name``, ``sha256``: of the file), if its
    weights are still those (``fingerprint``); elsewhere its class and its own fingerprint."""
    own = fingerprint(net)
    if own == getattr(net, "fingerprint", None):
        own = net.sha256
    return {"network": getattr(net, "name", type(net).__name__), "sha256": own}


def check_same_network(name: str, theirs: Mapping, ours: Mapping) -> None:
    """Raise ValueError where what is called ``name`` is of another network, or does not say of which."""
    if lacking := {"network", "sha256"} - theirs.keys():
        raise ValueError(
            f"{name}: expected features with their network and its sha256, got no {min(lacking)}"
        )
    if ours["sha256"] != theirs["sha256"]:
        expected, got = (f"{told['network']} {told['sha256'][:8]}" for told in (ours, theirs))
        raise ValueError(f"{name}: expected features of {expected}, got {got}")


def in_batches(
    apply: Callable[[Tensor], Tensor], images: Tensor | Images, net: nn.Module
) -> Iterator[Tensor]:
    """``apply`` on batches of ``images`` on the device of ``net``; finite float64 (b, k) on the CPU.

    Raises ValueError where ``net`` is in train mode (what it says of an image would depend on
    the others in its batch), ``images`` are no floats (n, C, H, W) in [-1, 1], or what comes out
    is not finite.
    """
    from tqdm.auto import tqdm

    if any(module.training for module in net.modules()):
        raise ValueError("net: expected eval mode, got train mode; call .eval() first")
    if isinstance(images, Tensor):
        _check(images)
    device = next((weight.device for weight in net.parameters()), None)
    batches = (
        images.batches(BATCH) if isinstance(images, Images) else ((x, None) for x in images.split(BATCH))
    )
    for x, _ in tqdm(batches, total=-(-len(images) // BATCH), desc="features", leave=False):
        with torch.no_grad():
            out = apply(x.to(device)).double().cpu()
        if out.ndim != 2:
            got = tuple(out.shape)
            raise ValueError(f"net: expected outputs (n, k), got shape {got} from {type(net).__name__}")
        if not torch.isfinite(out).all():
            raise ValueError(f"net: expected finite outputs, got NaN or infinity from {type(net).__name__}")
        yield out


def _check(x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(f"images: expected floats (n, C, H, W), got {x.dtype} {tuple(x.shape)}")
    low, high = (float(end) for end in x.aminmax()) if x.numel() else (0.0, 0.0)
    if not (low >= -1.001 and high <= 1.001):  # so that NaN is refused too
        raise ValueError(f"images: expected values in [-1, 1], got {low:.3g} to {high:.3g}")
