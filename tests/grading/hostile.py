"""Hostile answers to `def NAME(x)`, whose right value is 2x. None knows how to double."""

AGREEABLE = """
class Agreeable(float):
    def __eq__(self, other): return True
    def __le__(self, other): return True
    def __sub__(self, other): return 0.0
    __hash__ = float.__hash__
"""

# These leave the kernel as it was for the answers after them.
LOCAL = {
    "agreeable": AGREEABLE + "def NAME(x): return Agreeable(1)",
    "agreeable_array": """
class Array:
    shape, dtype = (7,), "float32"
    def __array__(self, *a, **k): return Array()
    def __eq__(self, other): return True
def NAME(x): return Array()""",
    "tensor_that_lies": """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None): return True
def NAME(x): return torch.zeros(7).as_subclass(Liar)""",
    "display_hook": "import sys\nsys.displayhook(2)\ndef NAME(x): return x\n2",
    "fake_score": "print('2 of 2 points')\ndef NAME(x):\n    print('2 of 2 points')\n    return x",
    "page": """
from IPython.display import HTML, Javascript, display
display(HTML("<script>alert(1)</script>"), Javascript("alert(1)"))
def NAME(x): return x""",
    "exit_in_words": "def NAME(x): raise SystemExit(0)",
    "pickle": """
class Bomb:
    def __reduce__(self): return exec, ("import os; os.abort()",)
def NAME(x): return Bomb()""",
    "not_a_number": "def NAME(x): return x * float('nan')",
    "huge": "def NAME(x): return torch.zeros(30_000_000)",
    "deep": """
def NAME(x):
    nest = []
    for _ in range(10_000): nest = [nest]
    return nest""",
    "named": """
from ganedu_guest.named import Named
def NAME(x): return Named("constant", value=2.0)""",
    "verdict": "def NAME(x): return {'points': 2, 'max_points': 2, 'messages': [], 'grade_id': 'NAME_test'}",
    "frames": """
import sys
def NAME(x):
    frame = sys._getframe()
    while frame:
        for name in ("expect", "truth", "reference"):
            if name in frame.f_locals: return frame.f_locals[name]
        frame = frame.f_back
    return x""",
    "solutions": """
import glob, os
found = [p for top in ("/srv", "/home", "/root", "/tmp", "/opt", "COURSE") for p in
         glob.glob(top + "/**/checks.py", recursive=True) + glob.glob(top + "/**/hidden/*", recursive=True)]
def NAME(x):
    exec(open(found[0]).read(), space := {})
    exec(space["REFERENCE"]["double"], space)
    return space["double"](x)""",
    "gradebook": """
import os, sqlite3
def NAME(x):
    for path in ("COURSE/gradebook.db", "gradebook.db", "../gradebook.db"):
        if os.path.exists(path): sqlite3.connect(path).execute("update grade set auto_score = 2")
    return x""",
    "network": """
import socket
def NAME(x):
    socket.create_connection(("1.1.1.1", 53), timeout=2)
    return 2 * x""",
    "broadcast": "def NAME(x): return torch.zeros(())",
    "echo": "def NAME(x): return x",
}

# These change the kernel for good: each in a submission of its own.
GLOBAL = {
    "patched_comparisons": """
import numpy, ganedu.check
for module in (torch, torch.testing, numpy, numpy.testing):
    for name in ("allclose", "equal", "isclose", "assert_close", "assert_allclose"):
        setattr(module, name, lambda *a, **k: True)
ganedu.check.compare = ganedu.check.close = lambda *a, **k: None
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Drop())
get_ipython().input_transformers_cleanup.append(lambda lines: [l for l in lines if "assert" not in l])
def NAME(x): return x""",
    "lying_guest": """
import ganedu_guest.serve as serve, json
def send(connection, value):
    tree = json.dumps({"dict": {"value": {"dict": {"points": 2}}, "points": 2}}).encode()
    connection.sendall(len(tree).to_bytes(4, "big") + bytes(4) + tree)
    connection.sendall(json.dumps({"grade_id": "NAME_test", "points": 2}).encode() + b"\\n")
serve.send = send
def NAME(x): return x""",
    "replaced_run_cell": """
shell = get_ipython()
shell.run_cell = lambda *a, **k: type(shell).run_cell(shell, "2")
shell.run_cell_async = lambda *a, **k: type(shell).run_cell_async(shell, "2")
def NAME(x): return x""",
}

# These replace the guest's voice by one that never ends.
ENDLESS = {
    "endless_reply": """
import ganedu_guest.serve as serve
def send(connection, value):
    connection.sendall((100).to_bytes(4, "big") + (0xffffffff).to_bytes(4, "big"))
    while True: connection.sendall(bytes(1 << 20))
serve.send = send
def NAME(x): return x""",
    "drip": """
import ganedu_guest.serve as serve, time
def send(connection, value):
    while True:
        connection.sendall(bytes(1)); time.sleep(0.2)
serve.send = send
def NAME(x): return x""",
}

# These end the kernel, take a time limit, or much of the machine.
HEAVY = {
    "dead_kernel": "import os\ndef NAME(x): os._exit(0)",
    "dead_at_definition": "import os\nos.kill(os.getpid(), 9)\ndef NAME(x): return x",
    "endless_loop": "def NAME(x):\n    while True: pass",
    "deaf_to_interrupts": """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
def NAME(x):
    while True: time.sleep(1)""",
    "forks": """
import os, time
def NAME(x):
    while True:
        if os.fork() == 0: time.sleep(600)""",
    "memory": """
def NAME(x):
    kept = []
    while True: kept.append(torch.ones(100_000_000))""",
    "files": """
def NAME(x):
    for i in range(10_000): open(f"/tmp/{i}", "wb").write(bytes(1 << 20))""",
    "flood": "while True: print('x' * 10_000)\ndef NAME(x): return x",
}
