"""The loops: the only place with optimisers, checkpoints, precision and devices."""

from ganedu.training.adversarial import fit_adversarial
from ganedu.training.adversarial_recipe import SGD, Adam, AdversarialRecipe, ManyAtFirst, RMSProp
from ganedu.training.classifier import ClassifierRecipe, flip_and_shift, train_classifier
from ganedu.training.devices import autocast, circumstances, is_first, pick_device
from ganedu.training.gan import LAST_EPOCHS, GANRecipe, train_gan
from ganedu.training.mle import Objective, fit_mle
from ganedu.training.recipe import MLERecipe
from ganedu.training.steps import one_cycle

__all__ = [
    "LAST_EPOCHS",
    "SGD",
    "Adam",
    "AdversarialRecipe",
    "ClassifierRecipe",
    "GANRecipe",
    "MLERecipe",
    "ManyAtFirst",
    "Objective",
    "RMSProp",
    "autocast",
    "circumstances",
    "fit_adversarial",
    "fit_mle",
    "flip_and_shift",
    "is_first",
    "one_cycle",
    "pick_device",
    "train_classifier",
    "train_gan",
]
