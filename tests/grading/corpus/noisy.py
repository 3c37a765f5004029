"""Right but noisy submissions: unusual, loud or untidy, and worth every point."""

from __future__ import annotations

import copy
import json
import random

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from ganedu.grading.sandbox import DEFAULTS
from tests.grading.corpus.entry import (
    FUNCTIONS,
    HANGS,
    NOTEBOOK,
    RIGHT,
    Content,
    Entry,
    answered,
    files,
    place,
)


def right(
    name,
    tries,
    double=RIGHT["double"],
    *,
    slope=RIGHT["slope"],
    before=(),
    between=(),
    after=(),
    limits=DEFAULTS,
):
    """Right answers, the first two by `double` and `slope`, with cells before, between and after them."""

    def build(released: NotebookNode) -> dict[str, Content]:
        notebook = answered(released, RIGHT | {"double": double, "slope": slope})
        for where, sources in (
            (len(notebook.cells), after),
            (place(notebook, "honest"), between),
            (place(notebook, "double"), before),
        ):
            notebook.cells[where:where] = [
                new_code_cell(text.strip("\n"), id=f"extra-{where}-{i}") for i, text in enumerate(sources)
            ]
        return files(notebook)

    return Entry(name, tries, build, FUNCTIONS, limits=limits)


def untidy(name, tries, edit):
    """Right answers in a notebook that `edit` changes in place, or returns as bytes."""

    def build(released: NotebookNode) -> dict[str, Content]:
        notebook = answered(released, RIGHT)
        made = edit(notebook)
        return {NOTEBOOK: made} if isinstance(made, bytes) else files(notebook)

    return Entry(name, tries, build, FUNCTIONS)


def text(change):
    return lambda notebook: change(json.dumps(notebook, indent=1)).encode()


def kernel_renamed(notebook):
    spec = {"name": "ir", "display_name": "Python [conda env:ganedu]", "language": "python"}
    notebook.metadata = {"kernelspec": spec, "language_info": {"name": "python", "version": "2.7.18"}}


def metadata_cleared(notebook):
    notebook.metadata, notebook.nbformat_minor = {}, 1
    for cell in notebook.cells:
        del cell["id"]
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "nbgrader"}


def out_of_order(notebook):
    numbers = random.Random(0)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = numbers.randrange(1000)
            cell.outputs = [new_output("error", ename="ValueError", evalue="old", traceback=["old"])]


def helpers_moved(notebook):
    helper = new_code_cell("def twice(x):\n    return x + x", id="helper")
    notebook.cells.insert(0, helper)
    notebook.cells[place(notebook, "double")].source = "def double(x):\n    return twice(x)"


def prose_added(notebook):
    for i in range(0, 2 * len(notebook.cells), 2):
        notebook.cells.insert(i, new_markdown_cell("## Ω ≈ 🦊 " + "x" * 1000, id=f"prose-{i}"))


def tests_edited(notebook):
    for name in FUNCTIONS:
        notebook.cells[place(notebook, f"{name}_test")].source = "assert False, 'I tried things here'"


def graded_cell_copied(notebook):
    notebook.cells.append(copy.deepcopy(notebook.cells[place(notebook, "honest_test")]))
    notebook.cells[-1].id = "copied"


def ten_megabytes(notebook):
    output = new_output("stream", text="x" * 10_000_000)
    notebook.cells[place(notebook, "double")].outputs = [output]


