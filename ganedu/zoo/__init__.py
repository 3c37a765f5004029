"""Trained networks that travel with the package, each with a card that says where it is from.

>>> from ganedu import zoo
>>> from ganedu.data import mnist
>>> gan = zoo.load("cifar10-dcgan")
>>> calibration = zoo.calibration("cifar10-dcgan")
>>> vae, flow = zoo.load("digits-vae"), zoo.load("digits-flow", "cpu")
>>> category = zoo.load("mnist-infogan", "cpu").category(mnist("test").x()[:100])
"""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ganedu import checkpoints
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic
from ganedu.gans.info_gan import InfoNetworks
from ganedu.metrics.networks import fingerprint
from ganedu.nets import SmallResNet
from ganedu.training import pick_device
from ganedu.zoo import pairs

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The entries of the zoo."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def card(name: str) -> dict:
    """What is known of an entry: command, seed, data, epochs, seconds, machine, figures, SHA-256.

    Raises ValueError for an unknown name, with the list of known ones.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"name: no {name!r} in the zoo; known: {', '.join(names()) or 'none'}")
    return json.loads(path.read_text(encoding="utf-8"))


def load(name: str = "cifar10-dcgan", device: torch.device | str = "auto") -> GAN | InfoNetworks | nn.Module:
    """A trained GAN, InfoGAN, VAE, flow or classifier, frozen and in eval mode, in float32.

    What a VAE or flow is a model of, ``entries.ENTRIES[name]`` makes of its own images: ``digits-vae`` takes
    greys in [-1, 1.125), ``digits-flow`` in [0, 1], both spread over their cells, ``mnist-vae`` 0 and 1.

    >>> import torch
    >>> from ganedu import zoo
    >>> from ganedu.zoo.entries import ENTRIES
    >>> entry, flow = ENTRIES["digits-flow"], zoo.load("digits-flow", "cpu")
    >>> (x,) = entry.judge.draw(entry.rows("held-out"), torch.Generator().manual_seed(0))
    >>> flow.log_prob(x).shape
    torch.Size([200])

    An InfoGAN has no GAN's prior: ``InfoNetworks`` draws its latents, and its card says under
    ``digit_of_category`` which digit each of its categories is.

    Raises ValueError for an unknown name.
    """
    kind = card(name)["kind"]
    if kind == "classifier":
        return load_classifier(name, device)
    if kind == "gan":
        gan = pairs.published(pairs.PAIRS[name]())
        checkpoints.unpack(_tensors(name), generator=gan.generator, discriminator=gan.discriminator)
        return gan.frozen().to(pick_device(str(device)))
    if kind == "infogan":
        return _load_infogan(name, pick_device(str(device)))
    from ganedu.zoo.entries import ENTRIES

    model = ENTRIES[name].build()
    checkpoints.unpack(_tensors(name), model=model)
    return model.eval().requires_grad_(False).to(pick_device(str(device)))


def _load_infogan(name: str, device: torch.device) -> InfoNetworks:
    from ganedu.zoo import mnist_infogan

    nets = mnist_infogan.build()
    checkpoints.unpack(_tensors(name), **mnist_infogan.parts(nets))
    frozen = {part: net.eval().requires_grad_(False).to(device) for part, net in nets.items()}
    return mnist_infogan.trained(frozen)


def load_classifier(name: str = "cifar10-classifier", device: torch.device | str = "auto") -> SmallResNet:
    """The classifier that serves as feature network and scorer, in eval mode, frozen."""
    _check_kind(name, "classifier", "a classifier")
    net = SmallResNet()
    checkpoints.unpack(_tensors(name), net=net)
    # What a metric is labelled with, as long as the weights are these.
    net.name, net.sha256, net.fingerprint = name, sha256(name), fingerprint(net)
    return net.eval().requires_grad_(False).to(pick_device(str(device)))


def calibration(name: str = "cifar10-dcgan") -> Logistic:
    """The calibration of D on held-out images: scale, offset and ceiling (see the card).

    A critic that was trained by the hinge (``cifar10-sngan``) says no log density ratio, calibrated or not:
    this is a logistic regression on its score.

    Raises ValueError for what is not a GAN.
    """
    fit = _fit(name)
    return Logistic(fit["scale"], fit["offset"], fit["ceiling"])


def outlier_logit(name: str = "cifar10-dcgan") -> float:
    """The uncapped calibrated logit that one held-out real image in a thousand exceeds. Raises as
    ``calibration`` does."""
    return _fit(name)["outlier_logit"]


def _fit(name: str) -> dict[str, float]:
    _check_kind(name, "gan", "a GAN")
    return card(name)["calibration"]


def _check_kind(name: str, kind: str, told: str) -> None:
    if (got := card(name)["kind"]) != kind:
        raise ValueError(f"name: expected {told}, got {name!r}, which is a {got}")


def feature_statistics(name: str = "cifar10-classifier") -> dict[str, Tensor | int | str]:
    """``mean`` (256,), ``cov`` (256, 256), float64, and ``n`` of CIFAR-10's test set in the
    features of the classifier ``name``, whose ``network`` and ``sha256`` are given too.

    Raises ValueError for what is not a classifier.
    """
    _check_kind(name, "classifier", "a classifier")
    tensors, meta = checkpoints.load(FOLDER / f"{name}.test-features.safetensors")
    if meta["sha256"] != sha256(name):
        raise ValueError(f"{name}: its feature statistics belong to other weights; publish both together")
    return {**tensors, "n": meta["n"], "network": name, "sha256": meta["sha256"]}


def sha256(name: str) -> str:
    """Of the weights, as the card has it."""
    return card(name)["sha256"]


def _tensors(name: str) -> dict[str, Tensor]:
    path = FOLDER / f"{name}.safetensors"
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256(name):
        raise ValueError(f"{path.name}: expected SHA-256 {sha256(name)}, got {got}; check it out again")
    return checkpoints.load(path)[0]
