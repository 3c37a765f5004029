"""What a submission sees, and what it may use."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest

import ganedu
from ganedu.grading import sandbox
from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import Limits

PROBE = """
import importlib, json, os, socket

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
}))
"""


@pytest.fixture(scope="module")
def seen(sandboxed, tmp_path_factory):
    """What code in a sandbox finds, with a server listening outside and secrets lying about."""
    course = tmp_path_factory.mktemp("course")
    (course / "gradebook.db").write_text("secret")
    os.environ["GANEDU_PLANTED"] = "secret"
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: server.accept(), daemon=True).start()
    try:
        with Kernel(("ganedu.rng",), Limits()) as kernel:
            names = {
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
            execution = kernel.run(probe, 60)
    finally:
        del os.environ["GANEDU_PLANTED"]
        server.close()
    (output,) = execution.outputs
    return json.loads(output.text)


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


def test_its_files_are_limited(seen):
    assert seen["large file"] == "OSError"


@pytest.mark.parametrize(
    "module",
    ["ganedu", "ganedu.grading", "ganedu.grading.checks", "os", "ganedu.no_such", "ganedu.../solutions"],
)
def test_a_lab_cannot_allow_grading_or_what_is_not_there(module):
    with pytest.raises(ValueError, match="allow"):
        list(sandbox.visible([module]))


def test_a_package_is_allowed_with_all_below_it_and_a_file_alone():
    names = dict((name, path) for path, name in sandbox.visible(["ganedu.gans", "ganedu.samplers.langevin"]))
    assert names["ganedu/gans"].is_dir()
    assert names["ganedu/samplers/langevin.py"].is_file()
    assert "ganedu/samplers" not in names and "ganedu/samplers/__init__.py" not in names


def test_without_bubblewrap_grading_refuses_and_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.SandboxMissing, match="apt install bubblewrap.*--unsandboxed"):
        sandbox.require_bubblewrap()
