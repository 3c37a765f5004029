"""The volumes of a bent sheet are areas, and they cancel."""

import math

import pytest
import torch

from ganedu import demos
from ganedu.demos import surface
from tests.demos.test_rep_gan import drive


@pytest.mark.parametrize("bend", [0.1, 0.8, 1.5])
def test_the_volume_is_the_area_of_a_small_parallelogram(bend):
    z, h = torch.tensor([0.7, -1.1], dtype=torch.float64), 1e-4
    step = h * torch.eye(2, dtype=torch.float64)
    along = [surface.surface(z + d, bend) - surface.surface(z - d, bend) for d in step]
    area = torch.linalg.cross(*along).norm() / (2 * h) ** 2
    assert surface.log_volume(z, bend).exp() == pytest.approx(float(area), rel=1e-6)


def test_the_bend_moves_the_volumes_alone_and_their_sum_is_zero():
    z, z_new = torch.tensor([surface.HERE, (1.6, -1.2)], dtype=torch.float64)
    flat, bent = surface.terms(z, z_new, 0.1), surface.terms(z, z_new, 1.5)
    for name in flat:
        assert flat[name].latent == bent[name].latent
        assert abs(bent[name].volume) > 5 * abs(flat[name].volume)
    for parts in (flat, bent):
        assert math.fsum(term.volume for term in parts.values()) == pytest.approx(0, abs=1e-12)
    proposal = [name for name in bent if "log q" in name]
    assert abs(sum(bent[name].volume for name in proposal)) > 0.3  # what forgetting them costs


def test_jacobians():
    ends = {"bend": (0.1, 0.8, 1.5), "z1": (-2.0, 0.0, 2.0), "z2": (-2.0, 0.0, 2.0)}
    drive(demos.jacobians(), ends)
