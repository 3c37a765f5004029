"""``ganedu sample``: pictures and figures of one sampler on one GAN of the zoo."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganedu.cli.kernels import KERNELS, SAMPLERS, chosen
from ganedu.cli.shell import AsJson, Device, one_line_errors, print_table, usable_device

if TYPE_CHECKING:
    from torch import Tensor

    from ganedu.gans import GAN
    from ganedu.gans.calibration import Logistic
    from ganedu.viz import Figure

STRIP_CHAINS, STRIP_DRAWS = 6, 12
BATCH = 512


def sample(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A GAN of the zoo, e.g. cifar10-dcgan.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures and figures.json go.")],
    sampler: Annotated[str, typer.Option(help=", ".join(SAMPLERS) + ".")] = "rep-gan",
    n: Annotated[int, typer.Option(min=1, help="Images, one a chain unless --chains is given.")] = 64,
    chains: Annotated[
        int | None,
        typer.Option(min=2, help="For rep-gan: all n from so many chains, tuned in a warm-up of --steps."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Of each chain; 640 unless given (dot 100, dg-flow 25). Not for drs."),
    ] = None,
    step_size: Annotated[
        float | None, typer.Option(help="0.01 unless given (dg-flow 0.1). Not for drs and mh-gan.")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help=f"Of rep-gan: {', '.join(KERNELS)}; mala unless given.")
    ] = None,
    kernel_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Another option of the sampler or its kernel; repeatable. A wrong key lists the right ones.",
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep all steps of all chains there (safetensors).")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw images from a GAN of the zoo: before.png, after.png, figures.json.

    Where the sampler runs chains, chains.png shows images along the first few of them.
    """
    with one_line_errors():
        flags = {"steps": steps, "step_size": step_size}
        arguments, options = chosen(sampler, kernel, kernel_option or (), flags)
        check_trace(trace, sampler)
        if chains is not None and sampler != "rep-gan":
            raise ValueError(f"chains: only rep-gan draws many images from few chains, got {sampler}")
        import torch

        from ganedu import viz, zoo
        from ganedu.rng import generator
        from ganedu.samplers import gan as samplers
        from ganedu.samplers.traces import save_trace

        where = usable_device(device)
        gan, calibration = zoo.load(name, device=where), zoo.calibration(name)
        apart = math.ceil(options["steps"] / STRIP_DRAWS) if "steps" in options else 1
        kept = {"trace": True, "thin": apart if trace is None else 1} if "steps" in options else {}
        if chains is not None:
            kept = {"trace": trace is not None, "chains": chains}
        started = time.perf_counter()
        draws = getattr(samplers, sampler.replace("-", "_"))(
            gan,
            n,
            calibration=calibration,
            batch_size=BATCH,
            progress=sampler,
            rng=generator(seed, device=where),
            **arguments,
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
            **({} if chains is None else {"chains": chains}),
            **options,
            "seed": seed,
            "device": str(where),
            "law": draws.law,
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
        if "thin" in kept:
            stride = apart // kept["thin"]
            z = torch.cat([start[None], draws.trace.z[stride - 1 :: stride]])
            strip = along_chains(gan, z, draws.z, options["steps"], apart, f"chains of {sampler}")
            paths.append(viz.save(strip, out / "chains.png"))
        if trace is not None:
            paths.append(save_trace(draws.trace, trace))
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


def check_trace(path: Path | None, sampler: str) -> None:
    """Raise ValueError, before hours are spent, for a trace that can't be or can't be written."""
    if path is not None and "steps" not in SAMPLERS[sampler]:
        raise ValueError(f"trace: {sampler} runs no chains, got {path}")
    if path is not None and path.is_dir():
        raise ValueError(f"trace: expected a file, got the folder {path}")


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


def along_chains(gan: "GAN", z: "Tensor", last: "Tensor", steps: int, apart: int, title: str) -> "Figure":
    """Where a few chains start and what they pass, z (draws, chains, d) of every ``apart``-th step from
    the start, and the ``last`` where they end."""
    import torch

    from ganedu import viz

    times = [*range(0, steps, apart), steps]
    z = torch.cat([z[: len(times) - 1], last[None]])[:, :STRIP_CHAINS]
    x = images(gan, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return viz.images.strip(x, times, title)


def write_json(path: Path, figures: dict[str, Any]) -> Path:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(figures, indent=2) + "\n")
    return part.replace(path)
