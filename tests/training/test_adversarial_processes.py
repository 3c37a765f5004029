"""Games that are killed, and games of which processes share the work: each a real process."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.adversarial_worker import SIMULTANEOUS, SLOW
from tests.training.games import LONG, RECIPE, networks, play
from tests.training.test_processes import ENVIRONMENT, ROOT, distance, lines, two_processes
from tests.training.tiny import equal, tensors

pytestmark = pytest.mark.slow


def start(folder: Path, killed: str = "from outside") -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.training.adversarial_worker", "one", str(folder), killed]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE)


def test_a_game_that_is_killed_again_and_again_ends_bit_for_bit_as_one_that_is_not(tmp_path):
    """Twice at a random moment, twice with half of a file on the disk: of the networks, and of the state."""
    folder, chance = tmp_path / "killed", random.Random(0)
    for _ in range(2):
        process, before = start(folder), lines(folder)
        while process.poll() is None and lines(folder) < before + chance.randint(4, 9):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.06))
        process.kill()
        error = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, error
    for files in (4, 5):
        process = start(folder, str(files))
        error = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, error
        assert len(list(folder.glob("*.safetensors.part"))) == 1
    last = start(folder)
    error = last.communicate()[1].decode()
    assert last.returncode == 0, error

    play(tmp_path / "whole", LONG, networks(norm=True), game=SLOW)
    assert equal(tensors(tmp_path / "whole"), tensors(folder))
    parts = {name.split(".")[0] for name in tensors(folder)}
    assert parts == {"generator", "critic", "average", "critic optimiser", "generator optimiser"}
    for name in ("loss.csv", "networks.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes(), name
    names = {path.name for path in folder.iterdir()}
    assert names == {"state.safetensors", "networks.safetensors", "loss.csv", "loss.png"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Games played by two processes that torchrun starts."""
    return two_processes("tests.training.adversarial_worker", tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize("way", ["alternating", "simultaneous"])
def test_two_processes_compute_what_one_does(way, shared, tmp_path):
    """Batches of 7: four rows for the one, three for the other. The numbers are sums in another order:
    1e-5 is a hundred roundings of float32."""
    play(tmp_path, RECIPE if way == "alternating" else SIMULTANEOUS)
    assert distance(shared / way, tmp_path) < 1e-5
    ours, theirs = ((folder / "loss.csv").read_text().split() for folder in (tmp_path, shared / way))
    for one, two in zip(ours[1:], theirs[1:], strict=True):
        assert [float(x) for x in one.split(",")] == pytest.approx(
            [float(x) for x in two.split(",")], abs=1e-5
        )


def test_what_two_processes_might_do_wrong_is_seen(shared, tmp_path):
    play(tmp_path)
    assert distance(shared / "by noise", tmp_path) > 1e-3
    assert distance(shared / "not added", tmp_path) > 1e-3
    assert distance(shared / "other start", tmp_path) < 1e-5, "the first process's weights are everyone's"
    assert distance(shared / "start apart", tmp_path) > 1e-3


def test_processes_with_batch_norm_return_the_same_networks(shared):
    one, two = (torch.load(shared / f"norm-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert equal(one, two)
