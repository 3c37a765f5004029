"""fit_mle: the numbers of a loop written down anew, what is kept, what stops it, what it refuses."""

import csv
import itertools
import math
import sys
from dataclasses import dataclass, field, replace

import pytest
import torch
from PIL import Image
from torch import nn

from ganedu import checkpoints
from ganedu.rng import generator
from ganedu.training import MLERecipe
from ganedu.training.batches import HELD_OUT, NOISE, ORDER, batches, noise
from ganedu.training.devices import OneDevice, launch
from ganedu.training.recipe import Progress
from tests.training.tiny import (
    KINDS,
    RECIPE,
    Denoising,
    Likelihood,
    Network,
    Seen,
    equal,
    fit,
    furthest,
    make,
    points,
    tensors,
)


def rows(folder) -> list[dict[str, float]]:
    with (folder / "loss.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def fit_slowly(model, objective, data, held_out, recipe: MLERecipe):
    """As the words say: (losses of every step, held-out losses by step, weights, averages), one a step."""
    adam = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=recipe.steps)
    average = [p.detach().clone() for p in model.parameters()]
    losses, judged, weights, averages = [], {}, [], []
    per_epoch = len(data) // recipe.batch_size
    for step in range(recipe.steps):
        epoch = step // per_epoch
        order = torch.randperm(len(data), generator=generator(recipe.seed, ORDER, epoch)).tolist()
        start = (step - epoch * per_epoch) * recipe.batch_size
        x = torch.stack([data[i] for i in order[start : start + recipe.batch_size]])
        drawn = objective.draw(x, generator(recipe.seed, NOISE, step))
        loss = objective.loss(model, *drawn).mean()
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        norm = math.sqrt(sum(g.square().sum().item() for g in gradient))
        shrink = 1.0 if recipe.clip is None else min(1.0, recipe.clip / norm)
        for p, g in zip(model.parameters(), gradient, strict=True):
            p.grad = shrink * g
        adam.step()
        if recipe.schedule == "cosine":
            cosine.step()
        losses.append(loss.item())
        live = [p.detach().clone() for p in model.parameters()]
        average = [recipe.ema * a + (1 - recipe.ema) * p for a, p in zip(average, live, strict=True)]
        weights.append(live)
        averages.append(average)
        if (step + 1) % recipe.evaluate_every == 0 or step + 1 == recipe.steps:
            with torch.no_grad():
                for p, a in zip(model.parameters(), average, strict=True):
                    p.copy_(a)
                total = 0.0
                for i in range(0, len(held_out), recipe.batch_size):
                    rng = generator(recipe.seed, HELD_OUT, i // recipe.batch_size)
                    drawn = objective.draw(held_out[i : i + recipe.batch_size], rng)
                    total += objective.loss(model, *drawn).sum().item()
                for p, w in zip(model.parameters(), live, strict=True):
                    p.copy_(w)
            judged[step + 1] = total / len(held_out)
    return losses, judged, weights, averages


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changed",
    [{}, {"schedule": "cosine"}, {"ema": 0.0, "clip": None}, {"clip": 0.3}, {"batch_size": 47}],
    ids=["constant", "cosine", "plain", "clipped", "all rows"],
)
def test_the_loop_is_its_slow_self(kind, changed, tmp_path):
    recipe = replace(RECIPE, steps=70, **changed)
    model = fit(kind, tmp_path, recipe)
    slow = fit_slowly(make(kind), KINDS[kind][1], points(47), points(20, seed=1), recipe)
    losses, judged, weights, averages = slow

    table = rows(tmp_path)
    assert [row["step"] for row in table] == [15, 30, 45, 60, 70] == list(judged)
    for before, row in zip([0, 15, 30, 45, 60], table, strict=True):
        part = losses[before : int(row["step"])]
        assert row["loss"] == pytest.approx(sum(part) / len(part), rel=1e-5)
        assert row["held_out"] == pytest.approx(judged[row["step"]], rel=1e-5)
    best = min(judged, key=judged.get)
    for got, expect in zip(model.parameters(), averages[best - 1], strict=True):
        torch.testing.assert_close(got.detach(), expect, rtol=1e-4, atol=1e-6)
    kept = tensors(tmp_path)
    for (name, _), expect in zip(model.named_parameters(), weights[-1], strict=True):
        torch.testing.assert_close(kept[f"model.{name}"], expect, rtol=1e-4, atol=1e-6)


