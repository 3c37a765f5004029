"""Start the IPython kernel inside the sandbox: limits first, then a user without rights, then the kernel.

Usage: python -m ganedu_guest.launch CONNECTION_FILE OPTIONS_JSON. Run in the sandbox, where a limit on the
number of processes counts this submission's alone; a user of its own makes that true for root as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from pathlib import Path


def limit(limits: dict[str, int]) -> None:
    """Apply rlimits by name ("AS", "NPROC", ...), soft and hard alike, never above what is already set."""
    for name, wanted in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def become(uid: int) -> None:
    """Give up root for good: groups, group, then user, which drops every capability."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main(connection_file: str, options: str) -> None:
    wanted = json.loads(options)
    # Where memory runs out, the system ends a submission and not what grades it.
    with contextlib.suppress(OSError):  # there is no such file on macOS
        Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getuid() == 0 and wanted["uid"]:
        become(wanted["uid"])
    limit(wanted["limits"])
    os.umask(0o077)

    from ipykernel.kernelapp import IPKernelApp

    sys.argv = [sys.argv[0]]
    IPKernelApp.launch_instance(["-f", connection_file, "--HistoryManager.enabled=False", "--colors=NoColor"])


if __name__ == "__main__":
    main(*sys.argv[1:])
