"""The loops on tiny networks: resuming, averaging, what is kept, what stops them; augmentation."""

import csv
import itertools
import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from ganedu import checkpoints
from ganedu.data import Images, to_bytes
from ganedu.gans import GAN, hinge, non_saturating
from ganedu.rng import generator
from ganedu.training import (
    LAST_EPOCHS,
    ClassifierRecipe,
    GANRecipe,
    autocast,
    pick_device,
    train_classifier,
    train_gan,
)
from tests.training.test_schedule import flip_and_shift_slowly

RECIPE = GANRecipe(epochs=3, batch_size=8, ema=0.9, seed=5)
CLASSIFIER = ClassifierRecipe(epochs=3, batch_size=8, learning_rate=0.05, warmup_epochs=1.0, seed=5)


def tiny_gan(seed: int = 0) -> GAN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        maker = nn.Sequential(
            nn.Unflatten(1, (4, 1, 1)), nn.ConvTranspose2d(4, 4, 4), nn.BatchNorm2d(4), nn.ReLU(),
            nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), nn.Tanh(),
        )  # fmt: skip
        critic = nn.Sequential(
            nn.Conv2d(3, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
            nn.Conv2d(4, 1, 4), nn.Flatten(0),
        )  # fmt: skip
    return GAN(maker, critic, latent_dim=4)


def tiny_classifier() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def images() -> Images:
    pixels = torch.randint(0, 256, (43, 3, 8, 8), generator=generator(0), dtype=torch.uint8)
    return Images(pixels, torch.arange(43) % 2)


def same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def rows(folder) -> list[dict]:
    with (folder / "loss.csv").open() as file:
        return list(csv.DictReader(file))


class Interrupted(BaseException):
    """As Ctrl-C: no Exception."""


@dataclass(frozen=True)
class Interruptible:
    """The non-saturating objective, interrupted in the midst of a step."""

    calls: float = field(default=math.inf, compare=False)
    count: itertools.count = field(default_factory=lambda: itertools.count(1), compare=False)

    critic_loss = staticmethod(non_saturating.critic_loss)

    def generator_loss(self, critic, fake):
        if next(self.count) > self.calls:
            raise Interrupted
        return non_saturating.generator_loss(critic, fake)


def train(gan, images, folder, recipe=RECIPE, objective=non_saturating, **options):
    return train_gan(gan, images, objective, recipe, folder, progress=False, **options)


@pytest.mark.parametrize("fresh_process", [True, False], ids=["fresh process", "same notebook"])
def test_a_gan_that_was_interrupted_ends_bit_for_bit_as_one_that_was_not(fresh_process, images, tmp_path):
    whole = train(tiny_gan(), images, tmp_path / "whole", objective=Interruptible())
    broken = tiny_gan()
    with pytest.raises(Interrupted):
        train(broken, images, tmp_path / "broken", objective=Interruptible(8))  # 5 steps an epoch
    assert [row["epoch"] for row in rows(tmp_path / "broken")] == ["0"]

    resumed = tiny_gan(seed=1) if fresh_process else broken
    train(resumed, images, tmp_path / "broken", objective=Interruptible())
    assert same(resumed.generator, whole.generator) and same(resumed.discriminator, whole.discriminator)
    assert not same(resumed.generator, tiny_gan().generator)
    strip = [
        [{k: row[k] for k in ("epoch", "d", "g")} for row in rows(tmp_path / k)] for k in ("whole", "broken")
    ]
    assert strip[0] == strip[1]
    ema = [checkpoints.load(tmp_path / kind / "ema.safetensors")[0] for kind in ("whole", "broken")]
    assert all(torch.equal(value, ema[1][name]) for name, value in ema[0].items())


def test_the_seed_is_used(images, tmp_path):
    one = train(tiny_gan(), images, tmp_path / "a")
    two = train(tiny_gan(), images, tmp_path / "b", replace(RECIPE, seed=6))
    assert not same(one.generator, two.generator)


def test_a_run_that_is_over_can_be_prolonged_but_not_changed(images, tmp_path):
    train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=1))
    longer = train(tiny_gan(seed=1), images, tmp_path, RECIPE)
    assert same(longer.generator, train(tiny_gan(), images, tmp_path / "whole").generator)
    with pytest.raises(ValueError, match="epochs: .* holds a run of 3, more than the 2 asked for; ask for 3"):
        train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=2))
    with pytest.raises(ValueError, match="holds a run with .*'learning_rate': 0.0002.*another folder"):
        train(tiny_gan(), images, tmp_path, replace(RECIPE, learning_rate=1e-3))


