"""The zoo's InfoGAN: stored without doubles, judged on images not seen, as good as its card says."""

import gzip
import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from ganedu import checkpoints
from ganedu.data import files
from ganedu.rng import generator
from ganedu.zoo import mnist_infogan
from ganedu.zoo.entries import mnist_rows
from ganedu.zoo.recipes import RECIPES

DIM = mnist_infogan.GAME.code.dim


@pytest.fixture
def nets() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {name: net.eval() for name, net in mnist_infogan.build().items()}


def test_networks_have_the_shapes_of_the_game_and_share_a_trunk(nets):
    game = mnist_infogan.GAME
    assert game.latent_dim == 16 and game.code.categories == (10,)
    x = nets["generator"](torch.randn(5, game.latent_dim, generator=generator(0)))
    assert x.shape == (5, 1, 28, 28) and x.abs().max() <= 1
    assert nets["critic"](x).shape == (5,) and nets["recogniser"](x).shape == (5, DIM)
    assert nets["critic"][0] is nets["recogniser"][0]


def test_each_weight_is_stored_once_and_comes_back(nets):
    flat = checkpoints.pack(**mnist_infogan.parts(nets))
    weights = {id(p): p.numel() for net in nets.values() for p in net.parameters()}
    parameters = {name for net in mnist_infogan.parts(nets).values() for name, _ in net.named_parameters()}
    stored = sum(value.numel() for name, value in flat.items() if name.split(".", 1)[1] in parameters)
    assert sum(weights.values()) <= stored < 1.2 * sum(weights.values())
    torch.manual_seed(1)
    other = {name: net.eval() for name, net in mnist_infogan.build().items()}
    x = torch.rand(4, 1, 28, 28, generator=generator(0))
    assert not torch.equal(other["critic"](x), nets["critic"](x))
    checkpoints.unpack(flat, **mnist_infogan.parts(other))
    for name in ("critic", "recogniser"):
        assert torch.equal(other[name](x), nets[name](x))


def test_images_are_those_of_the_likelihood_models_and_labels_those_of_the_images(mnist_digits):
    folder = files.find("mnist", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
    images, labels = (
        gzip.decompress((folder / f"t10k-{kind}-ubyte.gz").read_bytes())[header:]
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8))
    )
    label = {images[784 * i : 784 * (i + 1)]: digit for i, digit in enumerate(labels)}
    for part, n in (("train", 8_000), ("held-out", 1_000)):
        x, y = mnist_infogan.labelled(part)
        pixels = (255 * (x + 1) / 2).round().to(torch.uint8)
        assert len(x) == n and (part != "train" or torch.equal(pixels, mnist_rows(part)))
        assert [label[image.numpy().tobytes()] for image in pixels] == y.tolist()


class Oracle(nn.Module):
    """Knows each digit by heart and calls it by another number; of 3 and 8 it makes one, where told to."""

    NAMES = torch.tensor([4, 2, 9, 0, 1, 7, 3, 8, 6, 5])

    def __init__(self, merge: bool = False):
        super().__init__()
        known = [mnist_infogan.labelled(part) for part in ("train", "held-out")]
        self.x, self.y = (torch.cat(column) for column in zip(*known, strict=True))
        self.merge = merge

    def forward(self, x):
        y = self.y[torch.cdist(x.flatten(1), self.x.flatten(1)).argmin(1)]
        if self.merge:
            y = torch.where(y == 8, 3, y)
        return torch.cat([20.0 * torch.eye(10)[self.NAMES[y]], torch.zeros(len(x), 2)], 1)


def test_the_judge_is_right_about_one_who_knows_and_about_a_planted_mistake(nets, mnist_digits):
    told = mnist_infogan.judge(nets | {"recogniser": Oracle()})
    assert told["digit_of_category"] == Oracle.NAMES.argsort().tolist()
    figure = told["figures"]["matched_accuracy"]
    assert figure["accuracy"] == 1.0 and figure["n"] == 1_000 and figure["of"] == "held-out"
    told = mnist_infogan.judge(nets | {"recogniser": Oracle(merge=True)})
    seen, held_out = (mnist_infogan.labelled(part)[1] for part in ("train", "held-out"))
    rarer = min((3, 8), key=lambda digit: int((seen == digit).sum()))
    lost = int((held_out == rarer).sum())
    assert lost > 50 and told["figures"]["matched_accuracy"]["hits"] == 1_000 - lost


class Copy(nn.Module):
    """A generator that paints its code into the image, and the recogniser that reads it from there."""

    def __init__(self, sure: float):
        super().__init__()
        self.sure = sure

    def forward(self, z):
        if z.ndim == 2:
            return torch.cat([z[:, -DIM:], torch.zeros(len(z), 784 - DIM)], 1).view(-1, 1, 28, 28)
        code = z.flatten(1)[:, :DIM]
        return torch.cat([self.sure * code[:, :10], code[:, 10:]], 1)


