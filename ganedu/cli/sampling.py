"""``ganedu sample``: pictures and figures of one sampler on one GAN, of the zoo or of one's own."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ganedu.cli.kernels import KERNELS, SAMPLERS, chosen
from ganedu.cli.shell import AsJson, Device, one_line_errors, print_table, usable_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ganedu.gans import GAN
    from ganedu.gans.calibration import Logistic
    from ganedu.viz import Figure

STRIP_CHAINS, STRIP_DRAWS = 6, 12
BATCH = 512


def sample(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A GAN of the zoo, e.g. cifar10-dcgan; or folder:DIR of a `ganedu train dcgan`.",
        ),
    ],
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
    """Draw images from a GAN: before.png, after.png, figures.json.

    Where the sampler runs chains, chains.png shows images along the first few of them. D of the zoo's GANs
    is calibrated on held-out images; that of your own is taken at its word.

    \b
    Examples:
      ganedu sample cifar10-dcgan --n 64 --out build/sample
      ganedu sample cifar10-dcgan --kernel pcn --n 256 --chains 16 --out build/pcn
      ganedu sample folder:build/faces --sampler mh-gan --out build/faces-mh
    """
    with one_line_errors():
        flags = {"steps": steps, "step_size": step_size}
        arguments, options = chosen(sampler, kernel, kernel_option or (), flags)
        check_trace(trace, sampler)
        if chains is not None and sampler != "rep-gan":
            raise ValueError(f"chains: only rep-gan draws many images from few chains, got {sampler}")
        import torch

        from ganedu import viz
        from ganedu.rng import generator
        from ganedu.samplers import gan as samplers
        from ganedu.samplers.traces import save_trace

        where = usable_device(device)
        gan, calibration, limit, told = opened(name, where)
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

        figures = {
            **told,
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


class Opened(NamedTuple):
    """A GAN, and what is known of its D: None where nothing is. ``told``: what it is, for figures.json."""

    gan: "GAN"
    calibration: "Logistic | None"
    limit: float | None
    told: dict[str, str]


def opened(name: str, device: "torch.device") -> Opened:
    """A GAN of the zoo, or the last whole epoch in ``folder:DIR``. Raises ValueError where there is none."""
    from ganedu import zoo
    from ganedu.metrics import fingerprint

    kind, _, folder = name.partition(":")
    if kind != "folder":
        gan, calibration = zoo.load(name, device=device), zoo.calibration(name)
        told = {"network": name, "sha256": zoo.sha256(name)}
        return Opened(gan, calibration, zoo.outlier_logit(name), told)
    from torch import nn

    from ganedu.training.dcgan import load_dcgan

    gan = load_dcgan(folder)
    both = fingerprint(nn.ModuleList([gan.generator, gan.discriminator]))
    return Opened(gan.to(device), None, None, {"network": name, "sha256": both})


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


def judge(gan: "GAN", calibration: "Logistic | None", limit: float | None, x: "Tensor") -> dict[str, float]:
    """What the discriminator says of images x; an outlier's uncapped calibrated logit is above ``limit``."""
    import torch

    logit = torch.cat([gan.logit(part) for part in x.split(BATCH)])
    if calibration is None:
        return {"mean_logit": float(logit.mean())}
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
