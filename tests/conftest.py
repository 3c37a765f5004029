"""Fixtures that more than one folder of tests uses."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ganedu import data

# The same examples every time, however slow the machine: a failure is one that can be had again.
settings.register_profile("ganedu", deadline=None, derandomize=True)
settings.load_profile("ganedu")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``gpu`` is skipped where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")


@pytest.fixture(scope="session")
def cifar10_folder() -> Path:
    """CIFAR-10 from ``$GANEDU_DATA``, the cache, or a download; a skip only where none is to be had."""
    try:
        return data.get("cifar10")
    except data.DataNotFound as error:
        pytest.skip(str(error))
