"""How each entry of the zoo is trained: ``ganedu train NAME`` runs these and nothing else."""

from pathlib import Path

import torch

from ganedu.data import cifar10
from ganedu.gans import GAN, non_saturating
from ganedu.nets import DCGANDiscriminator, DCGANGenerator, SmallResNet
from ganedu.training import ClassifierRecipe, GANRecipe, train_classifier, train_gan


def cifar10_dcgan(folder: Path, recipe: GANRecipe | None = None, **options) -> GAN:
    """DCGAN on 45,000 images of CIFAR-10; the other 5,000 of the training set calibrate D."""
    recipe = recipe or GANRecipe()
    torch.manual_seed(recipe.seed)  # the initial weights; nothing else reads the global generator
    gan = GAN(DCGANGenerator(), DCGANDiscriminator(), latent_dim=100)
    return train_gan(gan, cifar10("train"), non_saturating, recipe, folder, **options)


def cifar10_classifier(folder: Path, recipe: ClassifierRecipe | None = None, **options) -> SmallResNet:
    """The feature network and scorer, on the same 45,000 images."""
    recipe = recipe or ClassifierRecipe()
    torch.manual_seed(recipe.seed)
    return train_classifier(SmallResNet(), cifar10("train"), recipe, folder, **options)


RECIPES = {
    "cifar10-dcgan": (cifar10_dcgan, GANRecipe),
    "cifar10-classifier": (cifar10_classifier, ClassifierRecipe),
}
