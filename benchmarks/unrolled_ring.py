"""The ring of 8 by an unrolled GAN: whether a generator that looks ahead keeps the modes.

    python -m benchmarks.unrolled_ring              # K = 0 and 5, five seeds each: eight minutes of a core
    python -m benchmarks.unrolled_ring --resume     # goes on where it was stopped
    python -m benchmarks.unrolled_ring --quick      # seconds, figures that mean nothing
    python -m benchmarks.unrolled_ring --report     # page and plot again, from what is there

Metz et al. (2017), sec. 3.1 and appendix A; seed slide 003. Two games are played that differ in K alone: in
the first the generator sees the critic as it is, in the second as it will be after five of its steps. All
seeds of a game are trained at once, as one network of stacked matrices. Writes
benchmarks/results/unrolled_ring.{json,md,png}; ``--quick`` writes to the cache. A row is a look at all seeds
of a game at one step, and is kept as soon as it is made; what training needs to go on lies in the cache.
"""

import math
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks import rows, unrolled_ring_report
from benchmarks.files import RESULTS, write_json
from ganedu import checkpoints
from ganedu.data import cache_dir, ring
from ganedu.gans.game import Critic, ZeroSum
from ganedu.gans.unrolled import AdamStep, Unrolled
from ganedu.metrics import modes
from ganedu.rng import draw_seed, generator
from ganedu.training import fit_adversarial
from ganedu.training.adversarial_recipe import Adam, AdversarialRecipe

SEEDS = (0, 1, 2, 3, 4)
AHEAD = (0, 5)
PICTURES = 5  # after that at step 0
WEIGHTS, DATA, LATENTS, JUDGED = range(4)  # what a seed's numbers are for


@dataclass(frozen=True)
class Setting:
    """Networks, units, first weights and play are those of the paper's appendix A; its rates are a tenth of
    these, and it has 25,000 steps.
    """

    steps: int = 8000
    every: int = 200
    batch: int = 128
    latent_dim: int = 256
    width: int = 128
    critic_layers: int = 1
    gain: float = 0.8
    activation: str = "relu"
    critic_unit: float = 4.0
    generator_unit: float = 1.0
    critic_rate: float = 1e-3
    generator_rate: float = 1e-3
    first_beta: float = 0.5
    play: str = "alternating"
    judged: int = 10_000
    enough: float = 0.01  # of the points make a mode, by the stricter count
    shown: int = 400  # points of a seed are kept for the plot


QUICK = Setting(steps=40, every=20, batch=64, width=16, judged=500)
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class Stack(nn.Module):
    """k perceptrons as one of stacked matrices: x (n, k, inputs) -> (n, k, outputs).

    Weights are orthogonal times ``gain``, as in the paper, and depend on the seed of their network alone.
    """

    def __init__(
        self, seeds: tuple[int, ...], sizes: tuple[int, ...], gain: float, activation: str, part: int
    ):
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.activation = ACTIVATIONS[activation]
        streams = [generator(seed, WEIGHTS, part) for seed in seeds]
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            each = [nn.init.orthogonal_(torch.empty(inputs, outputs), gain, rng) for rng in streams]
            self.weights.append(nn.Parameter(torch.stack(each)))
            self.biases.append(nn.Parameter(torch.zeros(len(seeds), 1, outputs)))

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, self.activation(x) if i else x, weight)
        return x.transpose(0, 1)


class Scaled(nn.Module):
    """``network`` between fixed factors of what goes in and of what comes out."""

    def __init__(self, network: nn.Module, before: float = 1.0, after: float = 1.0):
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x * self.before) * self.after


