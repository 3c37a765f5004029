"""Processes that are killed, and processes that share the work: each a real one."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganedu import checkpoints
from ganedu.rng import generator
from ganedu.training.batches import HELD_OUT
from ganedu.training.files import read_columns
from tests.training.tiny import KINDS, RECIPE, Network, equal, fit, furthest, points, tensors
from tests.training.worker import COSINE, LONG, LONG_COSINE, Slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
pytestmark = pytest.mark.slow


def start(folder: Path, killed: str = "from outside", schedule: str = "constant") -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.training.worker", "one", str(folder), schedule, killed]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE)


def lines(folder: Path) -> int:
    path = folder / "loss.csv"
    return len(path.read_text().splitlines()) if path.exists() else 0


def killed_after(folder: Path, more: int, seconds: float, schedule: str = "constant") -> None:
    """Let a run add ``more`` lines to loss.csv, wait a little, and kill it."""
    process, before = start(folder, schedule=schedule), lines(folder)
    while process.poll() is None and lines(folder) < before + more:
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    error = process.communicate()[1].decode()
    assert process.returncode == -signal.SIGKILL, error


def test_a_run_that_is_killed_again_and_again_ends_bit_for_bit_as_one_that_is_not(tmp_path):
    """Three times at a random moment, twice with half of a file on the disk: of the best weights, and
    of the state that says that they are whole."""
    folder, chance = tmp_path / "killed", random.Random(0)
    for _ in range(3):
        killed_after(folder, more=chance.randint(4, 12), seconds=chance.uniform(0.0, 0.06))
    for files in (4, 5):
        process = start(folder, str(files))
        error = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, error
        assert len(list(folder.glob("*.safetensors.part"))) == 1
    last = start(folder)
    assert last.communicate() and last.returncode == 0

    fit("denoising", tmp_path / "whole", LONG, objective=Slow())
    assert equal(tensors(tmp_path / "whole"), tensors(folder))
    parts = {name.split(".")[0] for name in tensors(folder)}
    assert parts == {"model", "adam", "average", "best"}
    for name in ("loss.csv", "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes(), name
    assert lines(folder) == 1 + 1200 // 15
    names = {path.name for path in folder.iterdir()}
    assert names == {"state.safetensors", "best.safetensors", "loss.csv", "loss.png"}


def test_a_cosine_that_is_killed_ends_bit_for_bit_as_one_that_is_not(tmp_path):
    """Its rate depends on the step alone. Power: the whole run with a constant rate ends elsewhere."""
    folder = tmp_path / "killed"
    killed_after(folder, more=9, seconds=0.01, schedule="cosine")
    killed_after(folder, more=14, seconds=0.03, schedule="cosine")
    last = start(folder, schedule="cosine")
    error = last.communicate()[1].decode()
    assert last.returncode == 0, error
    fit("denoising", tmp_path / "whole", LONG_COSINE, objective=Slow())
    assert equal(tensors(tmp_path / "whole"), tensors(folder))
    for name in ("loss.csv", "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes(), name
    fit("denoising", tmp_path / "constant", replace(LONG_COSINE, schedule="constant"))
    assert furthest(tensors(tmp_path / "constant"), tensors(folder)) > 1e-3


def two_processes(worker: str, folder: Path) -> Path:
    """``folder``, with what the module ``worker`` leaves there when torchrun starts two of it."""
    pytest.importorskip("lightning_fabric")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launcher, "-m", worker, "several", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Both kinds of loss, fitted by two processes that torchrun starts."""
    return two_processes("tests.training.worker", tmp_path_factory.mktemp("shared"))


def distance(folder: Path, alone: Path) -> float:
    """Of all that is kept of two runs."""
    return furthest(tensors(folder), tensors(alone))


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_compute_what_one_does_and_the_test_sees_what_they_might_do_wrong(
    kind, shared, tmp_path
):
    """Batches of 7: four rows for the one, three for the other. The numbers are sums in another order:
    1e-5 is a hundred roundings of float32."""
    fit(kind, tmp_path)
    assert distance(shared / kind, tmp_path) < 1e-5
    assert distance(shared / f"{kind} by mean", tmp_path) > 1e-3
    by_noise = distance(shared / f"{kind} by noise", tmp_path)
    assert by_noise > 1e-3 if kind == "denoising" else by_noise < 1e-5
    ours, theirs = ((folder / "loss.csv").read_text().split() for folder in (tmp_path, shared / kind))
    for one, two in zip(ours[1:], theirs[1:], strict=True):
        assert [float(x) for x in one.split(",")] == pytest.approx(
            [float(x) for x in two.split(",")], abs=1e-5
        )


def test_two_processes_follow_the_same_cosine_as_one(shared, tmp_path):
    fit("denoising", tmp_path, COSINE)
    assert distance(shared / "cosine", tmp_path) < 1e-5
    assert distance(shared / "denoising", tmp_path) > 1e-3, "a constant rate ends elsewhere"


def test_processes_with_batch_norm_return_the_same_model_the_one_that_was_judged(shared):
    """The first process's statistics. Power: without sharing them, each process has its own."""
    one, two = (checkpoints.load(shared / f"norm-{rank}.safetensors")[0] for rank in (0, 1))
    assert equal(one, two)
    best, _ = checkpoints.load(shared / "norm" / "best.safetensors")
    assert equal({f"model.{name}": value for name, value in one.items()}, best)
    one, two = (checkpoints.load(shared / f"norm apart-{rank}.safetensors")[0] for rank in (0, 1))
    assert not equal(one, two)
    again = Network(norm=True)
    checkpoints.unpack(best, model=again)
    again.eval()
    total, held_out, exact = 0.0, points(20, seed=1), KINDS["denoising"][1]
    with torch.no_grad():
        for i, x in enumerate(held_out.split(RECIPE.batch_size)):
            total += exact.loss(again, *exact.draw(x, generator(RECIPE.seed, HELD_OUT, i))).sum().item()
    judged = min(read_columns(shared / "norm" / "loss.csv")["held_out"])
    assert judged == pytest.approx(total / 20, rel=1e-5)


def test_fewer_rows_than_processes_are_refused(monkeypatch, tmp_path):
    from ganedu.training import mle

    class Fabric:
        global_rank, world_size, device = 0, 8, "cpu"

    monkeypatch.setattr(mle, "launch", lambda device: Fabric)
    with pytest.raises(ValueError, match="batch_size: expected at least 8, a row a process, got 7"):
        fit("likelihood", tmp_path)
