"""What a submission sees, and what it may use."""

import errno
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

import ganedu
from ganedu.grading import library, packages, sandbox, syscalls
from ganedu.grading.checks import load, summarise
from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import Limits

PROBE = """
import ctypes, importlib, json, os, socket, subprocess, sys

def attempt(action):
    try:
        return action()
    except BaseException as error:
        return type(error).__name__

def grow(path):
    with open(path, "wb") as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))

print(json.dumps({
    "uid": os.getuid(),
    "gains root": attempt(lambda: os.setuid(0)),
    "network": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2).close()),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "processes": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
    "environment": sorted(os.environ),
    "home": os.environ["HOME"],
    "course": attempt(lambda: os.listdir("COURSE")),
    "repository": attempt(lambda: os.listdir("REPOSITORY")),
    "real home": attempt(lambda: os.listdir("USERHOME")),
    "etc": sorted(os.listdir("/etc")),
    "allowed": attempt(lambda: importlib.import_module("ganedu.rng").__name__),
    "always": attempt(lambda: importlib.import_module("ganedu.check").__name__),
    "hidden": [attempt(lambda: importlib.import_module(name).__name__) for name in
               ("ganedu.grading", "ganedu.grading.checks", "ganedu.samplers", "ganedu.targets")],
    "writes": [attempt(lambda: open(path + "/planted", "w").close()) for path in
               ("/", "/usr", "/opt/ganedu", "/etc", "PREFIX", "SOCKETS")],
    "writes scratch": [attempt(lambda: open(path + "/mine", "w").close()) for path in
                       ("/tmp", "/home", "/dev/shm")],
    "large file": attempt(lambda: grow("/tmp/large")),
    "many files": attempt(lambda: [open(f"/tmp/many{i}", "wb").write(bytes(16 << 20)) for i in range(64)]),
    "system settings": [attempt(lambda: open("/proc/sys/" + name, "w").close()) for name in
                        ("kernel/hostname", "net/ipv4/ip_forward", "user/max_user_namespaces")],
    "sys": os.path.exists("/sys"),
    "status": dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines()
                   if line.startswith(("NoNewPrivs", "Seccomp:", "CapEff"))),
    "command lines": [open(f"/proc/{pid}/cmdline").read() for pid in os.listdir("/proc") if pid.isdigit()],
    "mounts": open("/proc/self/mountinfo").read(),
    "first process": attempt(lambda: open("/proc/1/environ").read()),
    "new user": ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and ctypes.get_errno(),
    "new user by a program": subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode,
    "trace": ctypes.CDLL(None).ptrace(0, 0, 0, 0),
    "key": ctypes.CDLL(None).syscall(KEYCTL, 0, -3, 1),
    "unmapped memory": attempt(lambda: os.memfd_create("hidden")),
    "host": attempt(lambda: socket.socket(40, socket.SOCK_STREAM)),
    "abstract": attempt(lambda: socket.socket(socket.AF_UNIX).connect("\\0PLANTED")),
    "terminal": attempt(lambda: os.open("/dev/tty", os.O_RDWR)),
    "files open": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                         if os.path.lexists(f"/proc/self/fd/{fd}")),
    "packages": [name for folder in sys.path if folder.endswith("site-packages")
                 for name in os.listdir(folder)
                 if "ganedu" in name and attempt(lambda: open(folder + "/" + name).read()) != ""
                 and attempt(lambda: os.listdir(folder + "/" + name)) != []],
    "warm": sorted({"torch", "numpy", "ganedu", "ganedu.check", "matplotlib"} & WARM),
    "other sandbox": attempt(lambda: os.listdir("OTHER")),
    "tmp": [name for name in os.listdir("/tmp") if name.startswith("gk-")],
}))
"""
PATIENCE = 600  # seconds that no cell here takes, on a slow machine neither
# Cells of its own: the probe imports, and a failed allocation of files would be in its way.
FIRST = "import sys; WARM = set(sys.modules)"


