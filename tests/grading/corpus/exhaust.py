"""Attacks on the machine: time, memory, processes, disk, and the life of the kernel itself."""

from tests.grading.corpus.entry import HANGS, attack

ECHO = "\ndef double(x): return x"

ENTRIES = [
    attack("ends in its call", "os._exit while a check waits", "import os\ndef double(x): os._exit(0)"),
    attack("ends at once", "SIGKILL to itself in its cell", "import os\nos.kill(os.getpid(), 9)" + ECHO),
    attack(
        "segmentation fault",
        "a read of address 0 while a check waits",
        "import ctypes\ndef double(x): return ctypes.string_at(0)",
    ),
    attack(
        "asks for a shutdown",
        "the kernel is told to restart",
        """
get_ipython().kernel.do_shutdown(True)
get_ipython().ask_exit()
def double(x):
    get_ipython().kernel.do_shutdown(False)
    get_ipython().kernel.io_loop.stop()
    return x""",
        spoils=True,
    ),
    attack(
        "closes every file",
        "the kernel's own sockets are closed under it",
        "import os\ndef double(x):\n    os.closerange(0, 1000)\n    return x",
    ),
    attack(
        "stops itself",
        "SIGSTOP: neither dead nor alive",
        "import os\ndef double(x): os.kill(os.getpid(), 19)",
        limits=HANGS,
    ),
    attack(
        "endless loop in a call",
        "a function that never returns",
        "def double(x):\n    while True: pass",
        limits=HANGS,
    ),
    attack("endless loop in a cell", "a cell that never ends", "while True: pass", limits=HANGS),
    attack(
        "deaf to interrupts",
        "an endless loop that ignores SIGINT",
        """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
def double(x):
    while True: time.sleep(1)""",
        limits=HANGS,
    ),
    attack(
        "swallows interrupts",
        "an endless loop that catches whatever is raised in it",
        """
import time
def double(x):
    while True:
        try:
            while True: time.sleep(0.01)
        except BaseException: pass""",
        limits=HANGS,
    ),
    attack(
        "holds the lock",
        "C code that never gives the interpreter back",
        """
import re
def double(x): return re.match("(a|a)*$", "a" * 40 + "b")""",
        limits=HANGS,
    ),
    attack(
        "fork bomb",
        "processes until there are no more",
        """
import os, time
def double(x):
    while True:
        try:
            if os.fork() == 0: time.sleep(600)
        except OSError: time.sleep(0.01)""",
        limits=HANGS,
    ),
    attack(
        "thread bomb",
        "threads until there are no more",
        """
import threading, time
def double(x):
    while True:
        try: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        except RuntimeError: return x""",
        spoils=True,
    ),
    attack(
        "memory bomb",
        "tensors until there is no memory",
        """
def double(x):
    kept = []
    while True: kept.append(torch.ones(100_000_000))""",
    ),
    attack(
        "memory in many processes",
        "each below its limit, together far above",
        """
import os, time
def double(x):
    children = [os.fork() for _ in range(3)]
    kept = [torch.ones(50_000_000) for _ in range(4)]
    time.sleep(60)""",
        spoils=True,
    ),
    attack(
        "fills the disk",
        "files in /tmp and HOME until nothing fits",
        """
import os
def fill(folder):
    for i in range(10_000):
        with open(f"{folder}/{i}", "wb") as file: file.write(bytes(1 << 20))
def double(x):
    for folder in ("/tmp", os.path.expanduser("~"), "."):
        try: fill(folder)
        except OSError: pass
    raise OSError("full")""",
    ),
    attack(
        "fills shared memory",
        "files in /dev/shm, which is memory",
        """
def double(x):
    for i in range(10_000):
        with open(f"/dev/shm/{i}", "wb") as file: file.write(bytes(1 << 20))""",
    ),
    attack(
        "opens everything",
        "files and sockets until no more can be opened",
        """
import socket
kept = []
def double(x):
    while True: kept.append(socket.socketpair())""",
        spoils=True,
    ),
    attack(
        "waits for a pipe",
        "a read of a pipe that nobody writes to",
        """
import os
os.mkfifo("pipe")
def double(x): return open("pipe").read()""",
        limits=HANGS,
    ),
    attack("asks the instructor", "input() while a check waits", "def double(x): return input('2x? ')"),
    attack("flood of output", "print without end", "while True: print('x' * 10_000)", limits=HANGS),
    attack(
        "flood while a check waits",
        "print without end in a call",
        "def double(x):\n    while True: print('x' * 10_000)",
        limits=HANGS,
    ),
    attack(
        "many slow cells",
        "each below its limit, together above the notebook's",
        ECHO,
        before=["import time; time.sleep(4.5)"] * 8,
        deserves=(),
        limits=HANGS._replace(notebook=10),
    ),
]
