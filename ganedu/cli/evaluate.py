"""``ganedu evaluate``: the likelihood that a VAE or a flow gives to images it has not seen."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganedu.cli.shell import (
    AsJson,
    Device,
    known,
    one_line_errors,
    print_table,
    usable_device,
    visible,
    watched,
)

if TYPE_CHECKING:
    from torch import nn

    from ganedu.zoo.evaluation import Evaluation

EXACT = {
    "vae": "A VAE's likelihood is an integral over z: ELBO and IWAE bound it.",
    "flow": "A flow's density is exact at an image spread over the cells of its grey levels; P(image) is\n"
    "the integral over these cells: ELBO and IWAE bound it.",
}


def evaluate(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A VAE or flow of the zoo, or a folder that ganedu train wrote."),
    ],
    k: Annotated[int, typer.Option(min=1, help="Draws for each image: the K of IWAE-K.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the draws; the held-out images are always the same.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Bound the likelihood of held-out images: ELBO, IWAE-K, their gap, bits per dimension.

    Errors are standard errors over the images. Figures can be compared where they are of the same images
    in the same form: a probability of binary pixels is not one of grey levels, and ELBO (the mean of
    single draws) is not IWAE-K. bits/dim are -log2 P(image) over the number of pixels; the table says
    what a model comes to that takes every value for equally likely. Arithmetic is float32, in whatever
    precision the weights were trained.

    \b
    Examples:
      ganedu evaluate digits-flow --k 500
      ganedu train digits-vae --steps 500 --out build/vae
      ganedu evaluate build/vae
    """
    with one_line_errors():
        from ganedu.zoo.entries import ENTRIES
        from ganedu.zoo.evaluation import evaluate as judge
        from ganedu.zoo.evaluation import figures

        where = usable_device(device)
        name, model, weights = found(name)
        entry = ENTRIES[name]
        evaluation = judge(entry, model, k, seed, where, progress=watched())
        told = {
            "name": name,
            "kind": entry.kind,
            **weights,
            "data": entry.data,
            "likelihood": entry.likelihood,
        }
        if as_json:
            print(json.dumps(told | {"levels": entry.levels} | figures(evaluation), indent=2))
            return
        told |= {"images": evaluation.n, "draws an image": k, "seed": seed}
        print(*(f"{key + ':':16}{visible(str(value))}" for key, value in told.items()), sep="\n")
        print_table(("figure", "mean", "std. error", ""), table(evaluation, entry.levels))
        print(EXACT[entry.kind])
        if k == 1:
            print("IWAE-1 is ELBO: give a larger k for a tighter bound.")
        elif evaluation.few_draws > 0.05:
            share = f"{evaluation.few_draws:.0%} of the images"
            print(f"For {share} a few of the {k} draws decide: a larger k would tighten IWAE.")


def found(name: str) -> tuple[str, "nn.Module", dict[str, str | int]]:
    """(name in the zoo, model, where its weights are from) of a name in the zoo or of a folder.

    Raises ValueError where it is neither, or has no likelihood.
    """
    from safetensors import SafetensorError

    from ganedu import checkpoints, zoo
    from ganedu.training.files import check_fits
    from ganedu.zoo.entries import ENTRIES
    from ganedu.zoo.recipes import run_name

    folder = Path(name)
    if not folder.is_dir():
        known("folder or model with a likelihood", name, ENTRIES)
        shipped = {"weights": "shipped with ganedu", "sha256": zoo.sha256(name)}
        return name, zoo.load(name, "cpu"), shipped
    name = run_name(folder)
    if name is None:
        raise ValueError(f"{folder}: expected the folder of a VAE or flow that ganedu train has finished")
    model = ENTRIES[name].build()
    weights = folder / "best.safetensors"
    try:
        tensors, meta = checkpoints.load(weights)
        check_fits(tensors, {"model": model}, folder)
        checkpoints.unpack(tensors, model=model)
        return name, model, {"weights": str(weights), "step": meta["step"]}
    except FileNotFoundError:
        raise ValueError(f"{weights}: expected the weights of {name}, found no such file") from None
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{weights}: not whole, or not of ganedu train ({error})") from error


def table(evaluation: "Evaluation", levels: int) -> list[tuple[str, str, str, str]]:
    """(figure, mean, standard error, what it is)."""
    iwae = f"IWAE-{evaluation.k}"
    bits = f"upper bound of -log2 P(image) / {evaluation.dim}"
    said = {
        "ELBO": (evaluation.elbo, "nats, lower bound of log P(image)"),
        iwae: (evaluation.iwae, "nats, lower bound of log P(image)"),
        "gap": (evaluation.gap, f"nats, {iwae} less ELBO"),
        "bits/dim, ELBO": (evaluation.elbo_bits, bits),
        f"bits/dim, {iwae}": (evaluation.iwae_bits, bits),
    }
    rows = [(name, f"{x.mean:.3f}", f"{x.error:.3f}", words) for name, (x, words) in said.items()]
    even = f"a model that takes all {levels} values of a pixel for equally likely"
    return [*rows, ("bits/dim, uniform", f"{math.log2(levels):.3f}", "", even)]