@pytest.fixture(scope="module")
def other(sandboxed):
    """A second sandbox: a lab's that lists its packages."""
    with Kernel((), Limits(), packages=("ipywidgets",)) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def seen(other, tmp_path_factory):
    """What code in a sandbox finds, with a server listening outside and secrets lying about."""
    course = tmp_path_factory.mktemp("course")
    (course / "gradebook.db").write_text("secret")
    os.environ["GANEDU_PLANTED"] = "secret"
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: server.accept(), daemon=True).start()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0ganedu-planted")
    abstract.listen()
    try:
        with Kernel(("ganedu.rng",), Limits()) as kernel:
            assert other.alive and kernel.run(FIRST, PATIENCE).status == "ok"
            names = {
                "OTHER": str(other.sockets),
                "PLANTED": "ganedu-planted",
                "KEYCTL": str(syscalls.MACHINES[platform.machine()][1]["keyctl"]),
                "PORT": str(server.getsockname()[1]),
                "COURSE": str(course),
                "REPOSITORY": str(Path(ganedu.__file__).parent),
                "USERHOME": str(Path.home() / ".cache"),
                "PREFIX": os.path.realpath("/usr/lib"),
                "SOCKETS": str(kernel.sockets),
            }
            probe = PROBE
            for name, value in names.items():
                probe = probe.replace(name, value)
            execution = kernel.run(probe, PATIENCE)
    finally:
        del os.environ["GANEDU_PLANTED"]
        server.close()
        abstract.close()
    (output,) = execution.outputs
    return json.loads(output.text) | {"own sandbox": kernel.folder.name}


def test_it_is_not_root_and_cannot_become_root(seen):
    assert seen["uid"] != 0
    assert seen["gains root"] == "PermissionError"


def test_it_has_no_network(seen):
    assert seen["network"] in ("ConnectionRefusedError", "OSError", "TimeoutError")
    assert set(seen["interfaces"]) <= {"lo"}


def test_it_sees_its_own_processes_alone(seen):
    assert max(seen["processes"]) < 100


def test_its_environment_is_ours(seen):
    assert set(seen["environment"]) - {"PWD"} <= {*sandbox.environment(), *KERNELS_OWN}
    assert seen["home"] == "/home"


