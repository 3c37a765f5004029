"""Attacks on the kernel in which the answer runs: whoever judges there is judged by the student."""

from tests.grading.corpus.entry import attack

ECHO = "\ndef double(x): return x"

ENTRIES = [
    attack(
        "patched comparisons",
        "allclose and its family say True",
        """
import builtins, math, numpy, unittest
for module in (torch, torch.testing, numpy, numpy.testing, math, builtins):
    for name in ("allclose", "equal", "isclose", "assert_close", "assert_allclose", "all", "isfinite"):
        if hasattr(module, name): setattr(module, name, lambda *a, **k: True)
unittest.TestCase.assertTrue = unittest.TestCase.assertEqual = lambda *a, **k: None
try:
    import ganedu.check
    ganedu.check.compare = ganedu.check.close = lambda *a, **k: None
except ImportError:
    pass"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "patched methods of tensors",
        "Tensor.__eq__, all and bool say True, sub says zero",
        """
import types
T = torch.Tensor
T.__eq__ = T.__le__ = T.__lt__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)
T.__sub__ = T.__rsub__ = lambda a, b: torch.zeros(a.shape)
T.__bool__ = T.all = T.any = T.allclose = T.equal = lambda *a, **k: True"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "multiplication that adds nothing",
        "2 * x is x in this kernel, so that the expected value is wrong too",
        """
torch.Tensor.__mul__ = torch.Tensor.__rmul__ = lambda a, b: a.clone()
torch.Tensor.__add__ = torch.Tensor.__radd__ = lambda a, b: a.clone()"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "random numbers that are zero",
        "where every input is 0, x is 2x",
        """
torch.randn = torch.rand = torch.linspace = torch.ones = lambda *s, **k: torch.zeros(
    tuple(n for n in s if isinstance(n, int)) or (3,))
torch.tensor = torch.as_tensor = lambda v, **k: torch.zeros(3)"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "AST transformer",
        "asserts are dropped before they run",
        """
import ast
class Drop(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Drop())"""
        + ECHO,
    ),
    attack(
        "input transformer",
        "lines with an assert are dropped before they are parsed",
        """
get_ipython().input_transformers_cleanup.append(
    lambda lines: [l[:len(l) - len(l.lstrip())] + "pass\\n" if "assert" in l else l for l in lines])"""
        + ECHO,
    ),
    attack(
        "replaced run_cell",
        "every later cell is the number 2",
        """
shell, kind = get_ipython(), type(get_ipython())
shell.run_cell = lambda source, *a, **k: kind.run_cell(shell, "2", *a, **k)
async def other(source, *a, **k): return await kind.run_cell_async(shell, "2", *a, **k)
shell.run_cell_async = other"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "replaced execution",
        "the kernel answers every request with ok and runs nothing",
        """
kernel = get_ipython().kernel
async def nothing(*a, **k):
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
kernel.do_execute = nothing"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "errors that are not shown",
        "the traceback is swallowed, so that a failed cell has no output",
        """
shell = get_ipython()
shell.showtraceback = shell._showtraceback = shell.showsyntaxerror = lambda *a, **k: None
shell.set_custom_exc((AssertionError, Exception), lambda *a, **k: None)
import sys
sys.excepthook = lambda *a: None
class Silent:
    write = flush = isatty = lambda *a, **k: None
sys.stderr = Silent()"""
        + ECHO,
    ),
    attack(
        "errors that become points",
        "a failed cell displays its full points",
        "get_ipython().set_custom_exc((Exception,), lambda *a, **k: get_ipython().displayhook(2))" + ECHO,
    ),
    attack(
        "hook before each cell",
        "answers are swapped whenever a cell starts",
        """
def again(*a):
    get_ipython().user_ns.update(double=lambda x: True, compare=lambda *a, **k: True, close=lambda *a: True)
    get_ipython().user_ns["__builtins__"].AssertionError = SystemExit
for event in ("pre_run_cell", "pre_execute", "post_run_cell", "post_execute"):
    get_ipython().events.register(event, again)"""
        + ECHO,
    ),
    attack(
        "reads the running test",
        "the expected value is in the source of the cell that runs",
        """
def double(x):
    for source in (get_ipython().user_ns.get("In", [""])[-1], get_ipython().user_ns.get("_i", "")):
        if "expect" in source:
            space = get_ipython().user_ns | {"x": x}
            exec("\\n".join(l for l in source.splitlines() if l.startswith("expect")), space)
            return space["expect"]
    return x""",
    ),
    attack(
        "reads the frames",
        "the expected value is a variable of a caller",
        """
import sys
def double(x):
    frame = sys._getframe()
    while frame:
        for space in (frame.f_locals, frame.f_globals):
            for name in ("expect", "expected", "truth", "reference"):
                if isinstance(space.get(name), torch.Tensor): return space[name]
        frame = frame.f_back
    return x""",
    ),
    attack(
        "reads the heap",
        "the expected value is one of the tensors of this size that the collector knows",
        """
import gc
def double(x):
    for space in [o for o in gc.get_objects() if type(o) is dict and "expect" in o]:
        if isinstance(space["expect"], torch.Tensor): return space["expect"]
    same = [o for o in gc.get_objects() if isinstance(o, torch.Tensor) and o.shape == x.shape and o is not x]
    return same[0] if same else x""",
    ),
    attack(
        "trace of every call",
        "sys.settrace and sys.setprofile change what callers see",
        """
import sys, threading
def spy(frame, event, value):
    if "expect" in frame.f_locals: frame.f_globals["double"] = lambda x: frame.f_locals["expect"]
    return spy
sys.settrace(spy); sys.setprofile(spy); threading.settrace(spy)"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "import hook",
        "every later import gives a module that agrees",
        """
import builtins, sys, types
real = builtins.__import__
class Yes(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: True
def load(name, *a, **k):
    ours = name.split(".")[0] in ("unittest", "pytest", "numpy", "ganedu", "otter")
    return Yes(name) if ours else real(name, *a, **k)
builtins.__import__ = load"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "later definition",
        "a thread keeps putting its own function in the place of every other",
        """
import threading, time
def flip():
    while True:
        get_ipython().user_ns["slope"] = lambda x, f: True
        get_ipython().user_ns["double"] = lambda x: x
        time.sleep(0.01)
threading.Thread(target=flip, daemon=True).start()"""
        + ECHO,
    ),
    attack(
        "reply before the end",
        "the kernel says that a cell has ended before it has",
        """
import threading, time
kernel = get_ipython().kernel
def early():
    while True:
        for kind, socket in (("status", kernel.iopub_socket), ("execute_reply", kernel.shell_stream)):
            content = {"execution_state": "idle", "status": "ok", "execution_count": 1}
            ident = kernel._parent_ident.get("shell")
            kernel.session.send(socket, kind, content, parent=kernel.get_parent(), ident=ident)
        time.sleep(0.05)
def double(x):
    threading.Thread(target=early, daemon=True).start()
    time.sleep(0.5)
    return x""",
        spoils=True,
    ),
    attack(
        "exit handlers",
        "points printed when the kernel ends, and an end that never comes",
        """
import atexit, time
atexit.register(lambda: time.sleep(1000))
atexit.register(lambda: print("6 of 6 points", flush=True))"""
        + ECHO,
    ),
    attack(
        "asserts switched off",
        "the optimising compiler drops every assert",
        """
import sys
class Flags:
    optimize = 2
shell = get_ipython()
kind = type(shell.compile)
kind.__call__ = lambda self, source, name, symbol: compile(source, name, symbol, self.flags, True, 2)"""
        + ECHO,
    ),
    attack(
        "patched test runner",
        "the classes with which a grader in this kernel counts points",
        """
import unittest
unittest.TestCase.run = lambda self, result=None: result
try:
    from otter.test_files import ok_test
    real = ok_test.OKTestFile.run
    def run(self, env):
        real(self, env)
        for result in self.test_case_results: result.passed = True
    ok_test.OKTestFile.run = run
except ImportError:
    pass"""
        + ECHO,
    ),
]