def test_the_best_weights_are_those_in_the_file_and_in_the_model_which_is_in_eval_mode(tmp_path):
    model = fit("denoising", tmp_path, model=Network(norm=True))
    again = Network(norm=True)
    tensors, meta = checkpoints.load(tmp_path / "best.safetensors")
    checkpoints.unpack(tensors, model=again)
    assert equal(model.state_dict(), again.state_dict()) and not model.training
    assert meta["step"] == min(rows(tmp_path), key=lambda row: row["held_out"])["step"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors", "loss.csv", "loss.png", "state.safetensors",
    ]  # fmt: skip
    with Image.open(tmp_path / "loss.png") as picture:
        picture.load()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_without_held_out_rows_the_last_weights_are_kept(ema, tmp_path):
    model = fit("likelihood", tmp_path, replace(RECIPE, ema=ema), held_out=None)
    kept, part = tensors(tmp_path), "average" if ema else "model"
    assert equal(model.state_dict(), {name: kept[f"{part}.{name}"] for name in ("mean", "log_scale")})
    assert "held_out" not in rows(tmp_path)[0]


def test_a_bell_becomes_the_one_of_highest_likelihood(tmp_path):
    x = points(100)
    recipe = MLERecipe(steps=400, batch_size=100, learning_rate=0.05, schedule="cosine")
    model = fit("likelihood", tmp_path, recipe, data=x, held_out=None)
    torch.testing.assert_close(model.mean.detach(), x.mean(0), rtol=0, atol=1e-4)
    torch.testing.assert_close(model.log_scale.exp().detach(), x.std(0, correction=0), rtol=0, atol=1e-4)


class Interrupted(BaseException):
    """As Ctrl-C: no Exception."""


@dataclass(frozen=True)
class Breaks(Denoising):
    """Interrupted in the midst of a step, once."""

    at: int = 0
    calls: itertools.count = field(default_factory=itertools.count, compare=False)

    def loss(self, model, x, noisy):
        if model.training and next(self.calls) == self.at:
            raise Interrupted
        return super().loss(model, x, noisy)


