"""What a submission may use, all its processes together: control groups where there are any, else a watch."""

import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from ganedu.grading import cgroups, confined
from ganedu.grading.cgroups import Group, Parents, parents, sweep, usable
from ganedu.grading.kernel import Kernel
from ganedu.grading.sandbox import MIB, Limits
from ganedu.grading.watch import Usage, Watch, beyond, size, usage

SMALL = Limits(memory=512 * MIB, processes=40)
PATIENCE = 600  # seconds that nothing here takes, on a slow machine neither
# None of its processes reaches the limit, and all of them together do.
TOGETHER = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(b"1") * (120 << 20)
        time.sleep(600)
time.sleep(600)
"""
IN_FILES = """
for name in "abc":
    open(f"/dev/shm/{name}" if name == "a" else f"/tmp/{name}", "wb").write(b"1" * (60 << 20))
kept = bytearray(b"1") * (300 << 20)
import time; time.sleep(600)
"""
FORKS = """
import os, time
n = 0
try:
    while True:
        if os.fork() == 0: time.sleep(600)
        n += 1
except OSError:
    print(n)
"""


@pytest.fixture(params=["groups", "watch"])
def limited(request, sandboxed, monkeypatch):
    """Kernels whose memory is limited in either way."""
    if request.param == "watch":
        monkeypatch.setattr(confined, "_groups", lambda: None)
    elif usable() is None:
        pytest.skip("no control groups: none that this user may make groups in")


@pytest.mark.slow
@pytest.mark.parametrize("code", [TOGETHER, IN_FILES])
def test_memory_is_limited_for_all_processes_and_files_together(limited, code):
    with Kernel((), SMALL) as sandbox:
        assert sandbox.why_dead is None
        assert sandbox.run(code, PATIENCE).status == "dead"
        assert sandbox.why_dead == "it used more than 512 MiB of memory"


@pytest.mark.slow
def test_processes_are_limited_together(limited):
    with Kernel((), SMALL) as sandbox:
        (output,) = sandbox.run(FORKS, PATIENCE).outputs
    assert 10 <= int(output.text) < SMALL.processes


def test_a_kernel_says_what_ended_it(sandboxed):
    with Kernel((), Limits()) as sandbox:
        assert sandbox.run("import ctypes; ctypes.string_at(0)", PATIENCE).status == "dead"
        assert sandbox.why_dead == "it was ended by SIGSEGV"
    assert sandbox.why_dead == "it was ended by SIGSEGV"


def test_a_kernel_outlives_the_thread_that_asked_for_it_and_says_nothing_if_we_end_it(sandboxed):
    made = []
    thread = threading.Thread(target=lambda: made.append(Kernel((), Limits())))
    thread.start()
    thread.join()
    with made[0] as sandbox:
        assert sandbox.run("1", PATIENCE).status == "ok"
        sandbox.kill()
        assert sandbox.why_dead is None


def test_groups_go_with_their_kernel(sandboxed):
    if usable() is None:
        pytest.skip("no control groups: none that this user may make groups in")
    sandbox = Kernel((), Limits())
    try:
        folders = sandbox.confined.group.folders
        deadline = time.monotonic() + PATIENCE  # it is in them before it is anything else
        while not all((folder / "cgroup.procs").read_text().strip() for folder in folders):
            assert time.monotonic() < deadline and sandbox.alive
            time.sleep(0.01)
    finally:
        sandbox.close()
    assert not any(folder.exists() for folder in folders)


# Version 2 is not on every machine: these read and write a tree of plain files in its place.


def tree(top, own, controllers="memory pids cpu", kind="cgroup2"):
    """A /proc/self and a version 2 hierarchy at `top`/cgroup whose group `own` is ours; returns both."""
    proc, mount = top / "proc", top / "cgroup"
    proc.mkdir()
    (mount / own).mkdir(parents=True)
    (proc / "cgroup").write_text(f"0::/{own}\n")
    (proc / "mountinfo").write_text(f"30 20 0:26 / {mount} rw,nosuid - {kind} {kind} rw,nsdelegate\n")
    for folder in (mount / own, *(mount / own).parents):
        if folder.is_relative_to(mount):
            (folder / "cgroup.procs").touch()
            handed_on = folder != mount / own
            (folder / "cgroup.subtree_control").write_text(controllers if handed_on else "")
    return proc, mount


def test_in_version_2_groups_are_made_beside_our_own(tmp_path):
    proc, mount = tree(tmp_path, "user.slice/app.slice/run.scope")
    place = parents(proc)
    assert place.version == 2 and place.controllers == ["cpu", "memory", "pids"]
    assert set(place.folders.values()) == {mount / "user.slice/app.slice"}


@pytest.mark.parametrize("controllers", ["", "cpu io", "memory"])
def test_a_hierarchy_that_hands_on_no_memory_or_processes_is_none(tmp_path, controllers):
    proc, _ = tree(tmp_path, "a/b", controllers)
    assert parents(proc) is None


def test_no_hierarchy_or_no_proc_is_none(tmp_path):
    proc, _ = tree(tmp_path, "a", kind="tmpfs")
    assert parents(proc) is None and parents(tmp_path / "nowhere") is None


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_hierarchy_that_we_may_not_write_is_none(tmp_path):
    proc, mount = tree(tmp_path, "a/b")
    for folder in (mount, mount / "a"):
        (folder / "cgroup.procs").chmod(0o444)
    assert parents(proc) is None


def test_version_1_needs_memory_and_takes_what_else_there_is(tmp_path):
    proc = tmp_path / "proc"
    proc.mkdir()
    lines = []
    for number, name in enumerate(("memory", "cpu,cpuacct", "pids")):
        (tmp_path / name / "mine").mkdir(parents=True)
        lines.append(f"3{number} 20 0:26 /box {tmp_path / name} rw - cgroup cgroup rw,{name}")
    (proc / "mountinfo").write_text("\n".join(lines))
    (proc / "cgroup").write_text("4:memory:/box/mine\n3:cpu,cpuacct:/box/mine\n2:pids:/elsewhere\n0::/\n")
    place = parents(proc)
    assert place.version == 1
    names = {name: str(folder.relative_to(tmp_path)) for name, folder in place.folders.items()}
    assert names == {"memory": "memory/mine", "cpu": "cpu,cpuacct/mine", "pids": "pids"}
    (proc / "cgroup").write_text("2:pids:/elsewhere\n")
    assert parents(proc) is None


def fake_group(tmp_path, version=2, **settings):
    folder = tmp_path / "app.slice"
    folder.mkdir()
    return Group(Parents(version, dict.fromkeys(("memory", "pids", "cpu"), folder)), **settings)


@pytest.mark.parametrize("version", [1, 2])
def test_limits_are_written_into_the_group(tmp_path, version, monkeypatch):
    monkeypatch.setattr(cgroups, "PATIENCE", 0.0)
    group = fake_group(tmp_path, version, memory=1 << 30, processes=9, cpus=1.5)
    (folder,) = group.folders
    found = {path.name: path.read_text() for path in folder.iterdir()}
    quota = {"cpu.max": "150000 100000"}
    quota = quota if version == 2 else {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    assert found == {name: str(1 << 30), "pids.max": "9", **quota}  # swap is limited where it can be
    words = group.enter(["cat", "it's mine"])
    assert subprocess.run(words[:-2] + ["echo", "in"], capture_output=True, text=True).stdout == "in\n"
    assert (folder / "cgroup.procs").read_text() == "0\n"


def test_groups_that_cannot_be_made_or_entered_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "parents", lambda: Parents(2, {"memory": tmp_path / "missing"}))
    assert usable() is None
    monkeypatch.setattr(cgroups, "parents", lambda: Parents(2, {"memory": tmp_path}))
    monkeypatch.setattr(cgroups, "PATIENCE", 0.0)
    assert usable().folders == {"memory": tmp_path}
    monkeypatch.setattr(Group, "enter", lambda self, words: ["false"])
    assert usable() is None
    monkeypatch.setattr(cgroups, "parents", lambda: None)
    assert usable() is None


@pytest.mark.parametrize("version", [1, 2])
def test_the_systems_kills_are_read(tmp_path, version):
    group = fake_group(tmp_path, version, memory=1, processes=1, cpus=1.0)
    (folder,) = group.folders
    assert group.memory_kills == 0
    name = "memory.events" if version == 2 else "memory.oom_control"
    (folder / name).write_text("max 7\noom 3\noom_kill 2\n")
    assert group.memory_kills == 2


def test_a_group_that_cannot_be_made_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def refuse(folder, settings):
        raise OSError("the system says no")

    monkeypatch.setattr(cgroups, "_write", refuse)
    with pytest.raises(OSError, match="says no"):
        fake_group(tmp_path, memory=1, processes=1, cpus=1.0)
    assert list((tmp_path / "app.slice").iterdir()) == []


@pytest.mark.slow
def test_a_kernel_without_a_group_after_all_is_watched(sandboxed, monkeypatch):
    def refuse(*_):
        raise OSError("the system says no")

    monkeypatch.setattr(confined, "_groups", lambda: Parents(2, {}))
    monkeypatch.setattr(cgroups, "Group", refuse)
    with Kernel((), SMALL) as sandbox:
        assert sandbox.run(TOGETHER, PATIENCE).status == "dead"


def test_a_start_sweeps_what_a_killed_run_has_left(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {f"ganedu-{ended.pid}-ab": False, f"ganedu-{os.getpid()}-ab": True, "ganedu-x": True, "b": True}
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / f"ganedu-{ended.pid}-full" / "process").mkdir(parents=True)
    sweep(Parents(2, {"memory": tmp_path, "pids": tmp_path}))
    assert {name: (tmp_path / name).exists() for name in names} == names
    assert (tmp_path / f"ganedu-{ended.pid}-full").exists()


def test_usage_is_that_of_all_processes():
    program = "kept = bytearray(b'1') * (50 << 20); print(flush=True); import time; time.sleep(600)"
    family = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    with subprocess.Popen([sys.executable, "-c", family], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        used = usage(process.pid)
        for one in (*psutil.Process(process.pid).children(), process):
            one.kill()
    assert used.memory > 50 * MIB and used.processes == 2
    assert usage(process.pid) == Usage(0, 0.0, 0)


@pytest.mark.parametrize(
    "used, why",
    [
        (Usage(5, 1.0, 1), "it used more than 0 MiB of memory"),
        (Usage(1, 9.0, 1), "it used more than 2 s of processor time"),
        (Usage(1, 1.0, 4), "it started more than 3 processes"),
        (Usage(4, 2.0, 3), None),
    ],
)
def test_a_watch_says_what_is_too_much(used, why):
    assert beyond(used, Usage(4, 2.0, 3)) == why


def test_a_watch_ends_what_takes_too_long_and_stops_when_told():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    idle = subprocess.Popen(["sleep", str(PATIENCE)])
    most = Usage(1 << 40, 0.3, 9)
    watches = [Watch(partial(excess, p.pid, most), p.kill) for p in (busy, idle)]
    assert busy.wait(PATIENCE) == -9
    watches[0].join(PATIENCE)
    assert watches[0].why == "it used more than 0 s of processor time"
    watches[1].stop()
    watches[1].join(PATIENCE)
    assert idle.poll() is None and watches[1].why is None
    idle.kill()
    idle.wait()


def excess(pid, most):
    return beyond(usage(pid), most)


def test_sizes_are_said_in_words():
    assert [size(n) for n in (2 << 30, 3 << 29, 768 << 20)] == ["2 GiB", "1.5 GiB", "768 MiB"]


@pytest.mark.slow
def test_what_a_killed_grader_leaves_ends_and_its_group_is_swept(sandboxed):
    if usable() is None:
        pytest.skip("no control groups: none that this user may make groups in")
    program = (
        "from ganedu.grading.kernel import Kernel; from ganedu.grading.sandbox import Limits\n"
        "k = Kernel((), Limits()).ready(); print(*k.confined.group.folders, flush=True); input()"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as grader:
        folders = [Path(word) for word in grader.stdout.readline().split()]
        assert all((folder / "cgroup.procs").read_text() for folder in folders)
        grader.kill()
    deadline = time.monotonic() + PATIENCE
    while any((f / "cgroup.procs").read_text() for f in folders) and time.monotonic() < deadline:
        time.sleep(0.1)
    sweep(parents())
    assert folders and not any(folder.exists() for folder in folders)


def test_whoever_cannot_be_watched_is_not_let_run():
    ended = threading.Event()

    def look():
        raise MemoryError("no room to look")

    watch = Watch(look, ended.set)
    assert ended.wait(PATIENCE) and watch.why == "it could not be watched: no room to look"