KERNELS_OWN = {
    "JPY_PARENT_PID",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "GIT_PAGER",
    "MPLBACKEND",
    "PAGER",
}
KERNELS_OWN |= {"PYDEVD_USE_FRAME_EVAL", "TERM", "NO_COLOR", "LC_CTYPE", "PYDEVD_DISABLE_FILE_VALIDATION"}
KERNELS_OWN |= {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR"}


def test_it_does_not_see_the_course_the_repository_or_a_home(seen):
    for place in ("course", "repository", "real home"):
        assert seen[place] in ("FileNotFoundError", "PermissionError"), place
    assert not {"passwd", "shadow", "ssh", "hostname"} & set(seen["etc"])


def test_it_sees_of_ganedu_what_the_lab_allows(seen):
    assert seen["allowed"] == "ganedu.rng" and seen["always"] == "ganedu.check"
    assert set(seen["hidden"]) == {"ModuleNotFoundError"}


def test_it_writes_to_its_scratch_alone(seen):
    assert set(seen["writes"]) <= {"PermissionError", "OSError"}
    assert seen["writes scratch"] == [None, None, None]


def test_its_files_are_limited_one_by_one_and_together(seen):
    assert seen["large file"] == "OSError" and seen["many files"] == "OSError"
    assert sum(sandbox.SHARES.values()) == 4


def test_it_has_no_rights_and_gets_none(seen):
    assert seen["status"]["NoNewPrivs"] == "1"  # a setuid program is a program like any other
    assert int(seen["status"]["CapEff"], 16) == 0
    assert set(seen["system settings"]) == {"PermissionError"}
    assert not seen["sys"]
    assert seen["terminal"] == "OSError"  # so it cannot type into ours


@pytest.mark.skipif(syscalls.seccomp_filter() is None, reason=f"no filter for {platform.machine()}")
def test_calls_that_namespaces_leave_open_are_refused(seen):
    assert seen["status"]["Seccomp"] == "2"
    assert seen["new user"] == errno.EPERM and seen["new user by a program"] != 0
    assert seen["trace"] == -1 and seen["key"] == -1
    assert seen["unmapped memory"] == "PermissionError"
    assert seen["host"] == "OSError"


def test_it_reaches_no_socket_of_this_machine(seen):
    assert seen["abstract"] == "ConnectionRefusedError"


def test_it_sees_no_socket_of_another_submission(seen):
    assert seen["other sandbox"] == "FileNotFoundError"
    assert seen["tmp"] == [seen["own sandbox"]]


def test_it_does_not_see_where_the_course_lies(seen):
    checkout = str(Path(ganedu.__file__).parents[1])
    prefixes = {sys.prefix, sys.base_prefix}
    for text in ("".join(seen["command lines"]), seen["mounts"], "".join(seen["files open"])):
        for prefix in prefixes:  # where Python lies is seen
            text = text.replace(prefix, "PYTHON")
        assert checkout not in text
        assert str(Path.home()) not in text.replace("PYTHON", "")
    assert "--bind" not in "".join(seen["command lines"])
    assert seen["packages"] == []


def test_it_is_warm_and_has_imported_nothing_of_ours(seen):
    assert seen["warm"] == ["numpy", "torch"]


def test_a_kernel_that_cannot_start_says_so_at_once(sandboxed, monkeypatch):
    monkeypatch.setattr(sandbox, "LIBRARY", "/opt/elsewhere\0--no-such-option")
    with pytest.raises(RuntimeError, match="did not start: bwrap: .*no-such-option"):
        Kernel((), Limits()).ready()


def copy_of_packages(tmp_path, monkeypatch):
    """A folder of packages with ganedu in it twice: installed, and in a checkout elsewhere."""
    packages = tmp_path / "python" / "site-packages"
    for name in ("ganedu", "ganedu-0.1.0.dist-info", "ganedu.egg-info", "other"):
        (packages / name).mkdir(parents=True)
    root = Path(ganedu.__file__).resolve().parents[1]
    finder = "__editable___ganedu_0_1_0_finder.py"
    for name in (finder, "__editable__.ganedu-0.1.0.pth", "ganedu.egg-link", "easy-install.pth", "kept.pth"):
        (packages / name).write_text("import other")
    (packages / "named.pth").write_text(f"{root}\n")
    monkeypatch.setattr(sandbox.installed, "folders", lambda: [packages])
    monkeypatch.setattr(sandbox, "_interpreter", lambda: [str(tmp_path / "python")])
    return packages


def test_every_installed_trace_of_ganedu_is_covered(tmp_path, monkeypatch):
    packages = copy_of_packages(tmp_path, monkeypatch)
    (tmp_path / "own").mkdir()
    words = sandbox._hidden(tmp_path / "own")
    covered = {Path(word).name for word in words if Path(word).is_relative_to(packages)}
    assert {path.name for path in packages.iterdir()} - covered == {"other", "kept.pth"}
    covers = {Path(word) for word in words if Path(word).is_relative_to(tmp_path / "own")}
    assert all(not any(p.iterdir()) if p.is_dir() else p.read_bytes() == b"" for p in covers)


def test_a_course_or_home_that_every_submission_sees_is_refused(tmp_path, monkeypatch):
    sandbox.require_apart(tmp_path)
    with pytest.raises(sandbox.SandboxMissing, match="which a submission sees"):
        sandbox.require_apart(Path("/usr/share"))
    monkeypatch.setattr(sandbox, "_interpreter", lambda: [str(tmp_path)])
    (tmp_path / "course").mkdir()
    with pytest.raises(sandbox.SandboxMissing, match="virtual environment in a folder of its own"):
        sandbox.require_apart(tmp_path / "course")
    monkeypatch.setenv("HOME", str(tmp_path / "course"))
    with pytest.raises(sandbox.SandboxMissing, match=str(tmp_path / "course")):
        sandbox.require_apart(Path("/srv"))


# One submission, and a lab that lists its packages.

LISTED = """
import importlib, io, json
def attempt(name):
    try:
        return importlib.import_module(name).__name__
    except ImportError as error:
        return type(error).__name__
found = {name: attempt(name) for name in NAMES}
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig(io.BytesIO()); plt.close()
import torch
shape = torch.nn.functional.conv2d(torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3)).shape
print(json.dumps(found | {"shape": list(shape)}))
"""
SEEN = ("torch", "matplotlib.pyplot", "ipywidgets", "ganedu.check")
UNSEEN = ("nbgrader", "sklearn", "jupyterlab", "distributed", "nbformat", "pytest")


def test_a_lab_that_lists_its_packages_shows_no_other(other):
    execution = other.run(LISTED.replace("NAMES", repr(SEEN + UNSEEN)), PATIENCE)
    found = json.loads(execution.outputs[-1].text)
    assert found.pop("shape") == [2, 4, 6, 6]
    assert found == {name: name for name in SEEN} | dict.fromkeys(UNSEEN, "ModuleNotFoundError")


def test_a_labs_packages_reach_who_starts_its_kernels(tmp_path):
    head = "from ganedu.grading.checks import Lab\nLAB = Lab('x'"
    for name, tail in (("listed", ", packages=('tqdm',))"), ("all", ")")):
        path = tmp_path / name / "checks.py"
        path.parent.mkdir()
        path.write_text(head + tail)
        assert summarise(load(path)).packages == {"listed": ("tqdm",), "all": None}[name]


def test_a_package_brings_what_it_requires_and_what_a_kernel_needs():
    names = {path.name for path in packages.entries(("scikit-learn",))}
    assert {"sklearn", "scipy", "joblib", "torch", "ipykernel", "matplotlib", "numpy.libs"} <= names
    assert not {"nbgrader", "jupyterlab", "pytest"} & names
    assert not any("ganedu" in name or "__editable__" in name for name in names)
    assert packages.entries(("Scikit_Learn",)) == packages.entries(("scikit-learn",))


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="packages: 'no-such-package' is not installed"):
        packages.entries(("no-such-package",))


