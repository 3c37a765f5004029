"""Training state on disk: what goes in comes out, and a crash leaves the old file."""

import copy
import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from ganedu import checkpoints
from ganedu.rng import generator

OPTIMISERS = {
    "adam": lambda net: torch.optim.Adam(net.parameters(), lr=1e-2, betas=(0.5, 0.999)),
    "sgd": lambda net: torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9, nesterov=True),
}


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def step(net: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(16, 4, generator=generator(seed))
    optimiser.zero_grad()
    net(x).square().mean().backward()
    optimiser.step()


def same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), two.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_training_goes_on_bit_for_bit(kind, tmp_path):
    net = small_net()
    optimiser = OPTIMISERS[kind](net)
    for seed in range(3):
        step(net, optimiser, seed)
    checkpoints.save(tmp_path / "state", checkpoints.pack(net=net, optimiser=optimiser), epoch=3)

    twin = small_net()
    resumed = OPTIMISERS[kind](twin)
    tensors, meta = checkpoints.load(tmp_path / "state")
    checkpoints.unpack(tensors, net=twin, optimiser=resumed)
    assert meta == {"epoch": 3} and same(net, twin)
    for seed in range(3, 6):
        step(net, optimiser, seed)
        step(twin, resumed, seed)
    assert same(net, twin)


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_without_the_running_averages_it_would_not(kind):
    net = small_net()
    optimiser = OPTIMISERS[kind](net)
    step(net, optimiser, 0)
    twin = copy.deepcopy(net)
    forgetful = OPTIMISERS[kind](twin)
    step(net, optimiser, 1)
    step(twin, forgetful, 1)
    assert not same(net, twin)


def test_a_state_is_put_back_whatever_the_optimiser_had_seen(tmp_path):
    net, other = small_net(), small_net()
    optimiser, used = OPTIMISERS["adam"](net), OPTIMISERS["adam"](other)
    for seed in range(3):
        step(other, used, seed)
    checkpoints.unpack(checkpoints.pack(net=net, optimiser=optimiser), net=other, optimiser=used)
    step(net, optimiser, 9)
    step(other, used, 9)
    assert same(net, other)


def test_parts_whose_names_begin_alike_are_kept_apart():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    flat = checkpoints.pack(g=a, g_ema=b)
    c, d = nn.Linear(2, 2), nn.Linear(2, 2)
    checkpoints.unpack(flat, g=c, g_ema=d)
    assert same(a, c) and same(b, d) and not same(a, b)


def test_types_shapes_and_views_survive(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    tensors = {
        "view": base.T,
        "same memory": base,
        "half": torch.randn(2).bfloat16(),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "image": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }
    found, meta = checkpoints.load(checkpoints.save(tmp_path / "deep" / "er" / "x", tensors))
    assert meta == {} and found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


@pytest.mark.parametrize("moment", ["while it is written", "before it is renamed"])
def test_a_crash_leaves_the_old_file(moment, tmp_path, monkeypatch):
    path = checkpoints.save(tmp_path / "state", {"x": torch.zeros(3)}, epoch=1)

    def crash(*_, **__):
        raise KeyboardInterrupt

    def crash_half_way(_, part, **__):
        Path(part).write_bytes(b"half")
        crash()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if moment == "while it is written":
            patch.setattr(checkpoints, "save_file", crash_half_way)
        else:
            patch.setattr(Path, "replace", crash)
        checkpoints.save(path, {"x": torch.ones(3)}, epoch=2)
    tensors, meta = checkpoints.load(path)
    assert meta == {"epoch": 1} and tensors["x"].tolist() == [0.0, 0.0, 0.0]

    checkpoints.save(path, {"x": torch.ones(3)}, epoch=2)
    assert checkpoints.load(path)[1] == {"epoch": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "state").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(Exception, match="(?i)header|metadata|safetensor"):
        checkpoints.load(tmp_path / "state")
    assert not (tmp_path / "sprung").exists()


def test_a_file_of_another_program_has_no_meta(tmp_path):
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<f", 2.5))
    tensors, meta = checkpoints.load(tmp_path / "x")
    assert meta == {} and tensors["x"].item() == 2.5
