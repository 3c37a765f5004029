"""What `ganedu grade --doctor` finds, and what it says where something is missing."""

import json
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from ganedu.grading import doctor
from ganedu.grading.doctor import examine_machine, forbidden, gradebook, lines, report, secret, tried
from ganedu.grading.sandbox import SandboxMissing
from ganedu.grading.trial import Trial, trial

HELD = Trial(processes=3, forks=50, most_forks=64, memory="it used more than 1 GiB of memory")


@pytest.mark.slow
def test_where_grading_runs_the_doctor_has_tried_everything(sandboxed, course):
    found = {finding.what: finding for finding in examine_machine(course)}
    assert not [finding for finding in found.values() if finding.state == "no"]
    assert found["tried: course"].state == "yes"
    names = ("start", "network", "course", "processes", "rights", "memory limit", "process limit")
    assert {f"tried: {name}" for name in names} <= found.keys()
    assert {"bubblewrap", "namespaces", "user", "control groups", "memory", "packages"} <= found.keys()


@pytest.mark.slow
def test_a_trial_sees_a_course_that_lies_open(sandboxed, monkeypatch):
    """One that does not is seen above."""
    monkeypatch.setattr("ganedu.grading.trial.HIDDEN", ("bin",))
    assert trial(Path("/usr")).course


def test_without_bubblewrap_it_says_how_to_get_it_and_tries_nothing(course, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert report(course) == 1
    text = capsys.readouterr().out
    assert "no      bubblewrap: not installed" in text and "apt install bubblewrap" in text
    assert "tried" not in text


@pytest.mark.parametrize("name", ["Darwin", "Windows"])
def test_without_linux_it_names_a_container(course, monkeypatch, capsys, name):
    monkeypatch.setattr(doctor.platform, "system", lambda: name)
    assert report(course, as_json=True) == 1
    first = json.loads(capsys.readouterr().out)[0]
    assert first["state"] == "no" and name in first["gives"] and "docker run" in first["how"]


def test_without_namespaces_it_names_the_switch(course, monkeypatch):
    def refuse():
        raise SandboxMissing("no sandbox: bubblewrap cannot make namespaces here (Operation not permitted)")

    monkeypatch.setattr(doctor, "require_bubblewrap", refuse)
    monkeypatch.setattr(doctor, "forbidden", lambda: "turn it on")
    found = {finding.what: finding for finding in examine_machine(course)}
    assert found["namespaces"].state == "no" and found["namespaces"].how == "turn it on"


@pytest.mark.parametrize(
    "file, content, word",
    [
        ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "Ubuntu 24.04"),
        ("proc/sys/kernel/unprivileged_userns_clone", "0\n", "unprivileged_userns_clone=1"),
        ("proc/sys/user/max_user_namespaces", "0\n", "max_user_namespaces=10000"),
        (".dockerenv", "", "--security-opt seccomp=unconfined"),
        ("run/.containerenv", "", "Kubernetes"),
        ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n", "ask who runs this machine"),
    ],
)
def test_the_switch_that_forbids_namespaces_is_found(tmp_path, file, content, word):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content)
    assert word in forbidden(tmp_path)


def test_a_secret_that_others_read_is_weaker(tmp_path):
    path = tmp_path / "secret"
    assert secret(path).state == "yes"
    path.touch(mode=0o600)
    assert secret(path).state == "yes"
    path.chmod(0o640)
    assert secret(path).state == "weaker" and secret(path).how == f"chmod 600 {path}"


def test_a_gradebook_that_cannot_be_written_is_a_no(tmp_path):
    path = tmp_path / "gradebook.db"
    assert gradebook(path).state == "yes"
    with sqlite3.connect(path) as book:
        book.execute("create table grade (score real)")
    assert gradebook(path).state == "yes"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin exclusive")
    assert gradebook(path).state == "no" and "locked" in gradebook(path).gives
    holder.close()
    path.write_bytes(b"not a gradebook, and longer than a header of SQLite is" * 9)
    assert gradebook(path).state == "no"


def test_packages_off_their_pins_are_named():
    pins = f"numpy=={version('numpy')}\ntorch==0.1\nno-such-package==1.0\n# matplotlib==0.1\n"
    assert list(doctor.unpinned(pins)) == [f"torch {version('torch').split('+')[0]} (0.1)"]


@pytest.mark.parametrize(
    "change, what",
    [
        ({"error": "bwrap: no"}, "start"),
        ({"network": True}, "network"),
        ({"course": True}, "course"),
        ({"processes": 90}, "processes"),
        ({"rights": True}, "rights"),
        ({"memory": None}, "memory limit"),
    ],
)
def test_whatever_a_submission_could_do_is_a_no(change, what):
    assert [f.what for f in tried(HELD._replace(**change)) if f.state == "no"] == [f"tried: {what}"]
    assert all(finding.state == "yes" for finding in tried(HELD))


def test_more_processes_than_allowed_are_weaker():
    (finding,) = (f for f in tried(HELD._replace(forks=64)) if f.state != "yes")
    assert finding.what == "tried: process limit" and finding.state == "weaker"


def test_no_control_groups_is_weaker_and_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(doctor.cgroups, "usable", lambda: None)
    found = {finding.what: finding for finding in doctor._limits()}["control groups"]
    assert found.state == "weaker" and "systemd-run --user --scope" in found.how


def test_findings_are_a_line_and_one_for_what_can_be_done():
    text = list(lines([doctor.Finding("a", "yes", "b"), doctor.Finding("c", "weaker", "d", "do e")]))
    assert text == ["yes     a: b", "weaker  c: d", "        → do e"]