def test_a_folder_that_packages_share_is_shown_in_part():
    files = {"mine": ["shared/mine/a.py", "own/b.py", "../bin/x"], "theirs": ["shared/theirs/c.py"]}
    with tempfile.TemporaryDirectory() as top:
        for name in (*files["mine"][:2], *files["theirs"]):
            path = Path(top, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        mine = fake_distribution("mine", files["mine"], top)
        shown = {str(path.relative_to(Path(top).resolve())) for path in packages._shown(mine, {"shared"})}
        assert shown == {"shared/mine", "own"}
        with pytest.raises(ValueError, match="'?unknown'? has no record"):
            list(packages._shown(fake_distribution("unknown", None, top), set()))


def fake_distribution(name, files, top):
    record = None if files is None else [PurePosixPath(file) for file in files]
    return SimpleNamespace(name=name, files=record, locate_file=lambda path: Path(top, path))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filters_numbers_are_the_kernels(machine):
    header = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}[machine]
    path = Path("/usr/include", header)
    if not path.is_file():
        pytest.skip(f"no {path}: the package linux-libc-dev is not installed")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    truth = {name: int(number) for name, number in lines}
    calls = syscalls.MACHINES[machine][1] | syscalls.BOTH
    assert calls == {name: truth[name] for name in calls}


def test_a_machine_that_we_do_not_know_has_no_filter():
    assert syscalls.seccomp_filter("riscv64") is None
    assert len(syscalls.seccomp_filter("aarch64")) % 8 == 0


