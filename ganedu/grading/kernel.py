"""An IPython kernel in the sandbox, spoken to over UNIX sockets in a private folder and never trusted."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
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
from ganedu.grading.outputs import Budget, Outputs

GRACE = 5.0  # seconds between an interrupt by message and a kill
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
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

    def __init__(self, allow: Iterable[str], limits: sandbox.Limits, *, unsandboxed: bool = False):
        """Start the kernel without waiting for it."""
        self.limits = limits
        # In /tmp, for a socket's path has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix=f"gk-{os.getpid()}-", dir="/tmp"))
        self.sockets = self.folder / "s"
        try:
            self._start(allow, unsandboxed)
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

    def _start(self, allow: Iterable[str], unsandboxed: bool) -> None:
        uid = 0 if unsandboxed else sandbox.sandbox_uid()
        rlimits = {} if unsandboxed else self.limits.rlimits()
        self.sockets.mkdir()
        connection = {"transport": "ipc", "ip": str(self.sockets / "k"), "key": secrets.token_hex(32)}
        connection |= {"signature_scheme": "hmac-sha256", "kernel_name": "python3", **PORTS}
        self._connection, self._uid = connection, uid
        file = self.sockets / "c.json"
        file.write_text(json.dumps(connection))
        if uid:
            os.chown(self.sockets, uid, uid)
            os.chown(file, uid, uid)
        options = json.dumps({"uid": uid, "limits": rlimits})
        program = [sys.executable, "-m", "ganedu_guest.launch", str(file), options]
        wrap = sandbox.bare_command if unsandboxed else sandbox.command
        words, environment = wrap(program, self.sockets, allow, self.limits)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                words,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _connect(self) -> None:
        context = zmq.Context()
        context.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT)
        context.setsockopt(zmq.RCVHWM, 64)
        context.setsockopt(zmq.LINGER, 0)
        self.client = BlockingKernelClient(context=context)
        self.client.load_connection_info(self._connection)
        deadline = time.monotonic() + self.limits.start
        while not all((self.sockets / f"k-{port}").exists() for port in PORTS.values()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the kernel did not start: {self._last_words()}")
            time.sleep(0.02)
        self.client.start_channels(hb=False, stdin=False)
        try:
            self.client.wait_for_ready(timeout=max(deadline - time.monotonic(), 1.0))
        except RuntimeError:
            raise RuntimeError(f"the kernel did not answer in time: {self._last_words()}") from None
        if self._uid:  # the sockets are bound: from here on it cannot write on this machine's disk
            os.chown(self.sockets, 0, 0)
            self.sockets.chmod(0o755)
            (self.sockets / "c.json").unlink()

    def _last_words(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

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
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if hasattr(self, "process"):
            self.kill()
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