def test_the_bound_is_log_10_of_a_code_that_arrives_and_less_where_q_is_unsure(nets, mnist_digits):
    """Logits s at the right one of ten: log Q = -log(1 + 9 e^-s); a number with std 1: -½ log 2π, + log 2."""
    for sure in (40.0, 2.0):
        told = mnist_infogan.judge(nets | {"generator": Copy(sure), "recogniser": Copy(sure)})
        expect = math.log(10) - math.log1p(9 * math.exp(-sure))
        assert told["figures"]["information"]["category"] == pytest.approx(expect, abs=1e-4)
        whole = expect + 2 * (math.log(2) - 0.5 * math.log(2 * math.pi))
        assert told["figures"]["information"]["whole_code"] == pytest.approx(whole, abs=1e-4)


def test_a_trained_one_draws_latents_of_its_game_and_names_categories(nets):
    model = mnist_infogan.trained(nets)
    z = model.latent(6, generator(0))
    assert z.shape == (6, 16) and torch.equal(z[:, 4:14].sum(1), torch.ones(6))
    assert torch.equal(model.sample(6, generator(0)), nets["generator"](z))
    assert torch.equal(
        model.category(model.sample(6, generator(0))),
        nets["recogniser"](nets["generator"](z))[:, :10].argmax(1),
    )
    with pytest.raises(ValueError, match="block: expected one of the code's 1 categories, got 1"):
        model.category(torch.zeros(1, 1, 28, 28), 1)


@pytest.mark.slow
def test_of_several_starts_the_surest_goes_on_and_a_stopped_run_too(tmp_path, monkeypatch, mnist_digits):
    """200 steps: the code arrives already, most digits have no name yet."""
    monkeypatch.setattr(mnist_infogan, "STARTS", 3)
    monkeypatch.setattr(mnist_infogan, "FIRST", 20)
    make, recipe = RECIPES[mnist_infogan.NAME]
    with pytest.raises(ValueError, match="expected a finished run of mnist-infogan, found none"):
        mnist_infogan.finished(tmp_path)
    recipe = replace(recipe, steps=200)
    nets = make(tmp_path, recipe, progress=False)
    chosen, told = mnist_infogan.finished(tmp_path)
    assert len(told["sureness"]) == 3 and chosen.name == f"start-{told['start']}"
    assert told["sureness"][told["start"]] == max(told["sureness"]) > min(told["sureness"])
    steps = [
        checkpoints.load(path)[1]["step"] for path in sorted(tmp_path.glob("start-*/networks.safetensors"))
    ]
    assert steps == [200 if start == told["start"] else 20 for start in range(3)]
    assert mnist_infogan.seconds(tmp_path) > 0
    judged = mnist_infogan.judge(nets)
    assert judged["figures"]["information"]["category"] > 0.3
    # As if it had been stopped in its second start.
    shutil.rmtree(tmp_path / "start-2")
    begun = {k: v for k, v in told.items() if k != "start"} | {"sureness": told["sureness"][:1]}
    (tmp_path / mnist_infogan.CHOSEN).write_text(json.dumps(begun))
    if told["start"] == 1:
        shutil.rmtree(tmp_path / "start-1")
    again = make(tmp_path, recipe, progress=False)
    assert mnist_infogan.finished(tmp_path)[1] == told
    x = mnist_infogan.labelled("held-out")[0]
    assert torch.equal(again["recogniser"](x), nets["recogniser"](x))
    with pytest.raises(ValueError, match="holds starts of .'seed': 0, .* not .'seed': 7, "):
        make(tmp_path, replace(recipe, seed=7), progress=False)
    monkeypatch.setattr(mnist_infogan, "FIRST", 30)
    with pytest.raises(ValueError, match="'steps_of_a_start': 20}, not .*'steps_of_a_start': 30}"):
        make(tmp_path, recipe, progress=False)


class Says(nn.Module):
    """The same outputs for every image."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_sureness_is_a_tenth_of_one_who_knows_nothing_and_one_at_most():
    x = torch.zeros(3, 1, 28, 28)
    assert mnist_infogan.sureness({"recogniser": Says([0.0] * 12)}, x) == pytest.approx(0.1)
    # Three to one and eight that are out of the question; the numbers' means are none of its business.
    logits = [math.log(3.0), 0.0, *[-60.0] * 8, 99.0, 99.0]
    assert mnist_infogan.sureness({"recogniser": Says(logits)}, x) == pytest.approx(0.75)
