"""Tables 2 and 3 of REP-GAN (seed slide 000) on our checkpoints: paired, with intervals.

    python -m benchmarks.rep_gan_tables --run DIR    # the five last epochs of a training run
    python -m benchmarks.rep_gan_tables --quick      # the zoo's pair only; about ten minutes
    python -m benchmarks.rep_gan_tables --report     # tables and plot again, from what is there
    python -m benchmarks.rep_gan_tables --pair cifar10-sngan --last 1    # of another pair, its last epoch

``--precision bfloat16`` draws four times as fast where the processor has matrix units for it.

For each epoch, seed and calibration (with and without the ceiling), GAN, DRS, MH-GAN, DDLS and
REP-GAN draw n images, the chains from the GAN's own draws. Every finished cell is kept in
benchmarks/results/rep_gan_tables.json (of another pair: rep_gan_tables_cifar10-sngan.json; ``--quick`` writes
to the cache), its images in the cache; run the command again to go on. DIR holds epoch-NN.safetensors as
`ganedu train cifar10-dcgan --out DIR` leaves them. The page of another pair has the DCGAN's figures of the
same epochs beside its own.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from tqdm.auto import tqdm

from benchmarks import rep_gan_report
from benchmarks.files import RESULTS, machine, write_json
from benchmarks.rep_gan_report import DCGAN, PAPER_EPOCHS
from ganedu import checkpoints, metrics, zoo
from ganedu.data import DataNotFound, Images, cache_dir, cifar10, to_bytes
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic
from ganedu.metrics.frechet import SMALLEST_N
from ganedu.rng import generator
from ganedu.samplers import gan as samplers
from ganedu.zoo import pairs as of_zoo
from ganedu.zoo.publish import calibrate

STEPS, STEP_SIZE = 640, 0.01
Pairs = dict[str, tuple[GAN, dict]]  # by epoch, with its calibration
# Without a ceiling the largest logit decides how rarely DRS accepts, and may leave it nothing.
DRS_PROPOSALS = 300_000


class Bfloat16(nn.Module):
    """A network that computes in bfloat16 between float32 ends.

    Four times as fast where the processor has bfloat16 matrix units. The chain is then exact for
    the density that bfloat16 arithmetic evaluates; what is reported of its draws is float32's.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.bfloat16()).float()


def in_bfloat16(gan: GAN) -> GAN:
    folded = gan.folded()  # in float32, before rounding
    return GAN(Bfloat16(folded.generator), Bfloat16(folded.discriminator), gan.latent_dim).frozen()


def draw(
    sampler: str, gan: GAN, calibration: Logistic, n: int, rng: torch.Generator
) -> tuple[Tensor, float, int]:
    """(z (n, d), acceptance rate, backward passes) of one sampler."""
    chain = dict(calibration=calibration, steps=STEPS, rng=rng, progress=sampler)
    match sampler:
        case "GAN":  # the first use of the generator, so these are the others' starts
            return gan.prior(n, rng), 1.0, 0
        case "DRS":
            draws = samplers.drs(gan, n, calibration=calibration, max_proposals=DRS_PROPOSALS, rng=rng)
        case "MH-GAN":
            draws = samplers.mh_gan(gan, n, **chain)
        case "DDLS":
            draws = samplers.ddls(gan, n, step_size=STEP_SIZE, **chain)
        case "REP-GAN":
            draws = samplers.rep_gan(gan, n, step_size=STEP_SIZE, **chain)
    return draws.z, draws.accept_rate, draws.evaluations.gradient


def measure(gan: GAN, fit: dict, z: Tensor, scorer: nn.Module) -> tuple[dict, Tensor]:
    """What float32 says of the images of ``z``: figures, and the images as bytes."""
    calibration = Logistic(fit["scale"], fit["offset"], fit["ceiling"])
    with torch.no_grad():
        x = gan.generator(z)
        logit = gan.logit(x)
    uncapped = calibration.uncapped(logit)
    return {
        "score": metrics.classifier_score(x, scorer).value,
        "mean_logit": float(calibration(logit).mean()),
        "median_uncapped_logit": float(uncapped.median()),
        "outliers": metrics.outlier_share(uncapped, fit["outlier_logit"]),
    }, to_bytes(x)


