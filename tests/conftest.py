"""Fixtures that more than one folder of tests uses."""

import warnings
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ganedu import data

# The same examples every time, however slow the machine: a failure is one that can be had again.
settings.register_profile("ganedu", deadline=None, derandomize=True)
settings.load_profile("ganedu")


class FailuresAtOnce:
    """A line for every failure as it comes: a run that is cut off never gets to pytest's own summary."""

    def __init__(self, config: pytest.Config):
        self.plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message if crash else str(report.longrepr)
            terminal = self.plugins.get_plugin("terminalreporter")
            terminal.write_line(f"\n{report.when} of {report.nodeid} failed: {reason[:500]}")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that has a terminal says what failed, not the workers that it starts."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config))
        # The first import of a day notes the day in the cache, and two workers at once stumble over it.
        with warnings.catch_warnings(), suppress(ImportError):
            warnings.simplefilter("ignore")
            import arviz  # noqa: F401


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``gpu`` is skipped where there is none. Layers that a test makes without a seed have the
    same weights, whatever ran before it."""
    torch.manual_seed(0)
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")


@pytest.fixture(scope="session")
def cifar10_folder() -> Path:
    """CIFAR-10 from ``$GANEDU_DATA``, the cache, or a download; a skip only where none is to be had."""
    try:
        return data.get("cifar10")
    except data.DataNotFound as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mnist_digits() -> data.Images:
    """MNIST's 10,000 test digits, likewise."""
    try:
        return data.mnist("test", download=True)
    except data.DataNotFound as error:
        pytest.skip(str(error))