@pytest.mark.parametrize("at", [3, 20, 44, 45, 59, 60, 129])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "BatchNorm"])
def test_a_run_that_was_interrupted_ends_bit_for_bit_as_one_that_was_not(at, norm, tmp_path):
    whole, broken, resumed = Network(norm), Network(norm), Network(norm)
    broken.load_state_dict(whole.state_dict())
    resumed.load_state_dict(whole.state_dict() if at < 20 else resumed.state_dict())
    fit("denoising", tmp_path / "whole", model=whole)
    breaks = Breaks(at=at)
    with pytest.raises(Interrupted):
        fit("denoising", tmp_path / "broken", model=broken, objective=breaks)
    fit("denoising", tmp_path / "broken", model=resumed, objective=breaks)
    assert equal(whole.state_dict(), resumed.state_dict())
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "broken"))
    for name in ("loss.csv", "best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_dropout_is_that_of_the_step_wherever_a_run_was_stopped(tmp_path):
    """And torch's global generator is where it was."""

    def dropping():
        model = make("denoising")
        model.layers.insert(1, nn.Dropout(0.5))
        return model

    whole = fit("denoising", tmp_path / "whole", model=dropping())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        before = torch.get_rng_state()
        fit("denoising", tmp_path / "parts", replace(RECIPE, steps=60), model=dropping())
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(6)
        parts = fit("denoising", tmp_path / "parts", model=dropping())
    assert equal(whole.state_dict(), parts.state_dict())


@pytest.mark.parametrize("lost", ["adam", "average", "best"])
def test_whatever_is_lost_at_a_stop_would_be_seen(lost, tmp_path, monkeypatch):
    """The rate is so high that later looks find no better weights than those that were lost."""
    recipe, held_out = replace(RECIPE, learning_rate=0.5), points(20, seed=1)
    fit("likelihood", tmp_path / "whole", recipe, held_out=held_out)
    fit("likelihood", tmp_path / "broken", replace(recipe, steps=120), held_out=held_out)
    unpack = checkpoints.unpack

    def forgetful(tensors, **parts):
        unpack(tensors, **{name: part for name, part in parts.items() if name != lost})

    monkeypatch.setattr(checkpoints, "unpack", forgetful)
    fit("likelihood", tmp_path / "broken", recipe, held_out=held_out)
    one, two = tensors(tmp_path / "whole"), tensors(tmp_path / "broken")
    assert any(not torch.equal(one[name], two[name]) for name in one if name.startswith(lost))


def test_a_run_that_is_over_can_be_prolonged_but_not_changed(tmp_path):
    fit("denoising", tmp_path, replace(RECIPE, steps=60))
    longer = fit("denoising", tmp_path, RECIPE)
    assert equal(longer.state_dict(), fit("denoising", tmp_path / "whole").state_dict())
    model = Network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="steps: .* holds a run of 130, more than the 60 asked for"):
        fit("denoising", tmp_path, replace(RECIPE, steps=60), model=model)
    assert equal(model.state_dict(), before)
    for change, then in (({"learning_rate": 1e-3}, "'learning_rate': 0.01"), ({"seed": 4}, "'seed': 3")):
        with pytest.raises(ValueError, match=f"holds a run with .*{then}.*, not .*another folder"):
            fit("denoising", tmp_path, replace(RECIPE, **change))
    with pytest.raises(ValueError, match="'std': 0.5.*, not .*'std': 1.0"):
        fit("denoising", tmp_path, objective=Denoising(1.0))
    with pytest.raises(ValueError, match=r"'data': 'float32 \(47, 2\).*, not .*'data': 'float32 \(46, 2\)"):
        fit("denoising", tmp_path, data=points(46))
    with pytest.raises(ValueError, match=r"'held_out': 'float32 \(20, 2\).*, not .*'held_out': None"):
        fit("denoising", tmp_path, held_out=None)
    for changed in (
        {"data": points(47, seed=2)},
        {"held_out": points(20, seed=2)},
        {"precision": "bfloat16"},
    ):
        with pytest.raises(ValueError, match=f"holds a run with .*'{next(iter(changed))}'"):
            fit("denoising", tmp_path, **changed)


def test_a_run_of_another_model_is_refused_and_no_weight_is_touched(tmp_path):
    """The first layers have the same names and shapes in all three, and would be the first to be filled."""
    fit("denoising", tmp_path, replace(RECIPE, steps=20))
    wide = Network()
    wide.layers[2] = torch.nn.Linear(8, 3)
    for model, message in (
        (Network(norm=True), "average.layers.1.bias has shape None there and .* here"),
        (wide, r"average.layers.2.bias has shape \(2,\) there and \(3,\) here"),
    ):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(ValueError, match=f"holds a run of another model: {message}"):
            fit("denoising", tmp_path, model=model)
        assert equal(model.state_dict(), before)