def run_cells(
    name: str, pairs: Pairs, seeds: Iterable[int], n: int, precision: str, path: Path, images: Path
) -> None:
    """Every cell of the pair ``name``, by epoch, that ``path`` does not have yet, saved as it comes."""
    settings = {"n": n, "steps": STEPS, "step_size": STEP_SIZE, "precision": precision}
    found = json.loads(path.read_text()) if path.exists() else {"settings": settings, "cells": []}
    if found["settings"] != settings:
        raise typer.BadParameter(f"{path} holds {found['settings']}, not {settings}; remove it first")
    done = {(c["epoch"], c["seed"], c["ceiling"], c["sampler"]) for c in found["cells"]}
    scorer = zoo.load_classifier(device="cpu")
    found |= {"classifier": scorer.sha256, "machine": machine(), "data": zoo.card(name)["data"], "pair": name}
    for epoch, (_, fit) in pairs.items():
        known = found.setdefault("calibrations", {}).setdefault(epoch, fit)
        if abs(known["scale"] / fit["scale"] - 1.0) > 1e-3:
            raise typer.BadParameter(
                f"{path} holds cells of other networks for epoch {epoch}; remove it first"
            )
    # Whole rounds first: of a run that is cut short, the report uses the seeds that are complete.
    plan = [
        (epoch, seed, ceiling, sampler)
        for seed in seeds
        for ceiling in (True, False)
        for epoch in pairs
        for sampler in rep_gan_report.SAMPLERS
    ]
    for cell in tqdm([cell for cell in plan if cell not in done], desc="cells"):
        epoch, seed, ceiling, sampler = cell
        gan, fit = pairs[epoch]
        calibration = Logistic(fit["scale"], fit["offset"], fit["ceiling"])
        calibration = calibration if ceiling else calibration.without_ceiling()
        fast = in_bfloat16(gan) if precision == "bfloat16" else gan
        started = time.perf_counter()
        row = dict(zip(("epoch", "seed", "ceiling", "sampler"), cell, strict=True))
        try:
            z, rate, gradients = draw(sampler, fast, calibration, n, generator(seed))
        except RuntimeError as error:  # of drs, which ran out of proposals
            row |= {"failed": str(error)}
        else:
            seconds = round(time.perf_counter() - started, 2)
            figures, pixels = measure(gan, fit, z, scorer)
            checkpoints.save(images / cell_name(*cell), {"pixels": pixels, "z": z})
            row |= {"accept_rate": rate, "gradients": gradients, "seconds": seconds, **figures}
        found["cells"].append(row)
        write_json(path, found)


def pool(path: Path, images: Path) -> None:
    """Add to ``path`` what needs more images than a cell has: all epochs and seeds of a sampler together.

    One mixture of the same networks and starts for every sampler; left out where images are gone
    or fewer than a Frechet distance takes.
    """
    found = rep_gan_report.complete(json.loads(path.read_text()))
    scorer, statistics = zoo.load_classifier(device="cpu"), zoo.feature_statistics()
    rows = []
    for ceiling in (True, False):
        for sampler in rep_gan_report.SAMPLERS:
            names = [
                cell_name(cell["epoch"], cell["seed"], ceiling, sampler)
                for cell in found["cells"]
                if (cell["ceiling"], cell["sampler"]) == (ceiling, sampler) and "failed" not in cell
            ]
            if not all((images / name).is_file() for name in names):
                continue
            x = Images(torch.cat([checkpoints.load(images / name)[0]["pixels"] for name in names]))
            if len(x) < SMALLEST_N:
                continue
            distance = metrics.frechet_distance(x, scorer, statistics).value
            score = metrics.classifier_score(x, scorer)
            rows.append({"ceiling": ceiling, "sampler": sampler, "n": len(x), "frechet_distance": distance})
            rows[-1] |= {"score": score.value, "standard_error": score.standard_error}
    if rows:
        write_json(path, json.loads(path.read_text()) | {"pooled": rows})


def cell_name(epoch: str, seed: int, ceiling: bool, sampler: str) -> str:
    return f"{epoch}-{seed}-{'ceiling' if ceiling else 'unbounded'}-{sampler}.safetensors"


def checkpoint_pairs(name: str, run: Path, last: int) -> Pairs:
    """The pair of each of the ``last`` kept epochs with its own calibration on the held-out images."""
    paths = sorted(run.glob("epoch-*.safetensors"))[-last:]
    if not paths:
        raise DataNotFound(f"no epoch-NN.safetensors in {run}; make them: ganedu train {name} --out {run}")
    held_out = cifar10("calibration")
    return {
        path.stem.removeprefix("epoch-"): (
            pair := of_zoo.of_checkpoint(name, path),
            calibrate(pair, held_out),
        )
        for path in paths
    }


def zoo_pair(name: str) -> Pairs:
    """The zoo's pair with the calibration of its card: needs no data."""
    return {"zoo": (zoo.load(name, device="cpu"), zoo.card(name)["calibration"])}


def main(
    run: Annotated[Path | None, typer.Option(help="Folder of the training run.")] = None,
    quick: Annotated[bool, typer.Option(help="The zoo's pair, 2 seeds, n = 64.")] = False,
    report: Annotated[bool, typer.Option(help="Draw no more; tables and plot only.")] = False,
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    n: Annotated[int, typer.Option(min=2, help="Chains a seed.")] = 128,
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 for the chains.")] = "float32",
    last: Annotated[int, typer.Option(min=1, help="So many epochs, the last of those kept.")] = len(
        PAPER_EPOCHS
    ),
    pair: Annotated[str, typer.Option(help="Which pair of the zoo's.")] = DCGAN,
) -> None:
    """Run what is missing, then write the tables and the plot."""
    if pair not in of_zoo.PAIRS:
        raise typer.BadParameter(f"pair: no {pair!r}; known: {', '.join(of_zoo.PAIRS)}")
    name = "rep_gan_tables" + ("" if pair == DCGAN else f"_{pair}") + ("_quick" if quick else "")
    images = cache_dir() / name
    path = (images if quick else RESULTS) / f"{name}.json"
    if not report:
        run = run or cache_dir() / "runs" / pair
        pairs = zoo_pair(pair) if quick else checkpoint_pairs(pair, run, last)
        seeds, n = (2, 64) if quick else (seeds, n)
        run_cells(pair, pairs, range(seeds), n, precision, path, images)
    pool(path, images)
    for written in rep_gan_report.write(path):
        print(written)


if __name__ == "__main__":
    typer.run(main)
