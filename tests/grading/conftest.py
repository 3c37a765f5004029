"""A graded course, made once: kernels take seconds to start."""

import shutil

import pytest

from ganedu.grading import release
from ganedu.grading.sandbox import SandboxMissing, require_bubblewrap
from tests.grading.mini_course import write_course


@pytest.fixture(scope="session")
def sandboxed():
    """Skips where this machine cannot isolate a submission; grading itself refuses there."""
    try:
        require_bubblewrap()
    except SandboxMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def released_course(tmp_path_factory):
    root = write_course(tmp_path_factory.mktemp("released"))
    release("mini", root)
    return root


@pytest.fixture
def course(released_course, tmp_path):
    """A released course of one's own."""
    return shutil.copytree(released_course, tmp_path / "course")