@pytest.mark.parametrize("n_critic", [1, 2])
def test_the_average_follows_the_generator(n_critic, images, tmp_path):
    gan, seen, buffers = tiny_gan(), [], []

    def generator_loss(critic, fake):  # called just before each step of the generator
        seen.append([p.detach().clone() for p in gan.generator.parameters()])
        buffers[:] = [b.clone() for b in gan.generator.buffers()]
        return non_saturating.generator_loss(critic, fake)

    objective = SimpleNamespace(critic_loss=non_saturating.critic_loss, generator_loss=generator_loss)
    train(gan, images, tmp_path, replace(RECIPE, epochs=2, n_critic=n_critic), objective)
    assert len(seen) == 2 * (5 // n_critic)

    slow, *after = [*seen, [p.detach() for p in gan.generator.parameters()]]
    for fast in after:
        slow = [0.9 * s + 0.1 * f for s, f in zip(slow, fast, strict=True)]
    ema = tiny_gan()
    checkpoints.unpack(checkpoints.load(tmp_path / "ema.safetensors")[0], generator=ema.generator)
    for got, expect, live in zip(ema.generator.parameters(), slow, gan.generator.parameters(), strict=True):
        torch.testing.assert_close(got, expect, rtol=1e-6, atol=1e-7)
        assert not torch.equal(got, live)
    for got, live in zip(ema.generator.buffers(), buffers, strict=True):
        assert torch.equal(got, live)


def test_the_last_five_pairs_are_kept_each_raw_generator_with_its_discriminator(images, tmp_path):
    epochs = LAST_EPOCHS + 2
    gan = train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=epochs))
    kept = sorted(path.name for path in tmp_path.glob("epoch-*.safetensors"))
    assert kept == [f"epoch-{epoch:02d}.safetensors" for epoch in range(2, 7)]
    assert [row["epoch"] for row in rows(tmp_path)] == [str(epoch) for epoch in range(epochs)]
    pair = tiny_gan()
    tensors, meta = checkpoints.load(tmp_path / kept[-1])
    checkpoints.unpack(tensors, generator=pair.generator, discriminator=pair.discriminator)
    assert meta["epoch"] == 6
    assert same(pair.generator, gan.generator) and same(pair.discriminator, gan.discriminator)
    assert not list(tmp_path.glob("*.part"))


