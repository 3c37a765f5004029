"""``ganedu sample``: pictures and figures of one sampler on one GAN of the zoo."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganedu.cli.shell import AsJson, Device, known, one_line_errors, print_table, usable_device

if TYPE_CHECKING:
    from torch import Tensor

    from ganedu.gans import GAN
    from ganedu.gans.calibration import Logistic
    from ganedu.samplers.gan import Draws
    from ganedu.viz import Figure

# Which options a sampler has; one that it lacks is refused rather than ignored.
SAMPLERS = {
    "drs": (),
    "mh-gan": ("steps",),
    "ddls": ("steps", "step_size"),
    "rep-gan": ("steps", "step_size"),
}
DEFAULTS = {"steps": 640, "step_size": 0.01}
STRIP_CHAINS, STRIP_DRAWS = 6, 12
BATCH = 512


def sample(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A GAN of the zoo, e.g. cifar10-dcgan.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures and figures.json go.")],
    sampler: Annotated[str, typer.Option(help=", ".join(SAMPLERS) + ".")] = "rep-gan",
    n: Annotated[int, typer.Option(min=1, help="Images, one a chain.")] = 64,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of each chain; 640 unless given. Not for drs.")
    ] = None,
    step_size: Annotated[
        float | None, typer.Option(help="0.01 unless given. For ddls and rep-gan only.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw images from a GAN of the zoo: before.png, after.png, figures.json.

    Where the sampler runs chains, chains.png shows images along the first few of them.
    """
    with one_line_errors():
        options = sampler_options(sampler, steps=steps, step_size=step_size)
        from ganedu import viz, zoo
        from ganedu.rng import generator
        from ganedu.samplers import gan as samplers

        where = usable_device(device)
        gan, calibration = zoo.load(name, device=where), zoo.calibration(name)
        kept = {"trace": True, "thin": math.ceil(options["steps"] / STRIP_DRAWS)} if options else {}
        started = time.perf_counter()
        draws = getattr(samplers, sampler.replace("-", "_"))(
            gan,
            n,
            calibration=calibration,
            batch_size=BATCH,
            progress=sampler,
            rng=generator(seed, device=where),
            **options,
            **kept,
        )
        seconds = time.perf_counter() - started
        # A sampler's first use of its generator: so these are the starts of its chains.
        start = gan.prior(n, generator(seed, device=where))
        before = images(gan, start)

        limit = zoo.outlier_logit(name)
        figures = {
            "network": name,
            "sha256": zoo.sha256(name),
            "sampler": sampler,
            "n": n,
            **options,
            "seed": seed,
            "device": str(where),
            "accept_rate": draws.accept_rate,
            **{f"{key}_before": value for key, value in judge(gan, calibration, limit, before).items()},
            **{f"{key}_after": value for key, value in judge(gan, calibration, limit, draws.x).items()},
            "forward_evaluations": draws.evaluations.forward,
            "gradient_evaluations": draws.evaluations.gradient,
            "seconds": round(seconds, 2),
        }
        paths = [
            viz.save(viz.images.grid(before, "draws from the prior"), out / "before.png"),
            viz.save(viz.images.grid(draws.x, f"draws by {sampler}"), out / "after.png"),
        ]
        if draws.trace is not None:
            strip = along_chains(gan, start, draws, options["steps"], kept["thin"], f"chains of {sampler}")
            paths.append(viz.save(strip, out / "chains.png"))
        paths.append(write_json(out / "figures.json", figures))
        if as_json:
            print(json.dumps(figures, indent=2))
        else:
            rows = [
                (key, f"{value:.4g}" if isinstance(value, float) else str(value))
                for key, value in figures.items()
            ]
            print_table(("figure", ""), rows)
            print(*paths, sep="\n")


def sampler_options(sampler: str, **given: Any) -> dict[str, Any]:
    """The options to call ``sampler`` with. Raises ValueError for a given one that it lacks."""
    names = SAMPLERS[known("sampler", sampler, SAMPLERS)]
    for name, value in given.items():
        if value is not None and name not in names:
            raise ValueError(f"{name}: {sampler} has no such option, got {value}")
    return {name: DEFAULTS[name] if given[name] is None else given[name] for name in names}


def images(gan: "GAN", z: "Tensor") -> "Tensor":
    """G(z), a batch at a time."""
    import torch

    return torch.cat([gan.generator(part) for part in z.split(BATCH)])


def judge(gan: "GAN", calibration: "Logistic", limit: float, x: "Tensor") -> dict[str, float]:
    """What the discriminator says of images x; an outlier's uncapped calibrated logit is above ``limit``."""
    import torch

    logit = torch.cat([gan.logit(part) for part in x.split(BATCH)])
    return {
        "mean_calibrated_logit": float(calibration(logit).mean()),
        "share_of_outliers": float((calibration.uncapped(logit) > limit).double().mean()),
    }


def along_chains(gan: "GAN", start: "Tensor", draws: "Draws", steps: int, thin: int, title: str) -> "Figure":
    """Where a few chains start, what the trace kept on the way, and where they end."""
    import torch

    from ganedu import viz

    times = [*range(0, steps, thin), steps]
    z = torch.cat([start[None], draws.trace.z[: len(times) - 2], draws.z[None]])[:, :STRIP_CHAINS]
    x = images(gan, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return viz.images.strip(x, times, title)


def write_json(path: Path, figures: dict[str, Any]) -> Path:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(figures, indent=2) + "\n")
    return part.replace(path)
