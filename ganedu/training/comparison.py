"""Several games on one law in the plane, at one number of steps: trained, sampled, and judged alike.

>>> from pathlib import Path
>>> from ganedu.training.comparison import compare
>>> found = compare(["ns-gan", "wgan-gp"], "ring", steps=2000, seeds=2, folder=Path("build/compare"))
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.data import Checkerboard, GaussianMixture, Rings, grid, ring, swiss_roll, two_moons
from ganedu.divergences import wasserstein
from ganedu.metrics import modes
from ganedu.rng import generator
from ganedu.samplers.base import check_count
from ganedu.training.adversarial import fit_adversarial
from ganedu.training.batches import Stream
from ganedu.training.games import GAMES, start

RADIUS = 3.0  # standard deviations within which a point is of high quality
DUE = 0.05  # the share of its due that a captured mode has
REAL, LATENTS, FIRST = range(10**6, 10**6 + 3)  # seeds of draws that nothing is trained on
FLOORS = 3  # pairs of real samples, of which the floor is the mean
EVERY = 100  # steps between two rows of loss.csv, and between checkpoints


@dataclass(frozen=True)
class Law:
    """What is learned: a stream of fresh rows, and the mixture that they are from where P has modes. A run
    remembers it by its name."""

    name: str
    sample: Stream = field(compare=False)
    mixture: GaussianMixture | None = field(default=None, compare=False)

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, 2)."""
        return self.sample(n, rng)


LAWS = (
    Law("ring", ring().sample, ring()),
    Law("grid", grid().sample, grid()),
    Law("swiss-roll", swiss_roll),
    Law("moons", two_moons),
    Law("rings", Rings().sample),
    Law("checkerboard", Checkerboard().sample),
)
DATA = {law.name: law for law in LAWS}


@dataclass(frozen=True)
class Run:
    """A game from one seed. ``x`` (n, 2) are the draws that it is judged by; a game that ``stopped`` has the
    reason instead. ``captured`` and ``high_quality`` are None where P has no modes, ``w2`` without POT."""

    game: str
    seed: int
    steps: int
    critic_steps: int
    x: Tensor | None = None
    captured: int | None = None
    high_quality: float | None = None
    w2: float | None = None
    seconds_per_step: float | None = None
    stopped: str | None = None

    def figures(self) -> dict[str, Any]:
        """All but the draws."""
        return {name: value for name, value in vars(self).items() if name != "x"}


@dataclass(frozen=True)
class Comparison:
    """``real`` (n, 2) are the rows of P that all are judged by; ``floor`` is the W2 of as many others to
    them, a mean; ``modes``: how many P has, None for none."""

    data: str
    real: Tensor
    floor: float | None
    modes: int | None
    runs: list[Run]


def compare(
    names: Iterable[str],
    data: str,
    steps: int,
    seeds: int,
    folder: Path,
    *,
    width: int = 128,
    latent_dim: int = 2,
    n: int = 2000,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Comparison:
    """Train each of ``GAMES`` that is named from the seeds 0, 1, ... and judge n of its draws by P.

    W2, the modes and the share near one are of n draws in eval mode, against the same n rows of P for all
    games: compare them at equal n alone, and W2 with ``floor``. A mode is captured by 5% of its due, n over
    the number of modes, within 3 standard deviations; the share of high quality is within 3 of any
    (``metrics.modes``).

    A run goes on in its own folder, ``folder/GAME/SEED``; a game that diverges is a row that says so.

    Raises ValueError for an unknown name, counts below 1, and folders with other or longer runs.
    """
    law, n_modes = law_of(data)
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in GAMES:
            raise ValueError(f"game: there is no {name!r}; known: {', '.join(sorted(GAMES))}")
    for what, count in (("steps", steps), ("seeds", seeds), ("n", n)):
        check_count(what, count)
    real = law(n, generator(REAL))
    others = [law(n, generator(REAL, i)) for i in range(FLOORS)]
    distances = [w2(other, real) for other in others]
    floor = None if None in distances else sum(distances) / FLOORS
    plan = [(seed, name) for seed in range(seeds) for name in names]
    bar = tqdm(plan, disable=not progress, leave=False)
    runs = []
    for seed, name in bar:
        bar.set_description(f"{name}, seed {seed}")
        place = folder / name / str(seed)
        sizes = {"width": width, "latent_dim": latent_dim}
        runs.append(train(name, law, real, steps, seed, place, sizes, device, progress))
    order = {name: i for i, name in enumerate(names)}
    return Comparison(data, real, floor, n_modes, sorted(runs, key=lambda run: (order[run.game], run.seed)))


def law_of(data: str) -> tuple[Law, int | None]:
    """Raises ValueError for a name that is not in ``DATA``."""
    if data not in DATA:
        raise ValueError(f"data: there is no {data!r}; known: {', '.join(DATA)}")
    mixture = DATA[data].mixture
    return DATA[data], None if mixture is None else len(mixture.means)


def train(
    name: str,
    law: Law,
    real: Tensor,
    steps: int,
    seed: int,
    folder: Path,
    sizes: dict[str, int],
    device: torch.device | str,
    progress: bool,
) -> Run:
    """One run, trained or gone on with, and judged."""
    entry = GAMES[name]
    counts = {"game": name, "seed": seed, "steps": steps, "critic_steps": entry.critic_steps(steps)}
    first = law(entry.batch_size, generator(FIRST, seed))
    game, nets = start(entry, first, seed=seed, **sizes)
    recipe = entry.recipe(steps, seed, evaluate_every=EVERY, checkpoint_every=EVERY)
    try:
        nets = fit_adversarial(nets, game, law, recipe, folder, device=device, progress=progress)
    except FloatingPointError as error:
        return Run(**counts, stopped=str(error).split(";")[0])
    state = checkpoints.load(folder / "state.safetensors")[1]["progress"]
    spent = {"seconds_per_step": state["seconds"] / state["step"]}
    z = torch.randn(len(real), sizes["latent_dim"], generator=generator(LATENTS, seed))
    with torch.no_grad():
        x = nets["generator"](z.to(device)).cpu()
    if not torch.isfinite(x).all():
        return Run(**counts, **spent, stopped="a draw of the generator is not finite")
    return Run(**counts, **spent, x=x, w2=w2(x, real), **near_modes(x, law.mixture))


def near_modes(x: Tensor, mixture: GaussianMixture | None) -> dict[str, float]:
    """``captured`` and ``high_quality`` of x (n, 2); nothing where there are no modes."""
    if mixture is None:
        return {}
    due = math.ceil(DUE * len(x) / len(mixture.means))
    found = modes(x, mixture, RADIUS, at_least=due)
    return {"captured": found.captured, "high_quality": found.high_quality}


def w2(x: Tensor, y: Tensor) -> float | None:
    """W2 in the units of the data; None without POT, which the extra ganedu[metrics] brings."""
    try:
        return wasserstein(x, y, p=2.0)
    except ImportError:
        return None
