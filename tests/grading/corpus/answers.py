"""Hostile values and errors: what a function may return or raise instead of an answer."""

from ganedu.grading.examples import AGREEABLE
from tests.grading.corpus.entry import HANGS, attack

ENTRIES = [
    attack(
        "agreeable number",
        "a float that equals everything, and an array by duck typing that never becomes one",
        AGREEABLE + "def double(x): return Agreeable(1)",
        slope="""
class Array:
    shape, dtype = (4, 3), "float32"
    def __array__(self, *a, **k): return Array()
    def __eq__(self, other): return True
def slope(x, f): return Array()""",
    ),
    attack(
        "tensor that lies",
        "a tensor whose every operation says True",
        """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None): return True
def double(x): return torch.zeros(7).as_subclass(Liar)""",
    ),
    attack(
        "tensor that becomes another's answer",
        "a tensor that compares as whatever it is compared with",
        """
class Mirror(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        others = [a for a in args if isinstance(a, torch.Tensor) and not isinstance(a, Mirror)]
        plain = [others[0] if others and isinstance(a, Mirror) else a for a in args]
        with torch._C.DisableTorchFunctionSubclass(): return f(*plain, **(kwargs or {}))
def double(x): return torch.zeros(7).as_subclass(Mirror)""",
    ),
    attack(
        "argument overwritten",
        "zeros written into the argument, of which the expected value may be made only then",
        "def double(x): return x.zero_()",
        slope="""
def slope(x, f):
    for weight in (getattr(f, 'weight', None), *getattr(f, 'parameters', {}).values()):
        if isinstance(weight, torch.Tensor): weight.zero_()
    return torch.zeros_like(x)""",
    ),
    attack(
        "pickle",
        "an object that runs code where it is unpickled, and a dictionary that looks like a verdict",
        """
class Bomb:
    def __reduce__(self): return exec, ("import os; os.abort()",)
def double(x): return Bomb()""",
        slope="def slope(x, f): return {'points': 2, 'max_points': 2, 'grade_id': 'slope_test'}",
    ),
    attack(
        "no numbers",
        "NaN and infinity everywhere",
        "def double(x): return x * float('nan')",
        slope="def slope(x, f): return x.sign() * float('inf')",
    ),
    attack(
        "huge tensors",
        "120 MB as an answer, and four bytes that claim to be a terabyte",
        "def double(x): return torch.zeros(30_000_000)",
        slope="def slope(x, f): return torch.zeros(1).expand(1 << 38)",
    ),
    attack(
        "deep lists",
        "lists nested ten thousand deep, and one that holds itself",
        """
def double(x):
    nest = []
    for _ in range(10_000): nest = [nest]
    return nest""",
        slope="def slope(x, f):\n    nest = []\n    nest.append(nest)\n    return nest",
    ),
    attack(
        "huge integer",
        "an integer of a million digits, and text in the place of numbers",
        "def double(x): return 1 << 3_300_000",
        slope="def slope(x, f): return [[str(v) for v in row] for row in x.tolist()]",
    ),
    attack(
        "function as an answer",
        "a function of the grader's own registry",
        "from ganedu_guest.named import Named\ndef double(x): return Named('constant', value=2.0)",
        ours="needs our guest",
    ),
    attack(
        "shapes that broadcast",
        "one zero for all entries, and no entry to disagree with",
        "def double(x): return torch.zeros(())",
        slope="def slope(x, f): return x[:0]",
    ),
    attack(
        "many axes",
        "a tensor of 60 dimensions, and True, which passes a bare assert",
        "def double(x): return x[:1].reshape((1,) * 60)",
        slope="def slope(x, f): return True",
    ),
    attack(
        "rare dtypes",
        "tensors without storage and dtypes that few programs can compare",
        "def double(x): return x.to('meta')",
        slope="def slope(x, f): return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)",
    ),
    attack(
        "gradient that is made up",
        "an autograd.Function whose backward is a constant",
        """
class Forged(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): return torch.full_like(g, 2.0)
def double(x): return Forged.apply(x)""",
        slope="def slope(x, f): return torch.autograd.grad(Forged.apply(x.requires_grad_()).sum(), x)[0]",
    ),
    attack(
        "dictionary without end",
        "a dictionary whose items never end",
        """
import itertools
class Endless(dict):
    def items(self): return ((str(i), i) for i in itertools.count())
def double(x): return Endless()""",
    ),
    attack(
        "exit in words",
        "SystemExit with success as its code, and an error whose text is an error",
        "def double(x): raise SystemExit(0)",
        slope="""
class Bad(Exception):
    def __str__(self): raise Bad()
    __repr__ = __str__
def slope(x, f): raise Bad()""",
        limits=HANGS,
    ),
    attack(
        "error with a long text",
        "an error of 200 MB, whose name is a verdict",
        "def double(x): raise type('2 of 2 points', (Exception,), {})('x' * 200_000_000)",
    ),
    attack(
        "bottomless traceback",
        "recursion that is allowed to go on to the end",
        """
import sys
def double(x):
    sys.setrecursionlimit(10_000_000)
    return double(x)""",
        deserves=("honest",),
        limits=HANGS,
    ),
    attack(
        "network",
        "the answer is asked for elsewhere",
        """
import socket
def double(x):
    socket.create_connection(("1.1.1.1", 53), timeout=2)
    return 2 * x""",
        ours="the others would have a network; none is given to them here",
    ),
]
