"""The zoo's InfoGAN, on scikit-learn's digits: networks, images, recipe, and what its category knows.

No label is trained on: those of the training images only name the ten categories, one digit each, and the
accuracy is that of held-out images.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ganedu.data import digits
from ganedu.gans import non_saturating
from ganedu.gans.info_gan import Code, InfoGAN, InfoNetworks
from ganedu.metrics import matched_accuracy, matching
from ganedu.nets import DigitGenerator, digit_critic_and_recogniser
from ganedu.rng import generator
from ganedu.training import Adam, AdversarialRecipe
from ganedu.zoo.entries import DIGITS, SPLITS, part_of

NAME = "digits-infogan"
DATA = DIGITS.replace("to stop by", "to choose the recipe by")
GAME = InfoGAN(non_saturating, 62 + Code().dim)
RECIPE = AdversarialRecipe(
    steps=4_000,
    batch_size=128,
    optimisers={"critic": Adam(2e-4, (0.5, 0.999)), "generator": Adam(1e-3, (0.5, 0.999))},
)
DRAWS = 10_000


def build() -> dict[str, nn.Module]:
    """Untrained networks, as ``InfoGAN`` names them; critic and recogniser share all but their heads."""
    critic, recogniser = digit_critic_and_recogniser(GAME.code.dim)
    return {"generator": DigitGenerator(GAME.latent_dim), "critic": critic, "recogniser": recogniser}


def parts(nets: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The same networks as they are stored: what two of them share is one part."""
    (trunk, critic), (_, recogniser) = nets["critic"], nets["recogniser"]
    return {"generator": nets["generator"], "trunk": trunk, "critic": critic, "recogniser": recogniser}


def trained(nets: Mapping[str, nn.Module]) -> InfoNetworks:
    """``nets`` with the game that they were trained by."""
    return InfoNetworks(nets["generator"], nets["critic"], nets["recogniser"], GAME)


def labelled(part: str) -> tuple[Tensor, Tensor]:
    """(x (n, 1, 8, 8) in [-1, 1], digits (n,)) of one part: that of ``entries.digit_rows``."""
    images, sizes = digits(), SPLITS["digits"]
    return part_of(images.x(), sizes, part), part_of(images.labels, sizes, part)


@torch.no_grad()
def judge(nets: Mapping[str, nn.Module], part: str = "held-out", seed: int = 0) -> dict:
    """For a card, of networks in eval mode: which digit each category is, matched on the training images;
    how many images of ``part`` it names rightly; and L_I, a lower bound of the information in nats, of the
    category (at most log 10) and of the whole code, over draws of the generator."""
    model = trained(nets)
    (x, y), (seen, names) = labelled(part), labelled("train")
    mapping = matching(model.category(seen), names)
    z = model.latent(DRAWS, generator(seed))
    outputs, code = model.recogniser(model.generator(z)), z[:, -GAME.code.dim :]
    category = replace(GAME.code, continuous=0)
    return {
        "digit_of_category": mapping.tolist(),
        "figures": {
            "matched_accuracy": matched_accuracy(mapping, model.category(x), y)._asdict() | {"of": part},
            "information": {
                "category": float(category.information(outputs[:, : category.dim], code[:, : category.dim])),
                "most": math.log(10),
                "whole_code": float(GAME.code.information(outputs, code)),
                "n": DRAWS,
                "seed": seed,
                "bound": "lower",
                "unit": "nats",
            },
        },
    }
