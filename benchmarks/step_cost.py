"""What a REP-GAN step costs, as a multiple of the work that nothing can avoid.

    python -m benchmarks.step_cost [--batch 64] [--pairs 60]

Bare = one forward and backward pass of D∘G on the batch, through the same folded modules, with
the same threads; MALA = one step of ``MetropolisHastings(Langevin)`` on the latent target with
the zoo's calibration. The two are timed in turn, and the figure is the median of the ratios, so
that a machine whose speed drifts does not decide. A matrix product gives the machine's own rate.
Writes benchmarks/results/step_cost.json.
"""

import time
from typing import Annotated

import torch
import typer

from benchmarks.files import RESULTS, machine, write_json
from ganedu import zoo
from ganedu.rng import generator
from ganedu.samplers import Langevin, MetropolisHastings
from ganedu.targets import LatentTarget


def main(
    batch: Annotated[int, typer.Option(min=1, help="Chains.")] = 64,
    pairs: Annotated[int, typer.Option(min=3, help="Timed pairs.")] = 60,
    name: Annotated[str, typer.Option(help="A GAN of the zoo.")] = "cifar10-dcgan",
) -> None:
    """Time bare and MALA in turn."""
    result = measure(batch, pairs, name)
    path = write_json(RESULTS / "step_cost.json", result)
    print(f"a REP-GAN step costs {result['mala_over_bare']:.3f} times bare D∘G ({path})")


def measure(batch: int, pairs: int, name: str) -> dict:
    """The figures, of ``pairs`` timed pairs on ``batch`` chains."""
    gan = zoo.load(name, device="cpu").folded()
    target = LatentTarget(gan, zoo.calibration(name))
    kernel = MetropolisHastings(Langevin(0.01))
    state = kernel.init(target, gan.prior(batch, generator(0)))

    def bare() -> None:
        z = state.z.detach().requires_grad_()
        torch.autograd.grad(gan.discriminator(gan.generator(z)).sum(), z)

    def mala() -> None:
        kernel.step(target, state, generator(0, 1))

    for _ in range(5):
        bare(), mala()
    times = torch.tensor([(seconds(bare), seconds(mala)) for _ in range(pairs)], dtype=torch.float64)
    ratios = times[:, 1] / times[:, 0]
    return {
        "mala_over_bare": float(ratios.median()),
        "mala_over_bare_quartiles": torch.quantile(ratios, torch.tensor([0.25, 0.75]).double()).tolist(),
        "bare_seconds": float(times[:, 0].median()),
        "mala_seconds": float(times[:, 1].median()),
        "matrix_product_gflops": matrix_product_rate(),
        "batch": batch,
        "pairs": pairs,
        "network": name,
        "sha256": zoo.sha256(name),
        "machine": machine(),
    }


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def matrix_product_rate(size: int = 1024, repeats: int = 10) -> float:
    """float32 GFLOP/s of a square matrix product: the best of ``repeats``."""
    a = torch.randn(size, size, generator=generator(0))
    return 2 * size**3 / min(seconds(lambda: a @ a) for _ in range(repeats)) / 1e9


if __name__ == "__main__":
    typer.run(main)
