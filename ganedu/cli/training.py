"""``ganedu train``: an entry of the zoo, afresh, or a DCGAN of images of your own."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganedu.cli.shell import Device, known, one_line_errors, usable_device, watched

if TYPE_CHECKING:
    from ganedu.training import GANRecipe

PRECISIONS = ("float32", "bfloat16")
OWN = "dcgan"  # of pictures that the user has


def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="digits-vae, digits-flow, mnist-vae, cifar10-dcgan, cifar10-sngan, cifar10-classifier, "
            "mnist-infogan; or dcgan, with --data.",
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data, of a GAN or classifier.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches, of a VAE, flow or InfoGAN.")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    data: Annotated[
        str | None, typer.Option(metavar="folder:PATH", help="Pictures for dcgan: a folder or a zip.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Of dcgan's pictures, in pixels: 32, 64 or 128. By default 64.")
    ] = None,
    latent: Annotated[
        int | None, typer.Option(min=1, help="Dimensions of dcgan's z. By default 100.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, help="Of dcgan's layers next to the picture. By default 64.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Of dcgan. By default 128.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="By default in the cache.")] = None,
) -> None:
    """Train an entry of the zoo, or a DCGAN of your own pictures; run it again to go on after a stop.

    How long is the recipe's to say, unless --epochs or --steps does. What is trained can be trained for
    longer (not for less), but for a classifier, whose learning rate ends at zero. VAEs and flows can be
    trained by several processes, which share the rows of every batch.

    Each picture of a folder is cropped to its centred square and kept in memory (CelebA at 64: 2.5 GB). After
    every epoch DIR gets a grid of 64 fakes, epoch-NN.png.

    \b
    Examples:
      ganedu train dcgan --data folder:img_align_celeba.zip --size 64 --out build/faces
      ganedu train digits-vae --out build/digits-vae
      torchrun --nproc_per_node 2 -m ganedu train mnist-vae
    """
    with one_line_errors("Run the same command again: it goes on from the last checkpoint."):
        known("precision", precision, PRECISIONS)
        from ganedu.data import cache_dir
        from ganedu.training import is_first
        from ganedu.training.dcgan import RECIPE
        from ganedu.zoo.recipes import RECIPES

        own = {"data": data, "size": size, "latent": latent, "width": width, "batch_size": batch_size}
        make, recipe = (None, RECIPE) if name == OWN else RECIPES[known("recipe", name, [*RECIPES, OWN])]
        recipe = longer(recipe, name, epochs=epochs, steps=steps)
        where = usable_device(device)
        if name == OWN:
            recipe = replace(recipe, batch_size=batch_size or recipe.batch_size)
            make = dcgan_of(data, 64 if size is None else size, latent or 100, width or 64, recipe.batch_size)
        elif any(value is not None for value in own.values()):
            asked = [f"--{option.replace('_', '-')}" for option, value in own.items() if value is not None]
            raise ValueError(f"{', '.join(asked)}: for {OWN} alone; {name} has its own")
        folder = out or cache_dir() / "runs" / name
        options = {"device": where, "precision": precision, "progress": watched()}
        if not is_first():
            make(folder, recipe, **options)
            return
        with alone_in(folder):
            make(folder, recipe, **options)
        print(*sorted(folder.iterdir()), sep="\n")
        typer.echo(came_to(name, folder, recipe), err=True, nl=False)


def dcgan_of(data: str | None, size: int, latent: int, width: int, batch_size: int) -> Callable[..., None]:
    """How a DCGAN of the pictures in ``data`` is trained: read before anything is written.

    Raises ValueError where ``data`` is no folder:PATH, pictures can not be read, or there are too few.
    """
    from ganedu.data import image_folder
    from ganedu.nets import doublings
    from ganedu.training.dcgan import train_dcgan

    kind, _, path = (data or "").partition(":")
    if kind != "folder" or not path:
        raise ValueError(f"--data: expected folder:PATH, the pictures to learn, got {data or 'none'!r}")
    doublings(size)  # before a hundred thousand pictures are read
    images = image_folder(path, size, progress=watched())
    if len(images) < batch_size:
        raise ValueError(
            f"--data: expected at least {batch_size} pictures, a batch, got {len(images)}; "
            "give more, or a smaller --batch-size"
        )

    def make(folder: Path, recipe: "GANRecipe", **options: Any) -> None:
        train_dcgan(images, recipe, folder, latent_dim=latent, width=width, **options)

    return make


def longer(recipe: Any, name: str, **lengths: int | None) -> Any:
    """``recipe`` with the length that was asked for. ValueError where it is counted otherwise."""
    counted = {field.name for field in fields(recipe)} & lengths.keys()
    asked = {unit: length for unit, length in lengths.items() if length is not None}
    for unit in asked.keys() - counted:
        raise ValueError(f"--{unit}: the length of {name} is set by --{', --'.join(counted)}")
    return replace(recipe, **asked)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """``folder``, made where it is missing, for this run and no other: both would write the same files.

    Raises ValueError, before the first step, where nothing can be written to it or another training is in
    it, and where a checkpoint is damaged or the disk is full.
    """
    from safetensors import SafetensorError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"--out: can not write to {folder} ({error.strerror})") from error
    lock = _locked(folder)
    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{folder}: weights could not be read or written ({error})") from error
    finally:
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on ``folder``, which goes with the process however it ends; None where there are no locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ValueError(f"--out: another training is writing to {folder}; name another folder") from None
    except OSError:  # a file system without locks
        pass
    return lock


def came_to(name: str, folder: Path, recipe: Any) -> str:
    """How far the run of a VAE or flow is, which of its weights were kept, and what to do with them; of a
    DCGAN the last."""
    from ganedu import checkpoints
    from ganedu.training import MLERecipe

    if name == OWN:
        shown = f"Images of it: ganedu sample folder:{folder} --out build/sample\n"
        return shown + f'In Python: gan = ganedu.training.dcgan.load_dcgan("{folder}")\n'
    if not isinstance(recipe, MLERecipe):
        return ""
    run = checkpoints.load(folder / "state.safetensors")[1]["progress"]
    end = f"step {run['step']}"
    if run["step"] < recipe.steps:
        end += f" of {recipe.steps}: {run['stale']} looks in a row saw no lower held-out loss"
    best = f"step {run['best_step']}: lowest held-out loss, {run['best_loss']:.4g} in loss.csv"
    return f"Trained to {end}.\nKept the weights of {best}.\nIts likelihood: ganedu evaluate {folder}\n"
