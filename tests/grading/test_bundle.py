"""What students get: all that they need, nothing of the instructor's, and the same bytes every time."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ganedu.grading.bundle import NAME, bundle, contents
from tests.grading.mini_course import LAB

ROOT = Path(__file__).parents[2]


def git(root, *words):
    command = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def committed(course):
    """The course in git, with strays beside what is tracked."""
    (course / "lectures").mkdir()
    (course / "lectures" / "01.ipynb").write_text(json.dumps({"cells": []}))
    (course / "LICENSE").write_text("MIT")
    (course / ".gitignore").write_text("gradebook.db\n.ganedu\n")
    git(course, "init", "-q")
    git(course, "add", ".")
    git(course, "commit", "-q", "-m", "course")
    for stray in (
        f"labs/{LAB}/answers.py",
        "labs/gradebook.db",
        "lectures/notes.md",
        "submitted/ann/x.ipynb",
    ):
        (course / stray).parent.mkdir(parents=True, exist_ok=True)
        (course / stray).write_text("stray")
    (course / "labs" / LAB / "link.txt").symlink_to(course / "gradebook.db")
    git(course, "add", "-f", f"labs/{LAB}/link.txt")
    return course


def test_only_what_git_knows_and_students_need_is_in_it(committed):
    assert list(contents(committed)) == ["LICENSE", "README.md", "labs/mini/mini.ipynb", "lectures/01.ipynb"]


def test_the_same_course_gives_the_same_bytes_as_a_zip_and_as_a_folder(committed, tmp_path):
    one, two = bundle([], committed, tmp_path / "a.zip"), bundle([LAB], committed, tmp_path / "b.zip")
    assert one.read_bytes() == two.read_bytes()
    folder = bundle([LAB], committed, tmp_path / "folder")
    with zipfile.ZipFile(one) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        for name in archive.namelist():
            assert (folder / name.removeprefix(f"{NAME}/")).read_bytes() == archive.read(name)
    assert bundle([], committed) == committed / "build" / f"{NAME}.zip"


def test_what_cannot_be_bundled_is_said_and_nothing_is_written(committed, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    shutil.copytree(committed / "labs" / LAB, committed / "labs" / "new", symlinks=True)
    (committed / "labs" / "new" / f"{LAB}.ipynb").rename(committed / "labs" / "new" / "new.ipynb")
    for labs, out, said in (
        (["lab99"], "x.zip", "not released: lab99; released: mini, new"),
        (["new"], "x.zip", "new: released and not in git"),
        ([LAB], "taken", "is taken"),
    ):
        with pytest.raises(ValueError, match=said):
            bundle(labs, committed, tmp_path / out)
    with pytest.raises(ValueError, match="no nbgrader_config.py"):
        bundle([], tmp_path, tmp_path / "x.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"course", "taken"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The bundle of this repository."""
    folder = tmp_path_factory.mktemp("bundle")
    with zipfile.ZipFile(bundle([], ROOT, folder / "course.zip")) as archive:
        archive.extractall(folder)
    return folder / NAME


def run(folder, *words):
    command = [sys.executable, *words]
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_nothing_of_the_instructors_is_in_this_repositorys_bundle(unpacked):
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert not [
        n for n in names if n.startswith(("solutions", "tests", "ganedu/grading", "submitted", ".", "build"))
    ]
    assert {"README.md", "LICENSE", "pyproject.toml", "environment.yml", "constraints.txt"} <= names
    assert {"labs/lab10_rep_gan/lab10_rep_gan.ipynb", "ganedu/zoo/cifar10-dcgan.safetensors"} <= names


def test_the_library_of_the_bundle_works_by_itself(unpacked):
    program = (
        "import ganedu, ganedu.check, ganedu.viz, ganedu.samplers.gan, ganedu.zoo, ganedu.data, pathlib;"
        "print(pathlib.Path(ganedu.__file__).parents[1]); print(ganedu.zoo.sha256('cifar10-dcgan')[:4])"
    )
    done = run(unpacked, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(unpacked.resolve())


def test_its_command_lists_only_what_is_there(unpacked):
    done = run(unpacked, "-m", "ganedu", "--help")
    assert done.returncode == 0, done.stderr
    commands = done.stdout.split("Commands:")[1].split("\n")
    assert [line.split()[0] for line in commands if line.startswith("  ") and line[2] != " "] == [
        "sample", "diagnose", "train", "compare", "evaluate", "data",
    ]  # fmt: skip
    assert "ganedu grade" not in done.stdout and "ganedu sample" in done.stdout
    assert run(unpacked, "-m", "ganedu", "data", "list").returncode == 0