def test_the_picture_shows_the_same_64_latents_in_eval_mode_row_by_row(images, tmp_path):
    # So fast a learner that its average would draw another picture.
    gan = train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=1, learning_rate=0.05))
    assert gan.generator.training, "drawing a picture leaves the mode as it was"
    x = to_bytes(gan.generator.eval()(gan.prior(64, generator(RECIPE.seed, -1))).detach())
    sheet = np.asarray(Image.open(tmp_path / "epoch-00.png"))
    assert sheet.shape == (64, 64, 3)
    for i in (0, 1, 8, 63):
        row, column = divmod(i, 8)
        tile = sheet[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert np.abs(tile.astype(int) - x[i].permute(1, 2, 0).numpy()).max() <= 1  # rounding


def test_the_critic_learns_to_tell_real_from_fake(images, tmp_path):
    critics = SimpleNamespace(
        critic_loss=non_saturating.critic_loss, generator_loss=lambda critic, fake: 0.0 * fake.sum()
    )
    recipe = replace(RECIPE, epochs=10, learning_rate=2e-2)
    train(tiny_gan(), Images(images.pixels // 8), tmp_path, recipe, critics)
    losses = [float(row["d"]) for row in rows(tmp_path)]
    assert losses[0] > 0.5 and losses[-1] < 0.2


def test_a_loss_that_is_not_finite_stops_and_the_last_whole_epoch_is_kept(images, tmp_path):
    calls = itertools.count()

    def critic_loss(critic, real, fake):
        return non_saturating.critic_loss(critic, real, fake) * (math.nan if next(calls) == 7 else 1.0)

    broken = SimpleNamespace(critic_loss=critic_loss, generator_loss=non_saturating.generator_loss)
    with pytest.raises(FloatingPointError, match="epoch 1: the loss of the disc.* is nan.*learning rate"):
        train(tiny_gan(), images, tmp_path, objective=broken)
    tensors, meta = checkpoints.load(tmp_path / "state.safetensors")
    assert meta["epoch"] == 0 and all(torch.isfinite(value).all() for value in tensors.values())
    assert len(rows(tmp_path)) == 1


def test_a_run_goes_on_with_its_own_objective_images_and_precision(images, tmp_path):
    train(tiny_gan(), images, tmp_path)
    longer = replace(RECIPE, epochs=4)
    other = Images(255 - images.pixels, images.labels)
    for options, told in (
        ({"objective": hinge}, "'objective': 'ganedu.gans.non_saturating'"),
        ({"precision": "bfloat16"}, "'precision': 'float32'"),
    ):
        with pytest.raises(ValueError, match=f"holds a run with {{{told}}}"):
            train(tiny_gan(), images, tmp_path, longer, **options)
    with pytest.raises(ValueError, match="holds a run with {'images': "):
        train(tiny_gan(), other, tmp_path, longer)
    assert len(rows(tmp_path)) == 3
    classify(tiny_classifier(), images, tmp_path / "net")
    with pytest.raises(ValueError, match="holds a run with {'images': "):
        classify(tiny_classifier(), other, tmp_path / "net")
    checkpoints.save(tmp_path / "no" / "state.safetensors", {"weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="expected the state of a training, found none"):
        train(tiny_gan(), images, tmp_path / "no")


def test_an_adam_that_stands_still_is_not_kept(images, tmp_path):
    """A gradient whose square is infinite: losses and weights stay finite, and that weight moves no more."""
    calls = itertools.count()

    def critic_loss(critic, real, fake):
        return non_saturating.critic_loss(critic, real, fake) * (1e25 if next(calls) == 7 else 1.0)

    broken = SimpleNamespace(critic_loss=critic_loss, generator_loss=non_saturating.generator_loss)
    with pytest.raises(FloatingPointError, match="epoch 1: the optimiser of the discriminator remembers"):
        train(tiny_gan(), images, tmp_path, objective=broken)
    assert checkpoints.load(tmp_path / "state.safetensors")[1]["epoch"] == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GANRecipe(batch_size=0), "batch_size"),
        (lambda: GANRecipe(n_critic=0), "n_critic"),
        (lambda: GANRecipe(betas=(0.5,)), "betas: expected two numbers"),
        (lambda: GANRecipe(ema=1.5), "ema: expected a number in"),
        (lambda: ClassifierRecipe(epochs=0), "epochs"),
        (lambda: ClassifierRecipe(learning_rate=-1.0), "learning_rate"),
        (lambda: ClassifierRecipe(weight_decay=-1.0), "weight_decay: expected"),
        (lambda: ClassifierRecipe(warmup_epochs=-1.0), "warmup_epochs: expected"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_half_precision_keeps_weights_in_single(images, tmp_path):
    gan = train(tiny_gan(), images, tmp_path, precision="bfloat16")
    assert {p.dtype for p in gan.generator.parameters()} == {torch.float32}
    exact = train(tiny_gan(), images, tmp_path / "single")
    near = [float(rows(folder)[0]["d"]) for folder in (tmp_path, tmp_path / "single")]
    assert near[0] == pytest.approx(near[1], rel=0.02)
    assert not same(gan.generator, exact.generator), "bfloat16 was not used"


def classify(net, images, folder, recipe=CLASSIFIER):
    return train_classifier(net, images, recipe, folder, progress=False)


class Breaks(nn.Module):
    """A network that is interrupted at its ``calls``-th batch."""

    def __init__(self, net, calls):
        super().__init__()
        self.net, self.left = net, calls

    def forward(self, x):
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return self.net(x)


def test_a_classifier_that_was_interrupted_ends_bit_for_bit_as_one_that_was_not(images, tmp_path):
    whole = classify(Breaks(tiny_classifier(), 99), images, tmp_path / "whole")
    with pytest.raises(Interrupted):
        classify(Breaks(tiny_classifier(), 8), images, tmp_path / "broken")
    resumed = classify(Breaks(tiny_classifier(), 99), images, tmp_path / "broken")
    assert same(whole, resumed)
    assert [row["loss"] for row in rows(tmp_path / "whole")] == [
        row["loss"] for row in rows(tmp_path / "broken")
    ]


def test_a_classifier_cannot_be_prolonged_as_its_learning_rate_knows_how_long_it_is(images, tmp_path):
    classify(tiny_classifier(), images, tmp_path)
    with pytest.raises(ValueError, match="'epochs': 3.*, not .*'epochs': 6"):
        classify(tiny_classifier(), images, tmp_path, replace(CLASSIFIER, epochs=6))


def test_several_processes_are_refused_and_nothing_is_written(images, tmp_path, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="train_gan: expected one process, got 2; start it without torchrun"):
        train(tiny_gan(), images, tmp_path)
    with pytest.raises(ValueError, match="train_classifier: expected one process, got 2"):
        classify(tiny_classifier(), images, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_gan_of_another_form_is_refused_and_no_weight_is_touched(images, tmp_path):
    train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=1))
    other = tiny_gan(seed=1)
    other.discriminator[3] = nn.Conv2d(4, 2, 4)
    before = {name: value.clone() for name, value in other.generator.state_dict().items()}
    with pytest.raises(ValueError, match="another model: discriminator.3.bias has shape"):
        train(other, images, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in other.generator.state_dict().items())


def test_a_classifier_learns_what_can_be_learnt(tmp_path):
    labels = torch.arange(64) % 2
    pixels = (labels[:, None, None, None] * 120).expand(64, 3, 8, 8).to(torch.uint8).contiguous()
    net = classify(tiny_classifier(), Images(pixels, labels), tmp_path, replace(CLASSIFIER, epochs=15))
    assert (net.eval()(Images(pixels).x()).argmax(1) == labels).all()


def test_a_classifier_stops_at_a_loss_that_is_not_finite(images, tmp_path):
    with pytest.raises(FloatingPointError, match="loss .*nan|loss .*inf"):
        classify(tiny_classifier(), images, tmp_path, replace(CLASSIFIER, learning_rate=1e30))
    assert not (tmp_path / "state.safetensors").exists()


def test_what_cannot_be_trained_on_is_named(images, tmp_path):
    with pytest.raises(ValueError, match="images: a classifier needs labels"):
        classify(tiny_classifier(), Images(images.pixels), tmp_path)
    with pytest.raises(ValueError, match="images: expected at least 8, got 7"):
        classify(tiny_classifier(), images[:7], tmp_path)
    with pytest.raises(ValueError, match="images: expected at least 24, got 23"):
        train(tiny_gan(), images[:23], tmp_path, replace(RECIPE, n_critic=3))
    assert not list(tmp_path.iterdir())


def test_an_unknown_precision_lists_the_known_ones():
    with pytest.raises(ValueError, match="precision: expected 'float32' or 'bfloat16', got 'half'"):
        autocast(torch.device("cpu"), "half")


def test_auto_is_the_gpu_where_there_is_one(monkeypatch):
    for there, expect in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device("auto").type == expect and pick_device("cpu").type == "cpu"


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_gan_is_trained_as_its_slow_self(n_critic, images, tmp_path):
    """Five batches an epoch, from the epoch's own generators: order, then noise; one pass for both turns."""
    recipe = replace(RECIPE, n_critic=n_critic, betas=(0.3, 0.9), learning_rate=1e-3)
    gan = train(tiny_gan(), images, tmp_path, recipe)
    slow = tiny_gan()
    maker, critic = slow.generator, slow.discriminator
    steps = [torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.3, 0.9)) for net in (critic, maker)]
    for epoch, row in enumerate(rows(tmp_path)):
        noise, told = generator(recipe.seed, epoch, 1), ([], [])
        for i, (real, _) in enumerate(
            images.batches(8, rng=generator(recipe.seed, epoch), device="cpu", drop_last=True)
        ):
            fake = maker(torch.randn(8, 4, generator=noise))
            loss = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
            steps[0].zero_grad()
            loss.backward()
            steps[0].step()
            told[0].append(loss.item())
            if i % n_critic == n_critic - 1:
                loss = softplus(-critic(fake)).mean()
                steps[1].zero_grad()
                loss.backward()
                steps[1].step()
                told[1].append(loss.item())
        assert [float(row["d"]), float(row["g"])] == pytest.approx([sum(t) / len(t) for t in told], rel=1e-4)
    # Biases before BatchNorm have no gradient but rounding's, and change nothing in train mode.
    z = torch.randn(64, 4, generator=generator(7))
    with torch.no_grad():
        x = maker(z)
        torch.testing.assert_close(gan.generator(z), x, rtol=0, atol=2e-3)
        torch.testing.assert_close(gan.discriminator(x), critic(x), rtol=0, atol=2e-3)
        assert (tiny_gan().generator(z) - x).abs().max() > 0.02


def test_a_classifier_is_trained_as_its_slow_self(images, tmp_path):
    """Nesterov's momentum of 0.9 with decay, by hand; 2.5 of 3 epochs of warm-up are cut to half."""
    recipe = replace(CLASSIFIER, warmup_epochs=2.5, weight_decay=0.1)
    net, slow = classify(tiny_classifier(), images, tmp_path, recipe), tiny_classifier()
    speed, table = [torch.zeros_like(p) for p in slow.parameters()], rows(tmp_path)
    for epoch in range(3):
        rng, told = generator(recipe.seed, epoch), []
        for i, (x, labels) in enumerate(images.batches(8, rng=rng, device="cpu", drop_last=True)):
            at = (epoch + i / 5) / 3
            factor = at / 0.5 if at < 0.5 else 0.5 + 0.5 * math.cos(math.pi * (at - 0.5) / 0.5)
            x = torch.from_numpy(flip_and_shift_slowly(x.numpy(), rng, 4))
            loss = cross_entropy(slow(x), labels)
            told.append(loss.item())
            gradient = torch.autograd.grad(loss, list(slow.parameters()))
            with torch.no_grad():
                for p, v, g in zip(slow.parameters(), speed, gradient, strict=True):
                    g = g + 0.1 * p
                    v.mul_(0.9).add_(g)
                    p -= 0.05 * factor * (g + 0.9 * v)
        assert float(table[epoch]["loss"]) == pytest.approx(sum(told) / 5, rel=1e-4)
    for got, expect in zip(net.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(got, expect, rtol=1e-3, atol=1e-4)


def test_other_labels_are_another_run(images, tmp_path):
    classify(tiny_classifier(), images, tmp_path)
    with pytest.raises(ValueError, match="holds a run with {'labels': "):
        classify(tiny_classifier(), Images(images.pixels, 1 - images.labels), tmp_path)


def test_one_batch_is_enough(images, tmp_path):
    train(tiny_gan(), images[:8], tmp_path, replace(RECIPE, epochs=1))
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize("loop", ["gan", "classifier"])
def test_seconds_of_an_epoch_go_on(loop, images, tmp_path):
    def run(epochs):
        if loop == "gan":
            train(tiny_gan(), images, tmp_path, replace(RECIPE, epochs=epochs))
        else:
            classify(tiny_classifier(), images, tmp_path, replace(CLASSIFIER, epochs=3))

    run(2)
    kept, meta = checkpoints.load(tmp_path / "state.safetensors")
    checkpoints.save(tmp_path / "state.safetensors", kept, **meta | {"seconds": 1000.0, "epoch": 1})
    run(3)
    assert 1000.0 < float(rows(tmp_path)[-1]["seconds"]) < 1100.0
