"""Demos of lecture 10 on what one sees in latent space: a chain's path in two dimensions, an inversion."""

from functools import cache
from typing import NamedTuple

import torch
from ipywidgets import Dropdown, IntSlider, SelectionSlider, ToggleButtons
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn.functional import interpolate

from ganedu import zoo
from ganedu.demos.dcgan import gan, images, target, walk
from ganedu.demos.panel import Panel
from ganedu.rng import generator
from ganedu.samplers import Langevin
from ganedu.targets import StandardNormal
from ganedu.viz import latent as plots
from ganedu.viz.figure import Figure

WIDE = {"style": {"description_width": "initial"}, "layout": {"width": "330px"}}

STEP_SIZES = (0.01, 0.1, 0.5)
STEPS, THIN = 240, 4
N_CLOUD, COMPONENTS, N_PICTURES = 120, 6, 11
DRIVERS, SPACES = ("prior and D", "prior alone"), ("latent z", "classifier's features")


class Plane(NamedTuple):
    """A path seen along its own principal axes.

    ``way`` (states, 2) and ``cloud`` (n, 2) are coordinates along the first two; ``shares`` (COMPONENTS,)
    of the path's variance along each of the first few.
    """

    way: Tensor
    cloud: Tensor
    shares: Tensor


def principal(way: Tensor, cloud: Tensor) -> Plane:
    """PCA of the states way (states, d); ``cloud`` (n, d) is projected on the same axes."""
    centre = way.mean(0)
    _, sizes, axes = torch.linalg.svd(way - centre, full_matrices=False)
    shares = sizes.square() / sizes.square().sum()
    return Plane((way - centre) @ axes[:2].T, (cloud - centre) @ axes[:2].T, shares[:COMPONENTS])


def random_walk_shares(j: Tensor) -> Tensor:
    """6 / (π j)²: of a long random walk in many dimensions along its j-th principal axis (L10.16)."""
    return 6.0 / (torch.pi * j) ** 2


@cache
def states(step_size: float, driver: str) -> Tensor:
    """Every THIN-th state (STEPS / THIN + 1, 100) of one chain, the start first.

    Start, noise and uniforms are the same for each step size and for both of DRIVERS.
    """
    law = target() if driver == DRIVERS[0] else StandardNormal(gan().latent_dim)
    return walk(law, Langevin(step_size), gan().prior(1, generator(10, 50)), STEPS, seed=51).z[::THIN, 0]


def features(z: Tensor) -> Tensor:
    """Of the pictures G(z) in the zoo's classifier, (n, 100) -> (n, 256)."""
    with torch.no_grad():
        return _classifier().features(images(z))


@cache
def cloud(space: str) -> Tensor:
    """N_CLOUD draws of the prior, or the features of their pictures."""
    z = gan().prior(N_CLOUD, generator(10, 52))
    return z if space == SPACES[0] else features(z)


@cache
def plane(step_size: float, driver: str, space: str) -> Plane:
    """The chain's path in latent space or in the space of its pictures' features, among prior draws."""
    way = states(step_size, driver)
    return principal(way if space == SPACES[0] else features(way), cloud(space))


