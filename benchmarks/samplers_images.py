"""Images of the best kernel beside those of the published sampler, on the same starts.

Published: MALA with τ = 0.01, 640 steps from each of n draws of the prior, the last state of each. Ours:
fewer chains from the first of the same draws; ten autocorrelation times are thrown away, and then every
third autocorrelation time a state is kept. Chains compute in bfloat16 here, which a processor with matrix
units for it does several times as fast; what is said of their ends is float32's.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.rep_gan_tables import measure
from benchmarks.samplers_gan import GAN, kernel_of, winner
from ganedu import checkpoints, metrics, viz, zoo
from ganedu.data import Images, to_float
from ganedu.gans.precision import half
from ganedu.metrics.frechet import SMALLEST_N
from ganedu.rng import generator
from ganedu.samplers import Langevin, MetropolisHastings, run
from ganedu.targets import LatentTarget

STEPS, STEP_SIZE = 640, 0.01
SAMPLERS = ("prior", "published", "winner")
ON_PAGE = 64


class Size(NamedTuple):
    """Seeds, images of each sampler and seed, chains of the winner."""

    seeds: int = 5
    n: int = 1000
    chains: int = 100
    steps: int = STEPS


QUICK = Size(seeds=2, n=16, chains=8, steps=10)


def jobs(size: Size, rows: dict[str, dict], folder: Path) -> Iterator[tuple[str, Callable[[], dict]]]:
    """(key, what makes its row) of every seed and sampler; the images themselves go to ``folder``."""
    for seed in range(size.seeds):
        for sampler in SAMPLERS:
            yield (
                f"images/{seed}/{sampler}",
                lambda seed=seed, sampler=sampler: image_row(sampler, seed, size, rows, folder),
            )


def stale(rows: dict[str, dict]) -> list[str]:
    """Keys of images of a kernel that is not the best any more."""
    best = rows.get(f"gan/{winner(rows)}", {}).get("kernel")
    return [key for key, row in rows.items() if key.endswith("/winner") and row["kernel"] != best]


def image_row(sampler: str, seed: int, size: Size, rows: dict[str, dict], folder: Path) -> dict:
    """Figures of one sampler's images. Raises LookupError for the winner where there is none yet."""
    name = winner(rows) if sampler == "winner" else sampler
    if name is None:
        raise LookupError("no winner before every kernel has its row: --only gan --resume")
    gan = zoo.load(GAN, device="cpu")
    target = LatentTarget(half(gan), zoo.calibration(GAN), batch_size=250)
    z = target.prior.sample(size.n, generator(seed))
    plan = {"kernel": name, "steps": 0}
    if sampler == "published":
        kernel = MetropolisHastings(Langevin(STEP_SIZE))
        last = run(kernel, target, z, size.steps, size.steps - 1, rng=generator(seed, 1), progress=name).last
        z, plan = last.z, {"kernel": repr(kernel), "steps": size.steps}
    elif sampler == "winner":
        row = rows[f"gan/{name}"]
        time = row["chains"] * row["steps"] / min(row["ess"].values())
        burn_in, thin = math.ceil(10 * time), math.ceil(3 * time)
        steps = burn_in + thin * math.ceil(size.n / size.chains)
        trace = run(
            kernel_of(name, row),
            target,
            z[: size.chains],
            steps,
            burn_in,
            thin,
            generator(seed, 1),
            progress=name,
        )
        z = trace.z.flatten(0, 1)[: size.n]
        plan = {"kernel": row["kernel"], "chains": size.chains}
        plan |= {"steps": steps, "burn_in": burn_in, "thin": thin}
    scorer = zoo.load_classifier(device="cpu")
    figures, pixels = measure(gan.folded(), zoo.card(GAN)["calibration"], z, scorer)
    if size.n >= SMALLEST_N:
        x = Images(pixels)
        figures["frechet_distance"] = metrics.frechet_distance(x, scorer, zoo.feature_statistics()).value
    with torch.no_grad():
        error = target.log_weight(z[:250]) - LatentTarget(gan, target.calibration).log_weight(z[:250])
    figures["bfloat16_error"] = float(error.abs().mean())
    checkpoints.save(file(folder, seed, sampler), {"pixels": pixels[:ON_PAGE]})
    return {"sampler": sampler, "seed": seed, "n": size.n, **plan, **figures}


def page(folder: Path, path: Path, titles: dict[str, str]) -> Path | None:
    """64 images of each sampler of ``titles``, seed 0, side by side; None where they are gone."""
    files = {title: file(folder, 0, sampler) for sampler, title in titles.items()}
    if not all(name.is_file() for name in files.values()):
        return None
    sets = {title: to_float(checkpoints.load(name)[0]["pixels"]) for title, name in files.items()}
    return viz.save(viz.images.compare(sets), path, dpi=160)


def file(folder: Path, seed: int, sampler: str) -> Path:
    return folder / f"{seed}-{sampler}.safetensors"
