"""What a step of MALA costs on the zoo's GAN: over the bare passes, and as chains are added."""

import multiprocessing
import statistics
from collections.abc import Callable, Iterator

import torch

from benchmarks import step_cost
from ganedu import zoo
from ganedu.rng import generator
from ganedu.samplers import Langevin, MetropolisHastings
from ganedu.targets import LatentTarget

GAN = "cifar10-dcgan"
CHAINS = (32, 64, 128, 256, 512, 1024)


def cost_jobs(quick: bool) -> Iterator[tuple[str, Callable[[], dict]]]:
    """(key, what makes its row)."""
    yield "cost/MALA", lambda: step_cost.measure(batch=64, pairs=5 if quick else 60, name=GAN)


def scaling_jobs(quick: bool) -> Iterator[tuple[str, Callable[[], dict]]]:
    """(key, what makes its row), one for each number of chains."""
    for chains in CHAINS[:2] if quick else CHAINS:
        yield f"scaling/{chains}", lambda chains=chains: apart(chains, 3 if quick else 9)


def apart(chains: int, repeats: int) -> dict:
    """``step`` in a process of its own, so that its memory is nobody else's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step, (chains, repeats))


def step(chains: int, repeats: int) -> dict:
    """Median seconds of a step of all chains together, and the memory (MiB) that it takes at most, less
    what the process had before it had chains. Linux only."""
    gan = zoo.load(GAN, device="cpu").folded()
    target, kernel = LatentTarget(gan, zoo.calibration(GAN)), MetropolisHastings(Langevin(0.01))
    kernel.init(target, gan.prior(1, generator(0)))  # loads what a first pass loads
    before = peak_mib()
    state = kernel.init(target, gan.prior(chains, generator(0)))

    def once() -> None:
        kernel.step(target, state, generator(0, 1))

    once()
    times = [step_cost.seconds(once) for _ in range(repeats)]
    return {
        "chains": chains,
        "seconds": statistics.median(times),
        "mib": peak_mib() - before,
        "threads": torch.get_num_threads(),
    }


def peak_mib() -> float:
    """The most that this process has had in memory (getrusage would count its parent's, too)."""
    with open("/proc/self/status", encoding="ascii") as lines:
        line = next(line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