def latent_path() -> Panel:
    """Step, step size, target, space -> a chain's path along its two principal axes, and its pictures."""
    for step_size in STEP_SIZES:
        for driver in DRIVERS:
            for space in SPACES:
                plane(step_size, driver, space)

    def draw(step: int, step_size: float, driver: str, space: str) -> Figure:
        seen = plane(step_size, driver, space)
        k = torch.linspace(0, step // THIN, N_PICTURES).round().long()
        shares, title = {}, f"step {step} of {STEPS}: how much of its variance lies in this plane?"
        if step == STEPS:
            shares["this path"] = seen.shares
            if space == SPACES[0]:
                shares["a random walk, 6/(πj)²"] = random_walk_shares(torch.arange(1.0, COMPONENTS + 1))
            title = f"{seen.shares[:2].sum():.0%} of the path's variance lies in this plane"
        x = images(states(step_size, driver)[k])
        return plots.path(seen.way, seen.cloud, step, THIN, shares, x, title)

    controls = {
        "step": IntSlider(0, min=0, max=STEPS, step=4 * THIN, description="step", **WIDE),
        "step_size": SelectionSlider(options=STEP_SIZES, value=0.01, description="step size τ", **WIDE),
        "driver": ToggleButtons(options=DRIVERS, description="target"),
        "space": ToggleButtons(options=SPACES, description="space"),
    }
    tooltip = "The path of a chain along its two principal axes, and pictures on the way"
    return Panel(draw, controls, tooltip, still={"step": STEPS})


ITERATIONS, RESTARTS, RATE, NOISE = 120, 4, 0.2, 0.2
PICTURES = ("G(z), first", "G(z), second", "a photograph: flower", "a photograph: temple")


class Inverted(NamedTuple):
    """Descents to z with G(z) near a picture (3, 32, 32).

    z (ITERATIONS + 1, RESTARTS, 100), ``error`` (ITERATIONS + 1, RESTARTS) the mean squared error of a
    pixel in [-1, 1], ``truth`` (100,) what the picture was made from, None for a photograph.
    """

    picture: Tensor
    z: Tensor
    error: Tensor
    truth: Tensor | None


def photograph(name: str) -> Tensor:
    """One of scikit-learn's two sample photographs, its middle square, (3, 32, 32) in [-1, 1]."""
    x = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1).float() / 127.5 - 1.0
    height, width = x.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return interpolate(x[None, :, top : top + side, left : left + side], size=(32, 32), mode="area")[0]


@cache
def inverted() -> dict[str, Inverted]:
    """Each of PICTURES, by Adam from RESTARTS draws of the prior, all in one batch.

    It descends on |x - G(z)|² / 2σ² + |z|² / 2, σ = NOISE: minus the log posterior density of z where
    the picture is G(z) plus that noise in every pixel.
    """
    truth = gan().prior(2, generator(10, 30))
    wanted = torch.cat([images(truth), torch.stack([photograph("flower.jpg"), photograph("china.jpg")])])
    z = gan().prior(len(wanted) * RESTARTS, generator(10, 31)).requires_grad_()
    repeated = wanted.repeat_interleave(RESTARTS, 0)
    adam = torch.optim.Adam([z], lr=RATE)
    kept, errors = [], []
    for _ in range(ITERATIONS + 1):
        square = (gan().generator(z) - repeated).square()
        kept.append(z.detach().clone())
        errors.append(square.detach().mean((1, 2, 3)))
        adam.zero_grad()
        (square.sum() / (2 * NOISE**2) + 0.5 * z.square().sum()).backward()
        adam.step()
    way = torch.stack(kept).unflatten(1, (len(wanted), RESTARTS))
    error = torch.stack(errors).unflatten(1, (len(wanted), RESTARTS))
    truths = [*truth, None, None]
    parts = zip(PICTURES, wanted, way.unbind(1), error.unbind(1), truths, strict=True)
    return {name: Inverted(*values) for name, *values in parts}


def inversion() -> Panel:
    """Picture and iteration -> where gradient descent on z has come from four starts."""
    inverted()

    def draw(picture: str, iteration: int) -> Figure:
        run = inverted()[picture]
        best = int(run.error[iteration].argmin())
        title = f"iteration {iteration}: start {best} is nearest, error {run.error[iteration, best]:.4f}"
        if run.truth is not None:
            away = (run.z[iteration, best] - run.truth).norm()
            title += f", its z is {away:.1f} from the z that made the picture"
        lengths = run.z.norm(dim=2)
        radius = gan().latent_dim ** 0.5
        x = images(run.z[iteration])
        return plots.inversion(run.picture, x, run.error, lengths, iteration, radius, title)

    controls = {
        "picture": Dropdown(options=PICTURES, description="picture", **WIDE),
        "iteration": IntSlider(0, min=0, max=ITERATIONS, step=4, description="iteration", **WIDE),
    }
    tooltip = "A picture, the inversions from four starts, their errors and lengths"
    return Panel(draw, controls, tooltip, still={"iteration": ITERATIONS})


@cache
def _classifier() -> torch.nn.Module:
    return zoo.load_classifier(device="cpu")
