"""What a classifier's training is made of: the learning rate's cycle, and augmentation."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from ganedu.rng import generator
from ganedu.training import flip_and_shift, one_cycle


def test_the_learning_rate_rises_and_falls_once():
    assert [one_cycle(p, 0.2) for p in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])
    steps = [one_cycle(p / 1000, 0.2) for p in range(1001)]
    assert all(a < b for a, b in itertools.pairwise(steps[:201]))
    assert all(a > b for a, b in itertools.pairwise(steps[200:]))
    assert one_cycle(0.0, 0.0) == 1.0
    # The cosine is PyTorch's.
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=80)
    for step in range(80):
        assert one_cycle(0.2 + step / 100, 0.2) == pytest.approx(cosine.get_last_lr()[0], abs=1e-12)
        sgd.step()
        cosine.step()


def flip_and_shift_slowly(x: np.ndarray, rng: torch.Generator, pixels: int) -> np.ndarray:
    """As the words say, an image at a time."""
    mirrored = torch.rand(len(x), generator=rng) < 0.5
    shifts = torch.randint(0, 2 * pixels + 1, (2, len(x), 1), generator=rng)
    out = np.empty_like(x)
    for i, image in enumerate(x):
        if mirrored[i]:
            image = image[:, :, ::-1]
        wide = np.pad(image, ((0, 0), (pixels, pixels), (pixels, pixels)), mode="reflect")
        top, left = shifts[:, i, 0].tolist()
        out[i] = wide[:, top : top + x.shape[2], left : left + x.shape[3]]
    return out


@pytest.mark.parametrize("shape", [(20, 3, 8, 8), (5, 1, 6, 9)])
@pytest.mark.parametrize("pixels", [0, 1, 4])
def test_augmentation_is_its_slow_self(shape, pixels):
    x = torch.randn(shape, generator=generator(1))
    fast = flip_and_shift(x, generator(2), pixels)
    np.testing.assert_array_equal(fast.numpy(), flip_and_shift_slowly(x.numpy(), generator(2), pixels))
    assert pixels == 0 or not torch.equal(fast, x)


def test_augmentation_reaches_every_shift_and_both_sides():
    """500 images, 18 outcomes: one is missed with probability below 18 (17/18)^500 < 1e-11."""
    ramp = torch.arange(16.0).view(1, 1, 4, 4).expand(500, 1, 4, 4)
    assert len({tuple(image.flatten().tolist()) for image in flip_and_shift(ramp, generator(0), 1)}) == 18
