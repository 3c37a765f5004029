"""From a training run to an entry of the zoo: weights, calibration, feature statistics, card.

    python -m ganedu.zoo.publish cifar10-classifier --run ~/.cache/ganedu/runs/cifar10-classifier
    python -m ganedu.zoo.publish cifar10-dcgan --run ~/.cache/ganedu/runs/cifar10-dcgan
    python -m ganedu.zoo.publish digits-vae --run ~/.cache/ganedu/runs/digits-vae
    python -m ganedu.zoo.publish mnist-vae

The classifier comes before the GANs, whose figures are measured with it. Without a run a likelihood model's
published weights are stored anew, as ``cards.HALF`` has it by now, and their figures are measured anew.
"""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from ganedu import checkpoints, metrics, zoo
from ganedu.data import Images, cifar10, to_bytes
from ganedu.gans import GAN
from ganedu.gans.calibration import fit_logistic, held_out_logits
from ganedu.nets import SmallResNet
from ganedu.rng import generator
from ganedu.zoo import cards, evaluation, mnist_infogan, pairs
from ganedu.zoo.entries import ENTRIES

OUTLIER_QUANTILE = 0.999
CEILING_QUANTILE = 0.9
FIGURE_DRAWS = 10_000
FIGURE_K = 500
CIFAR10 = "CIFAR-10, 45,000 of the training images"


def classifier(name: str, run: Path, data: str | None) -> dict:
    """Publish a classifier, and the statistics of CIFAR-10's test set in its features."""
    net = SmallResNet()
    tensors, meta = checkpoints.load(run / "state.safetensors")
    checkpoints.unpack(tensors, net=net)
    sha = cards.write_weights(name, net=net)
    net.eval().requires_grad_(False)
    net.name, net.sha256 = name, sha
    test = cifar10("test")
    statistics = metrics.feature_statistics(test, net)
    kept = {key: statistics[key] for key in ("mean", "cov")}
    path = zoo.FOLDER / f"{name}.test-features.safetensors"
    checkpoints.save(path, kept, n=statistics["n"], sha256=sha, data=data)
    with torch.no_grad():
        hits = sum(int((net(x).argmax(1) == y).sum()) for x, y in test.batches(500))
    figures = {
        "test_accuracy": hits / len(test),
        "frechet_distance_of_held_out_images": str(
            metrics.frechet_distance(cifar10("calibration"), net, statistics)
        ),
        "classifier_score_of_test_images": str(metrics.classifier_score(test, net)),
    }
    return cards.card(name, "classifier", sha, meta, data or CIFAR10, epochs(meta), figures=figures)


def gan(name: str, run: Path, data: str | None, scorer: str = "cifar10-classifier") -> dict:
    """Publish the pair of a run's last epoch: the raw generator, which its discriminator knows."""
    meta = checkpoints.load(run / "state.safetensors")[1]
    pair = pairs.of_checkpoint(name, run / f"epoch-{meta['epoch']:02d}.safetensors")
    networks = {"generator": pair.generator, "discriminator": pair.discriminator}
    cards.round_weights(name, **networks)
    fit = calibrate(pair, cifar10("calibration"))
    with torch.no_grad():
        z = pair.prior(FIGURE_DRAWS, generator(0, 1))
        draws = Images(torch.cat([to_bytes(pair.generator(part)) for part in z.split(500)]))
        logit = torch.cat([pair.logit(x) for x, _ in draws.batches(500)])
    net, statistics = zoo.load_classifier(scorer, device="cpu"), zoo.feature_statistics(scorer)
    uncapped = fit["scale"] * logit + fit["offset"]
    figures = {
        "frechet_distance": str(metrics.frechet_distance(draws, net, statistics)),
        "classifier_score": str(metrics.classifier_score(draws, net)),
        "mean_calibrated_logit_uncapped": float(uncapped.mean()),
        "share_of_outliers": metrics.outlier_share(uncapped, fit["outlier_logit"]),
    }
    told = {
        "latent_dim": pair.latent_dim,
        "score": pairs.SCORES[name],
        "calibration": fit,
        "figures": figures,
    }
    sha = cards.write_weights(name, **networks)
    return cards.card(name, "gan", sha, meta, data or CIFAR10, epochs(meta), **told)


def epochs(meta: dict) -> dict:
    """How long a GAN or a classifier was trained, for its card."""
    return {"epochs": meta["epoch"] + 1}


