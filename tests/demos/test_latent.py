"""Lecture 10's looks into latent space: what the text says of a path's plane and of inversions."""

import pytest
import torch
from sklearn.decomposition import PCA

from ganedu import demos
from ganedu.demos import latent
from tests.demos.test_rep_gan import drive


def test_the_plane_is_that_of_scikit_learn():
    way, cloud = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = latent.principal(way.cumsum(0), cloud)
    theirs = PCA(2).fit(way.cumsum(0).numpy())
    assert torch.allclose(found.shares[:2], torch.from_numpy(theirs.explained_variance_ratio_))
    for ours, points in ((found.way, way.cumsum(0)), (found.cloud, cloud)):
        # Axes are known up to their signs.
        assert torch.allclose(ours.abs(), torch.from_numpy(theirs.transform(points.numpy())).abs())


def test_a_photograph_is_a_small_square_of_the_whole():
    x = latent.photograph("flower.jpg")
    assert x.shape == (3, 32, 32) and -1 <= x.min() < x.max() <= 1
    assert x[0].mean() > x[2].mean()  # an orange flower


@pytest.mark.slow
def test_latent_path():
    prior_and_d, prior_alone = latent.DRIVERS
    z_space, feature_space = latent.SPACES
    walk = latent.random_walk_shares(torch.tensor([1.0, 2.0]))
    for driver in latent.DRIVERS:
        shares = latent.plane(0.01, driver, z_space).shares
        assert shares[:2].sum() > 2 / 3
        assert torch.allclose(shares[:2], walk, atol=0.12)
        assert latent.plane(0.5, driver, z_space).shares[:2].sum() < 0.2
    for step_size in latent.STEP_SIZES:
        seen = latent.plane(step_size, prior_and_d, z_space)
        assert (seen.way.std(0) > 2 * seen.cloud.std(0)).all()  # wider than the cloud
        seen = latent.plane(step_size, prior_and_d, feature_space)
        assert ((seen.way.std(0) / seen.cloud.std(0) - 1).abs() < 0.25).all()
    ends = {"step": (0, 112, 240), "step_size": latent.STEP_SIZES}
    ends |= {"driver": latent.DRIVERS, "space": latent.SPACES}
    drive(demos.latent_path(), ends)


@pytest.mark.slow
def test_inversion():
    runs = latent.inverted()
    assert list(runs) == list(latent.PICTURES)
    own, photographs = (latent.PICTURES[:2], latent.PICTURES[2:])
    for name in own:
        run = runs[name]
        assert (run.error[-1] < 0.005).sum() >= 3  # most starts
        distance = (run.z - run.truth).norm(dim=2)
        assert (distance[-1] < distance[0]).all() and (distance[-1] > 2).all()
    assert max(float(runs[name].error[-1].max()) for name in own) > 0.01  # one is stuck
    for name in photographs:
        run = runs[name]
        assert (run.error[-1] > 0.02).all()
        assert (run.error[-1] > 0.6 * run.error[80]).all()  # it stops falling
        assert ((run.z[-1].norm(dim=1) > 10.7) & (run.z[-1].norm(dim=1) < 17)).all()
    drive(demos.inversion(), {"picture": latent.PICTURES, "iteration": (0, 60, 120)})
