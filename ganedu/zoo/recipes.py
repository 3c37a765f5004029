"""How each entry of the zoo is trained: ``ganedu train NAME`` runs these and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ganedu.data import cifar10
from ganedu.gans import GAN, hinge, non_saturating
from ganedu.nets import SmallResNet
from ganedu.rng import initial_weights
from ganedu.training import (
    AdversarialRecipe,
    ClassifierRecipe,
    GANRecipe,
    MLERecipe,
    fit_mle,
    is_first,
    train_classifier,
    train_gan,
)
from ganedu.training.files import write_json
from ganedu.zoo import mnist_infogan, pairs
from ganedu.zoo.entries import ENTRIES

RUN = "run.json"  # in a folder of a likelihood model: which it is


def cifar10_dcgan(folder: Path, recipe: GANRecipe | None = None, **options) -> GAN:
    """DCGAN on 45,000 images of CIFAR-10; the other 5,000 of the training set calibrate D."""
    recipe = recipe or GANRecipe()
    with initial_weights(recipe.seed):
        gan = pairs.dcgan()
    return train_gan(gan, cifar10("train"), non_saturating, recipe, folder, **options)


def cifar10_sngan(folder: Path, recipe: GANRecipe | None = None, **options) -> GAN:
    """SN-GAN beside the DCGAN: its generator, images and budget, but a spectrally normalised critic and the
    hinge (Miyato et al. 2018). One step of the critic for one of the generator, where the paper has five."""
    recipe = recipe or GANRecipe()
    with initial_weights(recipe.seed):
        gan = pairs.sngan()
    return train_gan(gan, cifar10("train"), hinge, recipe, folder, **options)


def cifar10_classifier(folder: Path, recipe: ClassifierRecipe | None = None, **options) -> SmallResNet:
    """The feature network and scorer, on the same 45,000 images."""
    recipe = recipe or ClassifierRecipe()
    with initial_weights(recipe.seed):
        net = SmallResNet()
    return train_classifier(net, cifar10("train"), recipe, folder, **options)


def info_gan(folder: Path, recipe: AdversarialRecipe | None = None, **options) -> dict[str, nn.Module]:
    """InfoGAN on 8,000 of MNIST's digits, without their labels (``zoo.mnist_infogan``)."""
    return mnist_infogan.fit(folder, recipe or mnist_infogan.RECIPE, **options)


def likelihood_model(name: str) -> Callable[..., nn.Module]:
    """The function that trains this one of ``ENTRIES``; its ``folder`` says so, for ``ganedu evaluate``."""

    def make(folder: Path, recipe: MLERecipe | None = None, **options) -> nn.Module:
        entry = ENTRIES[name]
        recipe = recipe or entry.recipe
        if (folder / RUN).exists() and (held := run_name(folder)) != name:
            raise ValueError(f"{folder}: holds {held or f'another {RUN}'}, not {name}; name another folder")
        rows, held_out = entry.rows("train"), entry.rows("validation")
        model = entry.start(recipe.seed)
        model = fit_mle(model, entry.objective, rows, recipe, folder, held_out=held_out, **options)
        if is_first():
            write_json(folder / RUN, {"name": name})
        return model

    return make


def run_name(folder: Path) -> str | None:
    """Which of ``ENTRIES`` was trained in ``folder``; None where none was, or ``RUN`` is not ours."""
    try:
        name = json.loads((folder / RUN).read_text(encoding="utf-8"))["name"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return name if name in list(ENTRIES) else None


# name -> how it is trained, and the recipe that it is trained by unless told otherwise.
RECIPES = {
    "cifar10-dcgan": (cifar10_dcgan, GANRecipe()),
    "cifar10-sngan": (cifar10_sngan, GANRecipe()),
    "cifar10-classifier": (cifar10_classifier, ClassifierRecipe()),
    mnist_infogan.NAME: (info_gan, mnist_infogan.RECIPE),
    **{name: (likelihood_model(name), entry.recipe) for name, entry in ENTRIES.items()},
}
