"""Models and objectives as small as they can be, on which every line of the trainer is run."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ganedu import checkpoints
from ganedu.rng import generator
from ganedu.training import MLERecipe, fit_mle


class Bell(nn.Module):
    """N(mean, diag(exp(log_scale))²): its maximum likelihood is known."""

    def __init__(self, dim: int = 2):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.distributions.Normal(self.mean, self.log_scale.exp()).log_prob(x).sum(-1)


@dataclass(frozen=True)
class Likelihood:
    """A loss without noise, as a flow's."""

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
        return (x,)

    def loss(self, model: Bell, x: Tensor) -> Tensor:
        return -model.log_prob(x)


class Network(nn.Module):
    """Noisy x (n, 2) -> x, on request with BatchNorm, which trains otherwise than it judges."""

    def __init__(self, norm: bool = False):
        super().__init__()
        between = [nn.BatchNorm1d(8)] if norm else []
        self.layers = nn.Sequential(nn.Linear(2, 8), *between, nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Seen(nn.Module):
    """Dropout, with a record of what it left."""

    def __init__(self):
        super().__init__()
        self.dropout, self.masks = nn.Dropout(0.5), []

    def forward(self, x):
        self.masks.append(tuple(self.dropout(torch.ones(64)).gt(0).tolist()))
        return x


@dataclass(frozen=True)
class Denoising:
    """A loss with noise, as a VAE's."""

    std: float = 0.5

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
        return x, x + self.std * torch.randn(x.shape, generator=rng, device=x.device)

    def loss(self, model: Network, x: Tensor, noisy: Tensor) -> Tensor:
        return (model(noisy) - x).square().sum(-1)


KINDS = {"likelihood": (Bell, Likelihood()), "denoising": (Network, Denoising())}
# Neither divides the other, nor the number of steps: every order of row, checkpoint and end occurs.
RECIPE = MLERecipe(
    steps=130,
    batch_size=7,
    learning_rate=1e-2,
    clip=5.0,
    ema=0.9,
    seed=3,
    evaluate_every=15,
    checkpoint_every=20,
)


def make(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return KINDS[kind][0]()


def fill(model: nn.Module, value: float) -> nn.Module:
    """The model with all its weights the same."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    return model


def points(n: int, seed: int = 0) -> Tensor:
    """(n, 2): a slanted cloud."""
    x = torch.randn(n, 2, generator=generator(seed))
    return x @ torch.tensor([[1.5, 0.5], [0.0, 0.5]]) + torch.tensor([0.5, -1.0])


def fit(kind: str, folder: Path, recipe: MLERecipe = RECIPE, model: nn.Module | None = None, **options):
    """The run that tests compare with others; ``model`` starts from the same weights every time."""
    options = {"objective": KINDS[kind][1], "data": points(47), "held_out": points(20, seed=1)} | options
    objective, data = options.pop("objective"), options.pop("data")
    model = make(kind) if model is None else model
    return fit_mle(model, objective, data, recipe, folder, progress=False, **options)


def tensors(folder: Path) -> dict[str, Tensor]:
    """Everything that is kept of a run: weights, Adam's averages, the EMA, the best weights."""
    return checkpoints.load(folder / "state.safetensors")[0]


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


def furthest(one: dict[str, Tensor], two: dict[str, Tensor]) -> float:
    """The largest difference of two numbers."""
    assert one.keys() == two.keys()
    return max((value.double() - two[name].double()).abs().max().item() for name, value in one.items())
