"""The zoo's InfoGAN, on 8,000 of MNIST's digits: networks, images, recipe, and what its category knows.

No label is trained on: those of the training images only name the ten categories, one digit each, and the
accuracy is that of held-out images.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganedu import checkpoints
from ganedu.data import mnist
from ganedu.gans import non_saturating
from ganedu.gans.info_gan import Code, InfoGAN, InfoNetworks
from ganedu.metrics import matched_accuracy, matching
from ganedu.nets import DigitGenerator, digit_critic_and_recogniser
from ganedu.rng import generator, initial_weights
from ganedu.training import Adam, AdversarialRecipe, fit_adversarial, is_first
from ganedu.training.files import write_json
from ganedu.zoo.entries import SPLITS, part_of

NAME = "mnist-infogan"
CHOSEN = "chosen.json"  # in a folder of a run: which start went on
DATA = "MNIST's 10,000 test digits: 8,000 trained on, 1,000 to choose the recipe by, 1,000 held out"
GAME = InfoGAN(non_saturating, 4 + Code().dim, weight=0.1)
RECIPE = AdversarialRecipe(
    steps=6_000,  # after 4,000 of them 73% to 91% of the images are named rightly, by start
    batch_size=128,
    # Both above the paper's: at 2e-4 and 1e-3 categories part half as fast.
    optimisers={"critic": Adam(1e-3, (0.5, 0.999)), "generator": Adam(2e-3, (0.5, 0.999))},
    seed=0,
)
# This many, this far; then the most promising one goes on alone. Sooner, after 400 steps say, its sureness
# tells next to nothing.
STARTS, FIRST = 5, 2_400
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
    """(x (n, 1, 28, 28) in [-1, 1], digits (n,)) of one part: that of ``entries.mnist_rows``."""
    images, sizes = mnist("test"), SPLITS["mnist"]
    return part_of(images.x(), sizes, part), part_of(images.labels, sizes, part)


def fit(folder: Path, recipe: AdversarialRecipe = RECIPE, **options) -> dict[str, nn.Module]:
    """Train in ``folder``: ``STARTS`` runs of ``FIRST`` steps in folders ``start-I`` of it, of which the one
    whose recogniser is ``sureness`` itself goes on to the recipe's end. ``chosen.json`` says which, and why.

    Which digits share a category differs from start to start. No label is looked at: categories that cut
    through a class have images on their borders, of which Q is unsure.

    Raises ValueError where ``folder`` holds starts of another seed or length, and as ``fit_adversarial``.
    """
    rows = labelled("train")[0]
    first = min(FIRST, recipe.steps)
    told = {"seed": recipe.seed, "starts": STARTS, "steps_of_a_start": first}

    def run(start: int, steps: int) -> dict[str, nn.Module]:
        seed = 1_000 * recipe.seed + start
        with initial_weights(seed):
            nets = build()
        once = replace(recipe, steps=steps, seed=seed)
        return fit_adversarial(nets, GAME, rows, once, folder / f"start-{start}", **options)

    def keep(**more) -> None:
        if is_first():
            write_json(folder / CHOSEN, told | {"sureness": sure} | more)

    sure = sureness_of_starts(folder, told)
    for start in range(len(sure), STARTS):
        sure.append(sureness(run(start, first), rows))
        keep()
    best = max(range(STARTS), key=sure.__getitem__)
    nets = run(best, recipe.steps)
    keep(start=best)
    return nets


@torch.no_grad()
def sureness(nets: Mapping[str, nn.Module], x: Tensor) -> float:
    """The mean over images x of the largest probability that Q(category | x) gives, from 1/10 to 1."""
    recogniser = nets["recogniser"]
    where = next(recogniser.parameters()).device
    logits = recogniser(x.to(where))[:, : GAME.code.categories[0]]
    return float(logits.softmax(1).amax(1).mean())


def sureness_of_starts(folder: Path, told: Mapping[str, int]) -> list[float]:
    """Of those that are done. ValueError where they are not such as ``told``."""
    path = folder / CHOSEN
    if not path.exists():
        return []
    kept = json.loads(path.read_text(encoding="utf-8"))
    was = {name: kept.get(name) for name in told}
    if was != told:
        raise ValueError(f"{folder}: holds starts of {was}, not {told}; remove it or name another folder")
    return kept["sureness"]


def finished(folder: Path) -> tuple[Path, dict]:
    """(the folder of the start that went on, how it was chosen, for a card). ValueError where none has."""
    path = folder / CHOSEN
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "start" not in told:
        raise ValueError(f"{folder}: expected a finished run of {NAME}, found none")
    return folder / f"start-{told['start']}", told


def seconds(folder: Path) -> float:
    """Spent on all starts."""
    states = sorted(folder.glob("start-*/state.safetensors"))
    return sum(checkpoints.load(path)[1]["progress"]["seconds"] for path in states)


@torch.no_grad()
def judge(nets: Mapping[str, nn.Module], part: str = "held-out", seed: int = 0) -> dict:
    """For a card, of networks in eval mode: which digit each category is, matched on the training images;
    how many images of ``part`` it names rightly; and L_I, a lower bound of the information in nats, of the
    category (at most log 10) and of the whole code, over draws of the generator. On the processor."""
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