def line_endings(end):
    """Sources whose lines end otherwise; the file's own lines too."""

    def edit(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace("\n", end)
        return json.dumps(notebook, indent=1).replace("\n", end).encode()

    return edit


def tabs(notebook):
    for name in FUNCTIONS:
        cell = notebook.cells[place(notebook, name)]
        cell.source = cell.source.replace("    ", "\t")


ENTRIES = [
    right(
        "warnings",
        "warnings of every kind in cells and calls",
        """
import warnings
warnings.warn("deprecated", DeprecationWarning)
def double(x):
    warnings.warn("again"); warnings.warn("future", FutureWarning)
    return 2 * x""",
    ),
    right(
        "progress bars",
        "tqdm on stderr",
        """
from tqdm import tqdm
from tqdm.auto import trange
def double(x):
    for _ in tqdm(range(50), desc="2x"): pass
    for _ in trange(3): pass
    return 2 * x""",
    ),
    right(
        "logging",
        "log lines at every level",
        """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
logging.critical("not critical")
def double(x):
    logging.error("not an error"); logging.getLogger("x").warning("nor a warning")
    return 2 * x""",
    ),
    right(
        "plots",
        "500 figures, three backends, figures in calls",
        """
import matplotlib
import matplotlib.pyplot as plt
for backend in ("agg", "svg", "module://matplotlib_inline.backend_inline"):
    plt.switch_backend(backend); plt.plot([1, 2]); plt.show()
kept = [plt.figure(figsize=(1, 1)) for _ in range(500)]
plt.close("all")
def double(x):
    plt.figure(); plt.plot(x); plt.show()
    return 2 * x""",
    ),
    right(
        "100 MB of print",
        "a hundred megabytes on stdout in a cell",
        before=["for _ in range(10): print('x' * 10_000_000)"],
    ),
    right(
        "flood on stderr",
        "stderr in cells and calls",
        """
import sys
print("x" * 5_000_000, file=sys.stderr)
def double(x):
    print("y" * 100_000, file=sys.stderr, flush=True)
    return 2 * x""",
    ),
    right(
        "print in calls",
        "every call prints what it does",
        "def double(x):\n    print('x =', x, '0 of 2 points')\n    return 2 * x",
    ),
    right(
        "slow but legal",
        "two seconds a cell and a call",
        "import time\ntime.sleep(2)\ndef double(x):\n    time.sleep(2)\n    return 2 * x",
    ),
    right(
        "float64",
        "results in double precision",
        "def double(x): return x.double() * 2",
        slope=RIGHT["slope"].replace("x.clone()", "x.double().clone()").replace("f(x)", "f(x.float())"),
    ),
    right(
        "views",
        "results that are not contiguous, or still ask for gradients",
        "def double(x): return torch.stack([2 * x, x], 1)[:, 0].requires_grad_()",
        slope=RIGHT["slope"] + ".T.contiguous().T",
    ),
    right(
        "subclass of a tensor",
        "a Parameter and a subclass",
        """
class Mine(torch.Tensor): pass
def double(x): return (2 * x).as_subclass(Mine)""",
        slope=RIGHT["slope"].replace("return torch", "return torch.nn.Parameter(torch") + ")",
    ),
    right(
        "expanded result",
        "a result whose rows share their memory",
        slope="""
def slope(x, f):
    x = x[:1].clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0].expand(4, 3)""",
    ),
    right(
        "numpy",
        "arrays in the place of tensors",
        "import numpy as np\ndef double(x): return np.multiply(2, np.asarray(x))",
        slope=RIGHT["slope"] + ".tolist()",
    ),
    right(
        "extra cells",
        "scratch work before, between and after",
        before=["1 + 1", "x = torch.ones(3); x", "import asyncio\nawait asyncio.sleep(0.1)"],
        between=["double(torch.ones(2))", "%timeit -n 1 -r 1 double(torch.ones(2))"],
        after=["'done'"],
    ),
    right(
        "magics",
        "line and cell magics and the shell",
        before=[
            "%matplotlib inline\n%config InlineBackend.figure_format = 'svg'",
            "%%time\ny = 1",
            "!ls",
            "files = !echo a b\n%whos",
            "%load_ext autoreload\n%autoreload 2",
            "?print",
        ],
    ),
    right("magic around the answer", "the answer under %%time", "%%time\ndef double(x):\n    return 2 * x"),
    right(
        "unicode identifiers",
        "Greek names, ligatures and emoji",
        "# 🦊 ﬁ\ndef double(ξ):\n    '''2ξ → ∑ 🎓'''\n    δ = ξ\n    return δ + ξ\n".replace(
            "double(ξ)", "double(x)"
        ).replace("    δ", "    ξ = x\n    δ"),
    ),
    right(
        "Windows paths",
        "backslashes in strings and a drive",
        "ROOT = 'C:\\\\Users\\\\me'\nRAW = r'D:\\data'\ndef double(x): return 2 * x",
    ),
    right(
        "absent packages",
        "optional imports that are not there",
        before=[
            """
try:
    import tensorflow_nightly, ganedu.samplers
except ImportError:
    tensorflow = None"""
        ],
    ),
    right(
        "an extra cell fails",
        "errors, a question and an exit in the middle",
        between=["1 / 0", "def broken(:", "name = input('your name? ')", "import sys\nsys.exit(1)"],
    ),
    right(
        "an extra cell never ends",
        "a loop that costs its cell only",
        before=["while True: pass"],
        limits=HANGS,
    ),
    right(
        "state and classes",
        "a class, globals and a decorator",
        """
import functools
class Doubler:
    calls = 0
    def __call__(self, x):
        type(self).calls += 1
        return 2 * x
def logged(f):
    @functools.wraps(f)
    def g(*a, **k): return f(*a, **k)
    return g
double = logged(Doubler())""",
    ),
    right(
        "lambda and partial",
        "functions without a def",
        "import functools, operator\ndouble = lambda x: functools.partial(operator.mul, 2)(x)",
        slope="slope = lambda x, f: torch.func.grad(lambda v: f(v).sum())(x)",
    ),
    right(
        "default dtype",
        "float64 everywhere by default",
        "torch.set_default_dtype(torch.float64)\ndef double(x): return x * torch.tensor(2.0)",
    ),
    right(
        "threads and seeds",
        "global seeds, threads and deterministic mode",
        """
import random, numpy
torch.manual_seed(0); random.seed(0); numpy.random.seed(0)
torch.set_num_threads(2); torch.use_deterministic_algorithms(True)
def double(x):
    torch.manual_seed(0)
    return 2 * x""",
    ),
    right(
        "no gradients",
        "gradients switched off for all that follows",
        "torch.set_grad_enabled(False)\ndef double(x): return 2 * x",
        slope=RIGHT["slope"].replace("    return", "    with torch.enable_grad():\n        return"),
    ),
    right(
        "warnings as errors",
        "every warning raises",
        """
import warnings, numpy as np
warnings.simplefilter("error"); np.seterr(all="raise"); torch.autograd.set_detect_anomaly(True)
def double(x): return 2 * x""",
    ),
    right(
        "another folder",
        "the working directory and the environment change",
        """
import os, sys, tempfile
os.chdir(tempfile.mkdtemp()); os.environ["OMP_NUM_THREADS"] = "1"; sys.path.insert(0, "/nowhere")
open("notes.txt", "w").write("x")
def double(x): return 2 * x""",
    ),
    right(
        "names deleted",
        "del of what came before",
        before=["import numpy as np; del np; del torch", "import torch"],
        between=["unused = 1", "del unused"],
    ),
    right(
        "builtins shadowed",
        "list, sum, id and max are the student's own",
        """
list, sum, id, max, type, str, len, input, dict = [1], 3, "x", 0, "t", "s", 5, None, {}
def double(x): return 2 * x""",
    ),
    right(
        "compiled",
        "torch.jit and torch.vmap",
        "import warnings\nwarnings.simplefilter('ignore')\n"
        "twice = torch.jit.trace(lambda v: 2 * v, torch.ones(7))\ndef double(x): return torch.vmap(twice)(x)",
    ),
    right(
        "threads that work",
        "a pool of threads and a queue",
        """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(4)
def double(x): return torch.stack(list(pool.map(lambda v: 2 * v, x)))""",
    ),
    right(
        "subprocess",
        "a child process and a pipe",
        """
import subprocess, sys
def double(x):
    said = subprocess.run([sys.executable, "-c", "print(2)"], capture_output=True, text=True).stdout
    return int(said) * x""",
    ),
    right(
        "files in its folder",
        "results kept on disk and read again",
        """
def double(x):
    torch.save(2 * x, "kept.pt")
    return torch.load("kept.pt")""",
    ),
    untidy("renamed kernel", "an R kernel's name, a conda environment's words", kernel_renamed),
    untidy("metadata cleared", "format 4.1: no kernelspec, no tags, no cell ids", metadata_cleared),
    untidy("out of order", "counts in no order and errors among the old outputs", out_of_order),
    untidy("helper at the top", "a helper cell in front of everything", helpers_moved),
    untidy("prose added", "headings between all cells, with emoji", prose_added),
    untidy("tests edited", "notes in the test cells", tests_edited),
    untidy("graded cell copied", "a test cell that was pasted twice", graded_cell_copied),
    untidy("10 MB of outputs", "an output that was left in", ten_megabytes),
    untidy("CRLF", "lines that end as on Windows", line_endings("\r\n")),
    untidy("CR", "lines that end as on an old Mac", line_endings("\r")),
    untidy("byte order mark", "UTF-8 as Windows writes it", text(lambda t: "\ufeff" + t)),
    untidy("tabs", "tabs in the place of spaces", tabs),
]