@dataclass(frozen=True)
class Summed:
    """Minimax for a stack: the losses of its games added up, so that no gradient of one reaches another."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        at_real, at_fake = critic(torch.cat([real, fake]))[..., 0].split([len(real), len(fake)])
        return (softplus(-at_real).mean(0) + softplus(at_fake).mean(0)).sum()


@dataclass(frozen=True)
class SideBySide(ZeroSum):
    """Zero-sum games on rows (n, k, 2). A game's numbers depend on its seed, whoever plays beside it."""

    seeds: tuple[int, ...] = ()

    def draw(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(x, latents (n, k, latent_dim), the weights (n,) of a penalty that is not there)."""
        return x, latents(len(x), self.latent_dim, self.seeds, draw_seed(rng)), x.new_zeros(len(x))


@dataclass(frozen=True)
class Rings:
    """A stream of rows (n, k, 2), those of a game from its own seed."""

    seeds: tuple[int, ...]

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        step = draw_seed(rng)
        return torch.stack([ring().sample(n, generator(seed, DATA, step)) for seed in self.seeds], 1)


def latents(n: int, dim: int, seeds: tuple[int, ...], *path: int) -> Tensor:
    """(n, k, dim) ~ N(0, I), those of a game from its own seed."""
    return torch.stack([torch.randn(n, dim, generator=generator(seed, LATENTS, *path)) for seed in seeds], 1)


def networks(seeds: tuple[int, ...], s: Setting) -> dict[str, nn.Module]:
    """The players before their first step."""
    maker = Stack(seeds, (s.latent_dim, s.width, s.width, 2), s.gain, s.activation, 0)
    critic = Stack(seeds, (2, *[s.width] * s.critic_layers, 1), s.gain, s.activation, 1)
    return {
        "generator": Scaled(maker, after=s.generator_unit),
        "critic": Scaled(critic, before=1 / s.critic_unit),
    }


def train(ahead: int, seeds: tuple[int, ...], s: Setting, steps: int, folder: Path) -> dict[str, nn.Module]:
    """The players after ``steps`` steps; goes on from what ``folder`` holds, unless that is further on."""
    nets = networks(seeds, s)
    if not steps:
        return nets
    state = folder / "state.safetensors"
    if state.exists() and checkpoints.load(state)[1]["progress"]["step"] > steps:
        shutil.rmtree(folder)
    critic, maker = (Adam(rate, (s.first_beta, 0.999)) for rate in (s.critic_rate, s.generator_rate))
    recipe = AdversarialRecipe(
        steps,
        s.batch,
        {"critic": critic, "generator": maker},
        play=s.play,
        evaluate_every=s.every,
        checkpoint_every=s.every,
    )
    game = SideBySide(Summed(), s.latent_dim, seeds=seeds)
    game = Unrolled(game, ahead, AdamStep(critic.learning_rate, critic.betas))
    return fit_adversarial(nets, game, Rings(seeds), recipe, folder, progress=False)


@torch.no_grad()
def judge(nets: dict[str, nn.Module], seeds: tuple[int, ...], s: Setting, step: int) -> dict:
    """The modes of every seed, and some points of the first."""
    x = nets["generator"](latents(s.judged, s.latent_dim, seeds, JUDGED, step))
    found = {}
    for i, seed in enumerate(seeds):
        one, strict = (modes(x[:, i], ring(), at_least=n) for n in (1, math.ceil(s.enough * s.judged)))
        found[str(seed)] = {
            "modes": one.captured,
            "full_modes": strict.captured,
            "of": one.total,
            "high_quality": round(one.high_quality, 4),
        }
    row = {"seeds": found}
    if step * PICTURES % s.steps == 0:
        row["points"] = {str(seeds[0]): [[round(v, 3) for v in at] for at in x[: s.shown, 0].tolist()]}
    return row


def row(ahead: int, seeds: tuple[int, ...], s: Setting, step: int, folder: Path) -> dict:
    """A look at all seeds after ``step`` steps, ``s.every`` of which are made now."""
    start = time.process_time()
    nets = train(ahead, seeds, s, step, folder / f"K={ahead}")
    seconds = time.process_time() - start
    told = {"ahead": ahead, "step": step, "total": s.steps, "cpu_seconds": round(seconds, 1)}
    return told | judge(nets, seeds, s, step)


def jobs(s: Setting, folder: Path, games: tuple[int, ...] = AHEAD) -> list[rows.Job]:
    return [
        (f"K={ahead}/{step:05d}", lambda ahead=ahead, step=step: row(ahead, SEEDS, s, step, folder))
        for ahead in games
        for step in range(0, s.steps + 1, s.every)
    ]


def main(
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that all of it runs.")] = False,
    resume: Annotated[bool, typer.Option(help="Keep the rows that are there, and go on.")] = False,
    report: Annotated[bool, typer.Option(help="Make no row; page and plot only.")] = False,
    only: Annotated[int | None, typer.Option(help="Of the games, the one with this K.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
) -> None:
    """Make the rows, then the page and the plot."""
    torch.set_num_threads(threads)
    setting, name = (QUICK, "unrolled_ring_quick") if quick else (Setting(), "unrolled_ring")
    path = (cache_dir() if quick else RESULTS) / "unrolled_ring.json"
    asked = AHEAD if only is None else (only,)
    plan, failed = jobs(setting, cache_dir() / name, asked), {}
    if not report:
        if not resume:
            rows.drop(path, [key for key, _ in plan])
            for ahead in asked:
                shutil.rmtree(cache_dir() / name / f"K={ahead}", ignore_errors=True)
        failed = rows.fill(path, plan, "ring")
    found = rows.load(path)["rows"]
    if found:
        told = {"setting": asdict(setting), "rows": found}
        write_json(path, unrolled_ring_report.figures(found) | told)
        for written in unrolled_ring_report.write(path):
            print(written)
    command = "python -m benchmarks.unrolled_ring --resume" + (" --quick" if quick else "")
    rows.say_missing([key for key, _ in plan if key not in found], command, failed)


if __name__ == "__main__":
    typer.run(main)
