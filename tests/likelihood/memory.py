"""How much memory a computation takes."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def largest(compute: Callable[[], object]) -> int:
    """Bytes of the largest tensor that is made on the way, inside of PyTorch's own functions as well."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        compute()
    return max(event.self_cpu_memory_usage for event in found.events())