def test_a_run_from_before_rows_and_precision_were_recorded_is_refused(tmp_path):
    fit("denoising", tmp_path, replace(RECIPE, steps=20))
    kept, meta = checkpoints.load(tmp_path / "state.safetensors")
    unknown = ("objective", "data", "held_out", "precision")
    old = {name: value for name, value in meta["recipe"].items() if name not in unknown}
    meta["recipe"] = old | {"objective": "Denoising", "std": 0.5, "rows": 47, "held_out": 20}
    checkpoints.save(tmp_path / "state.safetensors", kept, **meta)
    with pytest.raises(ValueError, match="'data': 'not recorded'.*, not .*remove it or name another folder"):
        fit("denoising", tmp_path)


def test_a_cosine_that_is_over_is_over(tmp_path):
    """Its rates are those of so many steps and no others."""
    recipe = replace(RECIPE, steps=30, schedule="cosine")
    fit("likelihood", tmp_path, recipe)
    with pytest.raises(ValueError, match="'steps': 30.*, not .*'steps': 60"):
        fit("likelihood", tmp_path, replace(recipe, steps=60))


def test_training_ends_where_patience_does(tmp_path):
    """The data's mean is (0.5, -1) and the held-out rows' 0: the held-out loss falls, then rises."""
    recipe = replace(RECIPE, steps=2000, ema=0.0, patience=3)
    options = {"held_out": 2.0 * points(200) - points(200).mean(0)}
    fit("likelihood", tmp_path, recipe, **options)
    held_out = [row["held_out"] for row in rows(tmp_path)]
    lowest = held_out.index(min(held_out))
    assert 0 < lowest and len(held_out) == lowest + 1 + 3 < 2000 / 15

    before = (tmp_path / "loss.csv").read_bytes()
    again = fit("likelihood", tmp_path, recipe, **options)
    assert (tmp_path / "loss.csv").read_bytes() == before, "a run that is over stays over"
    fit("likelihood", tmp_path / "short", replace(recipe, steps=15 * (lowest + 1), patience=None), **options)
    kept = tensors(tmp_path / "short")
    assert equal(again.state_dict(), {name: kept[f"model.{name}"] for name in ("mean", "log_scale")})


def test_patience_counts_looks_since_the_best():
    recipe, run = replace(RECIPE, patience=2, steps=100), Progress()
    seen = []
    for run.step, loss in ((15, 3.0), (30, 2.0), (45, 2.0), (60, 1.0), (75, 1.5), (90, 1.1)):
        seen.append((run.looked(loss), run.over(recipe)))
    better = [(True, False), (True, False), (False, False), (True, False), (False, False), (False, True)]
    assert seen == better and (run.best_step, run.best_loss) == (60, 1.0)
    assert not run.over(replace(recipe, patience=None)) and run.over(replace(recipe, patience=None, steps=90))


def test_a_prolonged_run_ends_at_a_look_and_not_between_two():
    """Steps 52 are off the grid of 15: the end is a look, and the next ones are 60 and 75."""
    recipe, run = replace(RECIPE, patience=2, steps=100), Progress()
    ends = []
    for run.step in range(1, 80):
        if run.step % 15 == 0 or run.step == 52:
            run.looked(float(run.step != 45))  # best at 45
        if run.over(recipe):
            ends.append(run.step)
    assert ends[0] == 60 and ends == list(range(60, 80))


