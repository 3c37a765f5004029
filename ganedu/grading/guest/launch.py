"""Start the IPython kernel inside the sandbox: limits first, then a user without rights, then the kernel.

Usage: python -m ganedu_guest.launch, with JSON on standard input: "uid", "limits", "connection" (of Jupyter)
and "sockets", the inherited listening socket of each of the connection's ports. Run in the sandbox, where a
limit on the number of processes counts this submission's alone; a user of its own makes that true for root.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any


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


def warm() -> None:
    """Import what nearly every cell needs, before it is asked for. Nothing is computed: no thread starts.

    The collector is off meanwhile: it would walk through a million new objects several times, and find all
    of them in use. They are then left out of what it walks through later.
    """
    gc.disable()
    import ipykernel.kernelapp  # noqa: F401
    import safetensors.torch  # noqa: F401

    from . import serve  # noqa: F401

    gc.freeze()
    gc.enable()


def start(connection: dict[str, Any], sockets: dict[str, int]) -> None:
    """Run the kernel on sockets that it inherits: it has no folder to make any in. Never returns."""
    import zmq
    from ipykernel.kernelapp import IPKernelApp

    class Kernel(IPKernelApp):
        def init_connection_file(self) -> None:
            self.load_connection_info(connection)

        def write_connection_file(self, **_: Any) -> None:
            pass

        def init_heartbeat(self) -> None:
            pass

        def init_control(self, context: zmq.Context) -> None:
            super().init_control(context)
            # It would knock for ever at a path that is not here; it serves a debugger, and there is none.
            self.debug_shell_socket.disconnect(self.shell_socket.getsockopt(zmq.LAST_ENDPOINT))

        def _try_bind_socket(self, s: zmq.Socket, port: int) -> int:
            s.setsockopt(zmq.USE_FD, sockets[str(port)])
            return super()._try_bind_socket(s, port)

    sys.argv = sys.argv[:1]
    Kernel.launch_instance(["--HistoryManager.enabled=False", "--colors=NoColor"])


def main() -> None:
    wanted = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Where memory runs out, the system ends a submission and not what grades it.
    with contextlib.suppress(OSError):  # there is no such file on macOS
        Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getuid() == 0 and wanted["uid"]:
        become(wanted["uid"])
    limit(wanted["limits"])
    os.umask(0o077)
    warm()
    start(wanted["connection"], wanted["sockets"])


if __name__ == "__main__":
    main()
