"""An IPython kernel in the sandbox, spoken to over UNIX sockets in a private folder and never trusted."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import zmq
from jupyter_client.blocking import BlockingKernelClient
from nbformat import NotebookNode

from ganedu.grading import sandbox
from ganedu.grading.confined import Confined
from ganedu.grading.outputs import Budget, Outputs
from ganedu.grading.text import printable

GRACE = 5.0  # seconds between an interrupt by message and a kill
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
LAST_WORDS = 4096  # bytes
MESSAGE_LIMIT = 16 << 20  # bytes; a larger message is refused before it is read
PORTS = {f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)}

Status = Literal["ok", "error", "timeout", "dead"]


class Execution(NamedTuple):
    """How a cell ended, and what it showed."""

    status: Status
    outputs: list[NotebookNode]


class Kernel:
    """One sandboxed kernel, for one submission. A context manager: process and folder go at the end.

    It comes up on its own while others are busy; `ready` waits for it.
    """

    def __init__(
        self,
        allow: Iterable[str],
        limits: sandbox.Limits,
        *,
        packages: Iterable[str] | None = None,
        unsandboxed: bool = False,
    ):
        """Start the kernel without waiting for it; `packages` are the installed ones it sees, None all."""
        self.limits = limits
        # In /tmp, for a socket's path has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix=f"gk-{os.getpid()}-", dir="/tmp"))
        self.sockets = self.folder / "s"  # of checkers: the submission sees it, and cannot write there
        try:
            self._start(allow, packages, unsandboxed)
        except BaseException:
            self.close()
            raise

    def ready(self) -> Kernel:
        """This kernel, once it answers. Raises RuntimeError, with its last words, if it does not come up."""
        if not hasattr(self, "client"):
            try:
                self._connect()
            except BaseException:
                self.close()
                raise
        return self

    def _start(self, allow: Iterable[str], packages: Iterable[str] | None, unsandboxed: bool) -> None:
        self.sockets.mkdir()
        self.sockets.chmod(0o755)
        connection = {"transport": "ipc", "ip": str(self.folder / "k"), "key": secrets.token_hex(32)}
        self._connection = connection | {"signature_scheme": "hmac-sha256", "kernel_name": "python3", **PORTS}
        self.confined = Confined(
            [sys.executable, "-m", "ganedu_guest.launch"],
            {"connection": self._connection},
            {str(port): self._listener(port) for port in PORTS.values()},
            self.folder,
            allow,
            packages,
            self.limits,
            unsandboxed=unsandboxed,
        )

    def _listener(self, port: int) -> socket.socket:
        """A socket of the kernel's, made on this side: the submission has no folder to make or replace it."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / f"k-{port}"))
        listener.listen()
        listener.setblocking(False)
        return listener

    def _connect(self) -> None:
        context = zmq.Context()
        context.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
        context.setsockopt(zmq.RCVHWM, 64)
        context.setsockopt(zmq.LINGER, 0)
        self.client = BlockingKernelClient(context=context)
        self.client.load_connection_info(self._connection)
        self.client.start_channels(hb=False, stdin=False)
        deadline = time.monotonic() + self.limits.start
        while not self._answers(min(deadline, time.monotonic() + 1.0)):
            if not self.alive:
                raise RuntimeError(f"the kernel did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the kernel did not answer in time: {self._last_words()}")

    def _answers(self, deadline: float) -> bool:
        """Whether the kernel answers a question on both channels: only then is no output lost."""
        request = self.client.kernel_info()
        channels = {self.client.shell_channel, self.client.iopub_channel}
        while channels and self.alive and time.monotonic() < deadline:
            poller = zmq.Poller()
            for channel in channels:
                poller.register(channel.socket, zmq.POLLIN)
            poller.poll(50)
            channels -= {channel for channel in channels if self._read(channel, request)}
        return not channels

    def _last_words(self) -> str:
        with (self.folder / "log").open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - LAST_WORDS, 0))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return printable(lines[-1][:300]) if lines else "it said nothing"

    @property
    def alive(self) -> bool:
        return self.confined.alive

    @property
    def why_dead(self) -> str | None:
        """What ended the kernel, to follow a colon; None while it lives, if we ended it, or if unknown."""
        return self.confined.why_dead

    def run(self, source: str, seconds: float, budget: Budget | None = None) -> Execution:
        """Execute `source` and wait at most `seconds`; past them interrupt, and kill what does not listen."""
        return self.wait(self.send(source), seconds, budget)

    def send(self, source: str) -> str:
        """Ask the kernel to execute `source`; returns the request's id for `wait`."""
        client = self.ready().client
        return client.execute(source, store_history=False, allow_stdin=False, stop_on_error=False)

    def wait(self, request: str, seconds: float, budget: Budget | None = None) -> Execution:
        """The end of `request`; "timeout" for one that was interrupted, or killed if it did not obey.

        `budget` is what its notebook may still show.
        """
        outputs = Outputs(budget)
        status = self._listen(request, outputs, time.monotonic() + seconds)
        if status is None:
            self.interrupt()
            if self._listen(request, outputs, time.monotonic() + GRACE) is None:
                self.kill()
            status = "timeout"
        return Execution(status, outputs.finish())

    def interrupt(self) -> None:
        """By message: the kernel is another user's process in another PID namespace."""
        self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))

    def kill(self) -> None:
        self.confined.kill()

    def close(self) -> None:
        """End the kernel and remove what it had."""
        if hasattr(self, "confined"):
            self.confined.close()
        if hasattr(self, "client"):
            self.client.stop_channels()
            self.client.context.destroy(linger=0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Kernel:
        return self.ready()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, request: str, outputs: Outputs, deadline: float) -> Status | None:
        """Collect outputs until the cell's reply and its last output are in; None if time runs out before."""
        reply: Status | None = None
        idle = False
        poller = zmq.Poller()
        for channel in (self.client.iopub_channel, self.client.shell_channel):
            poller.register(channel.socket, zmq.POLLIN)
        while time.monotonic() < deadline:
            if reply and idle:
                return reply
            if not poller.poll(100):
                if not self.alive:
                    return "dead"
                continue
            if message := self._read(self.client.shell_channel, request):
                if message["msg_type"] == "execute_reply":
                    reply = "ok" if message["content"].get("status") == "ok" else "error"
                    deadline = min(
                        deadline, time.monotonic() + 2.0
                    )  # its outputs are on their way, or were lost
            if message := self._read(self.client.iopub_channel, request):
                if message["msg_type"] == "status":
                    idle = message["content"].get("execution_state") == "idle"
                else:
                    outputs.add(message["msg_type"], message["content"])
        if reply:
            outputs.dropped.add("output too large to read")
            self._reopen_outputs()
        return reply

    def _reopen_outputs(self) -> None:
        """ZeroMQ ends a connection over which too large a message came; the next cell needs a new one."""
        self.client.iopub_channel.stop()
        self.client._iopub_channel = None
        self.client.iopub_channel.start()
        time.sleep(0.2)  # a subscription takes effect at the other end

    def _read(self, channel: object, request: str) -> dict | None:
        """One waiting message that answers `request`, or None; a message that cannot be read is nobody's."""
        try:
            message = channel.get_msg(timeout=0)
            ours = message["parent_header"].get("msg_id") == request and isinstance(message["content"], dict)
        except Exception:  # an empty queue, a bad signature, broken JSON: whatever the kernel chose to send
            return None
        return message if ours else None