def calibrate(pair: GAN, held_out: Images, seed: int = 0) -> dict:
    """Scale, offset, ceiling and outlier threshold of D on ``held_out`` images, for a card.

    Whatever D was trained by, this is a logistic regression of "real" on its score: the log density ratio
    as far as the score tells it. Of a hinge's score, which is none, that is all there is.
    """
    real, fake = held_out_logits(pair, held_out, generator(seed, 0))
    fit = fit_logistic(real, fake, CEILING_QUANTILE)
    outlier = float(torch.quantile(fit.uncapped(real.double()), OUTLIER_QUANTILE))
    return {
        "scale": fit.scale,
        "offset": fit.offset,
        "ceiling": fit.ceiling,
        "ceiling_quantile": CEILING_QUANTILE,
        "outlier_logit": outlier,
        "outlier_quantile": OUTLIER_QUANTILE,
        "n_real": len(real),
        "n_fake": len(fake),
        "seed": seed,
    }


def likelihood_model(name: str, run: Path | None, data: str | None) -> dict:
    """Publish the weights of a VAE or a flow with the lowest validation loss, and its held-out bounds."""
    if run is None:
        return stored_anew(name)
    entry, model = ENTRIES[name], ENTRIES[name].build()
    checkpoints.unpack(checkpoints.load(run / "best.safetensors")[0], model=model)
    meta = checkpoints.load(run / "state.safetensors")[1]
    cards.round_weights(name, model=model)
    judged = evaluation.figures(evaluation.evaluate(entry, model, k=FIGURE_K))
    meta |= {"seconds": meta["progress"]["seconds"]}
    length = {"steps": meta["progress"]["step"], "best_step": meta["progress"]["best_step"]}
    data = data or entry.data
    told = {"likelihood": entry.likelihood, "parameters": sum(p.numel() for p in model.parameters())}
    sha = cards.write_weights(name, model=model)
    return cards.card(name, entry.kind, sha, meta, data, length, **told, figures=judged)


def stored_anew(name: str) -> dict:
    """A likelihood model that was published in another precision: its card says from what it was rounded."""
    before, model = zoo.card(name), zoo.load(name, "cpu")
    cards.round_weights(name, model=model)
    judged = evaluation.figures(evaluation.evaluate(ENTRIES[name], model, k=FIGURE_K))
    sha = cards.write_weights(name, model=model)
    told = {"sha256": sha, "stored": cards.stored(name), "figures": judged}
    if sha != before["sha256"]:
        told["rounded_from"] = before["sha256"]
    return cards.write_card(before | told)


def info_gan(name: str, run: Path, data: str | None) -> dict:
    """Publish the last networks of an InfoGAN, and how well its category names the digit."""
    nets = mnist_infogan.build()
    chosen, choice = mnist_infogan.finished(run)
    checkpoints.unpack(checkpoints.load(chosen / "networks.safetensors")[0], **nets)
    meta = checkpoints.load(chosen / "state.safetensors")[1]
    kept = mnist_infogan.parts(nets)
    cards.round_weights(name, **kept)
    told = mnist_infogan.judge({part: net.eval() for part, net in nets.items()})
    meta |= {"seconds": mnist_infogan.seconds(run)}
    length = {"steps": meta["progress"]["step"], **choice}
    sha = cards.write_weights(name, **kept)
    return cards.card(name, "infogan", sha, meta, data or mnist_infogan.DATA, length, **told)


def main(
    name: Annotated[str, typer.Argument(help="A recipe of the zoo.")],
    run: Annotated[Path | None, typer.Option(help="The folder that ganedu train wrote.")] = None,
    data: Annotated[
        str | None, typer.Option(help="What it was trained on, for the card, where it was something else.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="What was typed, for the card, where it was more than one command.")
    ] = None,
) -> None:
    """Write an entry of the zoo, and print its card."""
    kinds = {"cifar10-classifier": classifier, mnist_infogan.NAME: info_gan}
    kinds |= dict.fromkeys(pairs.PAIRS, gan) | dict.fromkeys(ENTRIES, likelihood_model)
    if name not in kinds:
        raise typer.BadParameter(f"no {name!r}; known: {', '.join(kinds)}")
    if run is None and name not in ENTRIES:
        raise typer.BadParameter(f"{name} needs --run, the folder that ganedu train wrote")
    card = kinds[name](name, run, data)
    card = cards.write_card(card | {"command": command}) if command else card
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    typer.run(main)