@pytest.mark.slow
def test_a_user_without_rights_gets_a_sandbox_as_tight(sandboxed):
    """The instructor who is not root, tried as nobody: both have one user, and mounts keep them apart."""
    if os.getuid() or shutil.which("setpriv") is None:
        pytest.skip("only root becomes nobody, by setpriv")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        script = Path(folder, "try.py")
        script.write_text(AS_NOBODY.replace("PLANT", repr(PLANT)))
        words = ["unshare", "--mount", "sh", "-c", REACHABLE, "sh", sys.executable, str(script)]
        environment = {**os.environ, "HOME": folder, "PYTHONPATH": str(Path(ganedu.__file__).parents[1])}
        result = subprocess.run(words, capture_output=True, text=True, env=environment, cwd="/")
    if "SandboxMissing" in result.stderr:
        pytest.skip(result.stderr.strip().splitlines()[-1])
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    assert found["uid"] == 65534 and found["forks"] < 256
    assert set(found["planted"]) <= {"OSError", "PermissionError"}
    assert found["memory"] == "it used more than 512 MiB of memory"


# In namespaces of its own mounts, root's HOME is shown to others where Python lies in it.
REACHABLE = """
set -e
places=$({ "$1" -c 'import sys; print(sys.base_prefix, sys.prefix, sep="\\n")'; echo "$PYTHONPATH"; } |
    sort -u | grep '^/root/' || true)
if [ -n "$places" ]; then
    n=0; for place in $places; do n=$((n + 1)); mkdir "$HOME/$n"; mount --bind "$place" "$HOME/$n"; done
    mount -t tmpfs -o mode=755 none /root
    n=0; for place in $places; do n=$((n + 1)); mkdir -p "$place"; mount --move "$HOME/$n" "$place"; done
fi
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""
PLANT = """
import json, os, time
def attempt(path):
    try:
        open(path + "/planted", "w").close()
    except OSError as error:
        return type(error).__name__
sockets = next(f"/tmp/{name}/s" for name in os.listdir("/tmp") if name.startswith("gk-"))
planted = [attempt(path) for path in ("/", "/dev", "/etc", "/opt/ganedu", sockets)]
forks = 0
try:
    while True:
        if os.fork() == 0: time.sleep(600)
        forks += 1
except OSError:
    pass
print(json.dumps({"uid": os.getuid(), "planted": planted, "forks": forks}))
"""
AS_NOBODY = """
import json
from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import Limits, require_bubblewrap
require_bubblewrap()
with Kernel((), Limits()) as kernel:
    (output,) = kernel.run(PLANT, 600).outputs
with Kernel((), Limits(memory=512 << 20)) as kernel:
    kernel.run("kept = []\\nwhile True: kept.append(bytearray(b'1') * (1 << 22))", 600)
    print(json.dumps(json.loads(output.text) | {"memory": kernel.why_dead}))
"""


@pytest.mark.parametrize(
    "module",
    ["ganedu", "ganedu.grading", "ganedu.grading.checks", "os", "ganedu.no_such", "ganedu.../solutions"],
)
def test_a_lab_cannot_allow_grading_or_what_is_not_there(module):
    with pytest.raises(ValueError, match="allow"):
        list(library.visible([module]))


def test_a_package_is_allowed_with_all_below_it_and_a_file_alone():
    names = dict((name, path) for path, name in library.visible(["ganedu.gans", "ganedu.samplers.langevin"]))
    assert names["ganedu/gans"].is_dir()
    assert names["ganedu/samplers/langevin.py"].is_file()
    assert "ganedu/samplers" not in names and "ganedu/samplers/__init__.py" not in names


def test_without_bubblewrap_grading_refuses_and_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.SandboxMissing, match="apt install bubblewrap.*--unsandboxed"):
        sandbox.require_bubblewrap()