def test_every_row_comes_once_an_epoch_and_the_seed_decides_when():
    data = torch.arange(11)
    batch = batches(data, 3, seed=0)
    epochs = [torch.cat([batch(3 * epoch + i) for i in range(3)]).tolist() for epoch in range(50)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 50
    assert set(itertools.chain(*epochs)) == set(range(11)), "no row is left out of every epoch"
    assert torch.equal(batch(4), batches(data, 3, seed=0)(4))
    assert not torch.equal(batch(4), batches(data, 3, seed=1)(4))


def test_a_stream_makes_fresh_rows_for_every_step(tmp_path):
    """Mean and scale of N(3, 2²) from 300 batches of 64; the average of the last 100 steps or so has
    errors below 2/√6400 = 0.025: a tenth and more is 4 of them, at a fixed seed."""
    asked = []

    def stream(n, rng):
        asked.append(n)
        return 3.0 + 2.0 * torch.randn(n, 2, generator=rng)

    recipe = MLERecipe(steps=600, batch_size=64, learning_rate=0.05, ema=0.99)
    model = fit("likelihood", tmp_path, recipe, data=stream, held_out=None)
    assert asked == [64] * 600
    torch.testing.assert_close(model.mean.detach(), torch.full((2,), 3.0), rtol=0, atol=0.1)
    torch.testing.assert_close(model.log_scale.exp().detach(), torch.full((2,), 2.0), rtol=0, atol=0.1)
    batch = batches(stream, 64, seed=0)
    assert torch.equal(batch(7), batch(7)) and not torch.equal(batch(7), batch(8))


@dataclass(frozen=True)
class Nan(Denoising):
    """Not finite at one step, or where held-out rows are judged."""

    at: int | None = None
    calls: itertools.count = field(default_factory=itertools.count, compare=False)

    def loss(self, model, x, noisy):
        broken = next(self.calls) == self.at if model.training else self.at is None
        return super().loss(model, x, noisy) * (math.nan if broken else 1.0)


def test_a_loss_that_is_not_finite_stops_and_the_last_checkpoint_is_kept(tmp_path):
    with pytest.raises(FloatingPointError, match="^step 75 or .*: the loss of the model is nan; a weight of"):
        fit("denoising", tmp_path, objective=Nan(at=62), held_out=None)
    tensors, meta = checkpoints.load(tmp_path / "state.safetensors")
    assert meta["progress"]["step"] == 60 and all(torch.isfinite(value).all() for value in tensors.values())
    with pytest.raises(FloatingPointError, match="held-out loss is NaN"):
        fit("denoising", tmp_path / "held out", objective=Nan())


@dataclass(frozen=True)
class Cliff(Likelihood):
    """A finite loss whose gradient is not: the square root at zero."""

    def loss(self, model, x):
        return (0.0 * model.mean).sum().sqrt().expand(len(x))


def test_held_out_rows_that_are_broken_or_of_another_shape_are_named(tmp_path):
    """Before anything is trained: a lower learning rate would not help."""
    broken = torch.full((4, 2), math.nan)
    with pytest.raises(ValueError, match="held_out: expected finite numbers, got NaN"):
        fit("likelihood", tmp_path, held_out=broken)
    with pytest.raises(
        ValueError, match=r"held_out: expected rows of shape \(2,\), as those of data, got \(3,\)"
    ):
        fit("likelihood", tmp_path, held_out=torch.zeros(4, 3))
    with pytest.raises(ValueError, match="data: expected finite numbers, got NaN"):
        fit("likelihood", tmp_path, data=lambda n, rng: broken[:1].expand(n, 2), held_out=None)
    assert not (tmp_path / "state.safetensors").exists()


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    with pytest.raises(FloatingPointError, match="a weight of the model is not finite"):
        fit("likelihood", tmp_path, replace(RECIPE, checkpoint_every=1, clip=None), objective=Cliff())
    assert not (tmp_path / "state.safetensors").exists()


@dataclass(frozen=True)
class Steep(Likelihood):
    """Finite, as is its gradient; the gradient's square is not."""

    def loss(self, model, x):
        return 1e30 * super().loss(model, x)


def test_an_optimiser_that_has_met_an_infinite_square_is_not_kept(tmp_path):
    """Adam moves that weight no more, while losses and weights stay finite; a clipped gradient is small."""
    recipe = replace(RECIPE, checkpoint_every=1, clip=None)
    with pytest.raises(FloatingPointError, match="the optimiser of the model remembers a number that"):
        fit("likelihood", tmp_path, recipe, objective=Steep())
    assert not (tmp_path / "state.safetensors").exists()
    fit("likelihood", tmp_path, replace(recipe, clip=1.0), objective=Steep())


def test_in_half_precision_weights_and_judgement_stay_in_single(tmp_path):
    half = fit("denoising", tmp_path / "half", precision="bfloat16")
    single = fit("denoising", tmp_path / "single")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert 1e-6 < furthest(half.state_dict(), single.state_dict()) < 0.1
    exact = KINDS["denoising"][1]
    (last,) = rows(tmp_path / "half")[-1:]
    kept = tensors(tmp_path / "half")
    half.load_state_dict({k.removeprefix("average."): v for k, v in kept.items() if k.startswith("average.")})
    total = 0.0
    for i, x in enumerate(points(20, seed=1).split(RECIPE.batch_size)):
        with torch.no_grad():
            total += exact.loss(half, *exact.draw(x, generator(RECIPE.seed, HELD_OUT, i))).sum().item()
    assert last["held_out"] == pytest.approx(total / 20, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_with_and_without_lightning_fabric_the_numbers_are_the_same(precision, tmp_path, monkeypatch):
    pytest.importorskip("lightning_fabric")
    with_fabric = fit("denoising", tmp_path / "with", precision=precision)
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    assert isinstance(launch("cpu"), OneDevice)
    without = fit("denoising", tmp_path / "without", precision=precision)
    assert equal(with_fabric.state_dict(), without.state_dict())
    assert equal(tensors(tmp_path / "with"), tensors(tmp_path / "without"))
    assert (tmp_path / "with" / "loss.csv").read_bytes() == (tmp_path / "without" / "loss.csv").read_bytes()


def test_several_processes_without_lightning_fabric_are_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModuleNotFoundError, match=r"2 processes.*pip install 'ganedu\[training\]'"):
        launch("cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": points(6)}, "data: expected at least one batch of 7 rows, got 6"),
        ({"held_out": points(0)}, "held_out: expected at least one row, got none"),
        ({"recipe": replace(RECIPE, patience=1), "held_out": None}, "held_out: patience needs"),
        ({"precision": "half"}, "precision: expected 'float32' or 'bfloat16', got 'half'"),
    ],
)
def test_what_cannot_be_trained_on_is_named_and_nothing_is_written(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fit("likelihood", tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("foreign", ["date,price\nMonday,3\n", "step,price\nMonday,3\n"])
def test_a_file_of_somebody_else_is_named_and_left_alone(foreign, tmp_path):
    (tmp_path / "loss.csv").write_text(foreign)
    with pytest.raises(ValueError, match="loss.csv: expected rows of a training, with a column step"):
        fit("likelihood", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["loss.csv"]
    assert (tmp_path / "loss.csv").read_text() == foreign


def test_a_loss_of_another_shape_is_named(tmp_path):
    class Mean(Likelihood):
        def loss(self, model, x):
            return super().loss(model, x).mean()

    with pytest.raises(ValueError, match=r"objective: expected losses \(7,\), got shape \(\)"):
        fit("likelihood", tmp_path, objective=Mean())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 2.5),
        ("evaluate_every", 0),
        ("checkpoint_every", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("schedule", "linear"),
        ("clip", 0.0),
        ("ema", 1.0),
        ("ema", -0.1),
        ("patience", 0),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected .* got {value!r}"):
        replace(RECIPE, **{name: value})


def test_every_step_drops_other_numbers(tmp_path):
    model = make("denoising")
    model.layers.append(Seen())
    fit("denoising", tmp_path, replace(RECIPE, steps=5, ema=0.0), model=model, held_out=None)
    assert len(model.layers[3].masks) == 5 == len(set(model.layers[3].masks))


def test_after_a_look_without_an_average_training_goes_on_in_train_mode(tmp_path):
    recipe = replace(RECIPE, steps=40, ema=0.0)
    fit("denoising", tmp_path, recipe, model=Network(norm=True))
    assert tensors(tmp_path)["model.layers.1.num_batches_tracked"] == 40


def test_where_patience_ends_the_best_is_kept_with_its_step(tmp_path):
    """Looks every 15 steps, checkpoints every 1000: nothing else writes."""
    recipe = replace(RECIPE, steps=2000, ema=0.0, patience=3, checkpoint_every=1000)
    held_out = 2.0 * points(200) - points(200).mean(0)
    model = fit("likelihood", tmp_path, recipe, held_out=held_out)
    kept, meta = checkpoints.load(tmp_path / "best.safetensors")
    assert equal({f"model.{name}": value for name, value in model.state_dict().items()}, kept)
    with (tmp_path / "loss.csv").open() as file:
        looks = {int(row["step"]): float(row["held_out"]) for row in csv.DictReader(file)}
    assert meta["step"] == min(looks, key=looks.get) == max(looks) - 3 * 15 < 955


def test_an_infinite_held_out_loss_is_one_to_go_on_from(tmp_path):
    @dataclass(frozen=True)
    class Far(Likelihood):
        def loss(self, model, x):
            return super().loss(model, x) + (0.0 if model.training or model.mean[0] > 0.25 else math.inf)

    fit("likelihood", tmp_path, replace(RECIPE, steps=60, ema=0.0), objective=Far())
    with (tmp_path / "loss.csv").open() as file:
        losses = [float(row["held_out"]) for row in csv.DictReader(file)]
    assert losses[0] == math.inf and math.isfinite(losses[-1])


def test_a_model_in_eval_mode_is_trained_in_train_mode(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one = Network(norm=True)
    two = Network(norm=True)
    two.load_state_dict(one.state_dict())
    recipe = replace(RECIPE, steps=10)
    fit("denoising", tmp_path / "train", recipe, model=one)
    fit("denoising", tmp_path / "eval", recipe, model=two.eval())
    assert equal(one.state_dict(), two.state_dict())


def test_infinite_rows_and_too_many_are_named(tmp_path):
    broken = points(47)
    broken[3, 0] = math.inf
    with pytest.raises(ValueError, match="data: expected finite numbers, got NaN or infinity"):
        fit("likelihood", tmp_path, data=broken)
    with pytest.raises(ValueError, match=r"data: expected a stream to make 7 rows, got \(8, 2\)"):
        fit("likelihood", tmp_path, data=lambda n, rng: torch.zeros(n + 1, 2))


def test_a_run_of_a_larger_model_is_refused(tmp_path):
    recipe = replace(RECIPE, steps=20)
    fit("denoising", tmp_path, recipe, model=Network(norm=True))
    small = Network()
    small.layers[1] = nn.Identity()
    small.layers.append(nn.Identity())
    small.layers = nn.Sequential(small.layers[0], nn.Tanh())
    before = {name: value.clone() for name, value in small.state_dict().items()}
    with pytest.raises(
        ValueError, match="holds a run of another model: .*layers.1.bias has shape .* there and None"
    ):
        fit("denoising", tmp_path, recipe, model=small)
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())


def test_the_seconds_of_a_run_go_on(tmp_path):
    fit("denoising", tmp_path, replace(RECIPE, steps=20))
    kept, meta = checkpoints.load(tmp_path / "state.safetensors")
    meta["progress"]["seconds"] = 1000.0
    checkpoints.save(tmp_path / "state.safetensors", kept, **meta)
    fit("denoising", tmp_path, replace(RECIPE, steps=40))
    assert 1000.0 < checkpoints.load(tmp_path / "state.safetensors")[1]["progress"]["seconds"] < 2000.0


def test_the_rows_of_a_stream_and_the_noise_of_a_step_are_two_sequences():
    rows_of = batches(lambda n, rng: torch.randn(n, 2, generator=rng), 5, seed=3)
    assert not torch.equal(rows_of(4), torch.randn(5, 2, generator=noise(3, 4, torch.device("cpu"))))
