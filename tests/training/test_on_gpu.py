"""The trainer, a VAE and a flow where there is a GPU: they learn, stay on it, and go on from a checkpoint."""

from dataclasses import replace

import pytest
import torch

from ganedu.flows import DequantisedLogLikelihood, NegativeLogLikelihood, glow, initialise, real_nvp
from ganedu.likelihood import NegativeELBO, binarise, mlp_vae
from ganedu.rng import generator
from ganedu.training import MLERecipe, fit_mle
from ganedu.training.files import read_columns
from tests.training.tiny import KINDS, RECIPE, fit, furthest, points, tensors

pytestmark = pytest.mark.gpu
SHORT = MLERecipe(
    steps=60, batch_size=32, learning_rate=1e-3, clip=5.0, evaluate_every=20, checkpoint_every=20
)
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


def learns(model, objective, data, folder, precision) -> None:
    """A run of 60 steps, and the same one in two parts: near to each other, and better than its start."""
    start = {name: value.clone() for name, value in model.state_dict().items()}
    options = {"held_out": data[:32], "device": "cuda", "precision": precision, "progress": False}
    fit_mle(model, objective, data, SHORT, folder / "whole", **options)
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    held_out = read_columns(folder / "whole" / "loss.csv")["held_out"]
    assert held_out[-1] < held_out[0]
    model.load_state_dict(start)
    fit_mle(model, objective, data, replace(SHORT, steps=40), folder / "parts", **options)
    fit_mle(model, objective, data, SHORT, folder / "parts", **options)
    # A GPU may add in any order: near, not equal. 60 Adam steps of 1e-3 move a weight by up to 0.06.
    one, two = (weights(folder / name) for name in ("whole", "parts"))
    assert furthest(one, two) < 1e-2


def weights(folder) -> dict[str, torch.Tensor]:
    """Of the last step, without Adam's averages."""
    return {name: value for name, value in tensors(folder).items() if name.startswith("model.")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_computes_what_a_processor_does(kind, tmp_path):
    """Rows are the same, noise is another generator's: so only the loss without noise is."""
    fit(kind, tmp_path / "gpu", device="cuda")
    if kind == "likelihood":
        fit(kind, tmp_path / "cpu")
        assert furthest(tensors(tmp_path / "gpu"), tensors(tmp_path / "cpu")) < 1e-3


def test_a_run_can_move_from_a_gpu_to_a_processor(tmp_path):
    fit("likelihood", tmp_path, replace(RECIPE, steps=60), device="cuda")
    model = fit("likelihood", tmp_path, device="cpu")
    assert {p.device.type for p in model.parameters()} == {"cpu"}


@PRECISIONS
def test_a_vae_learns(precision, tmp_path):
    torch.manual_seed(0)
    bright = torch.rand(1, 1, 8, 8, generator=generator(0))
    x = (bright * 255).to(torch.uint8).expand(256, 1, 8, 8).contiguous()
    vae = mlp_vae((1, 8, 8), hidden=32, latent_dim=4)
    learns(vae, NegativeELBO(latent_dim=4, prepare=binarise), x, tmp_path, precision)
    assert vae.sample(3, generator(0, device="cuda")).device.type == "cuda"


@PRECISIONS
def test_a_flow_learns(precision, tmp_path):
    torch.manual_seed(0)
    flow = real_nvp(2, layers=4, hidden=(16,))
    learns(flow, NegativeLogLikelihood(), points(256), tmp_path, precision)
    x = flow.sample(5, generator(0, device="cuda"))
    assert torch.isfinite(flow.log_prob(x)).all()


def test_a_flow_of_images_learns(tmp_path):
    torch.manual_seed(0)
    x = torch.randint(0, 17, (128, 1, 8, 8), generator=generator(0)).to(torch.uint8)
    flow, objective = glow((1, 8, 8), levels=2, steps=1, width=8), DequantisedLogLikelihood(17)
    initialise(flow, *objective.draw(x, generator(1)))
    learns(flow, objective, x // 2, tmp_path, "float32")
