"""The loop of every game between networks: two players or more, on batches or streams of rows.

>>> from pathlib import Path
>>> from ganedu.data import ring
>>> from ganedu.gans import TwoPlayer, gradient_penalty, wasserstein
>>> from ganedu.nets import MLP
>>> from ganedu.training import Adam, AdversarialRecipe, fit_adversarial
>>> game = TwoPlayer(wasserstein, latent_dim=2, penalties=((0.1, gradient_penalty),))
>>> recipe = AdversarialRecipe(steps=5000, batch_size=256, optimisers=Adam(1e-4, (0.5, 0.9)), n_critic=5)
>>> nets = {"generator": MLP(2, 128, 2), "critic": MLP(2, 128, 1)}
>>> nets = fit_adversarial(nets, game, ring().sample, recipe, Path("build/ring"))

``train_gan`` stays beside it, as only it makes the zoo's DCGAN bit for bit again: it counts epochs of
images, draws one stream of noise an epoch, and shows the generator the very fakes that the critic has just
judged, in one pass whose graph both turns use. Here every turn draws its own, so that a game may have any
number of players; the weights of a run differ, the game that is played does not.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ganedu import checkpoints
from ganedu.gans.game import Game
from ganedu.rng import generator
from ganedu.training.adversarial_recipe import AdversarialProgress, AdversarialRecipe
from ganedu.training.batches import (
    HELD_OUT,
    Stream,
    batches,
    global_generators_kept,
    noise,
    seed_dropout,
)
from ganedu.training.devices import OneDevice, circumstances, launch, share_buffers
from ganedu.training.files import append_row, draw_game, resume
from ganedu.training.identity import ADDRESS, identity
from ganedu.training.steps import LOOK, check_finite, follow
from ganedu.training.turns import Table, own_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Metric = Callable[[dict[str, nn.Module], torch.Generator], Mapping[str, float]]
AVERAGE = "average"


def fit_adversarial(
    nets: Mapping[str, nn.Module],
    game: Game,
    data: Tensor | Stream,
    recipe: AdversarialRecipe,
    folder: Path | str,
    *,
    metric: Metric | None = None,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    progress: bool = True,
) -> dict[str, nn.Module]:
    """Train ``nets`` in place and return them in eval mode; goes on from the last checkpoint.

    ``data`` are rows (n, ...), or a stream of fresh ones, ``(n, rng) -> (n, ...)``. Where the recipe has an
    ``ema``, what is returned has one network more, "average": the generator's, with the generator's buffers
    (``training.steps.follow`` says what that means for BatchNorm).

    A player's step changes the weights and buffers of the networks that it moves (``game.moves``) and of
    no other: gradients are taken by its weights alone, and what a pass in train mode does to the buffers
    of the others, BatchNorm's running statistics for one, is undone. In train mode they normalise by the
    batch at hand whatever these are; in eval mode a generator's are those of its own turns, a critic's of
    data and fakes alike. Only ``game.after`` may reach further.

    ``folder`` gets ``state.safetensors`` (to go on from), ``networks.safetensors`` (all networks and the
    average), ``loss.csv`` and ``loss.png``: each player's mean loss over its turns since the line before, and
    what ``metric(nets, rng)`` says of the networks in eval mode, "generator" being the average where there
    is one, with the same numbers from ``rng`` every time. Rows and noise depend on the seed and the count of
    batches alone, so a run that was killed ends bit for bit as one that was not, on the same processor with
    the same number of threads.

    A run goes on with the recipe, networks, game, rows and precision it began with; with constant rates
    ``steps`` may be more, and the step where it ended counts as a look at the losses. How often it looks and
    keeps may change. Of a function, a lambda say, its name and what it closes over is known, not its text.

    Under ``torchrun`` each process draws the whole batch and takes its share of the rows; gradients are
    weighted by shares and added. So the numbers are those of one process where a loss is a mean over rows.
    Where rows meet (BatchNorm, minibatch discrimination, MMD, unrolling, BEGAN's balance) each process has
    the meeting of its share, and buffers are the first one's whenever losses are written or kept.

    Raises FloatingPointError where a loss, a weight or what an optimiser remembers is not finite (the last
    checkpoint is kept), and ValueError for networks or optimisers that do not fit the game, a loss that is
    no scalar or depends on no weight, too few rows, rows that are not finite, and a ``folder`` with another
    run or a longer one.
    """
    check_players(nets, game, recipe)
    folder, batch = Path(folder), batches(data, recipe.batch_size, recipe.seed)
    fabric = launch(device)
    if recipe.batch_size < fabric.world_size:
        raise ValueError(
            f"batch_size: expected at least {fabric.world_size}, a row a process, got {recipe.batch_size}"
        )
    nets = {name: net.to(fabric.device).train() for name, net in nets.items()}
    told = known_by(nets, game, data, recipe, precision)
    weights = {player: own_weights(nets, game.moves[player]) for player in game.moves}
    optimisers = {player: recipe.optimiser(player).make(weights[player]) for player in game.moves}
    parts = nets | {f"{player} optimiser": steps for player, steps in optimisers.items()}
    networks = dict(nets)
    if recipe.ema:
        networks[AVERAGE] = parts[AVERAGE] = copy.deepcopy(nets["generator"]).requires_grad_(False)
    longer = "steps" if recipe.decay == "constant" else None
    before = resume(folder / "state.safetensors", parts, told, longer)
    run = AdversarialProgress(**before.get("progress", {}))
    share_weights(networks, fabric)
    if hasattr(game, "with_optimisers"):
        game = game.with_optimisers(optimisers)
    table = Table(nets, game, weights, optimisers, fabric, precision, recipe.batch_size)
    started = time.monotonic() - run.seconds

    def draw() -> tuple[Tensor, ...]:
        x, rng = batch(run.draws).to(fabric.device), noise(recipe.seed, run.draws, fabric.device)
        seed_dropout(recipe.seed, run.draws, fabric.global_rank)
        run.draws += 1
        return tuple(row[fabric.global_rank :: fabric.world_size] for row in game.draw(x, rng))

    critics = tuple(game.critics)
    others = tuple(player for player in game.moves if player not in critics)
    first = fabric.global_rank == 0
    bar = tqdm(total=recipe.steps, initial=run.step, disable=not (progress and first), leave=False)
    with bar, global_generators_kept(fabric.device):
        while run.step < recipe.steps:
            table.set_rate(recipe, run.step)
            if recipe.play == "simultaneous":
                table.play(tuple(game.moves), draw(), together=True)
            else:
                for _ in range(recipe.critic_steps(run.step) if critics else 0):
                    table.play(critics, draw())
                table.play(others, draw())
            if recipe.ema:
                follow(networks[AVERAGE], nets["generator"], recipe.ema)
            run.step += 1
            bar.update()

            last = run.step == recipe.steps
            evaluate = last or run.step % recipe.evaluate_every == 0
            keep = last or run.step % recipe.checkpoint_every == 0
            if evaluate or keep or run.step % LOOK == 0:
                table.report(run)
                check_finite(folder, f"step {run.step} or shortly before", run.sums, nets, optimisers)
                bar.set_postfix(
                    {player: f"{run.sums[player] / run.turns[player]:.4g}" for player in run.sums}
                )
            if evaluate or keep:
                for net in networks.values():
                    share_buffers(net, fabric)
            if evaluate:
                row = {player: run.sums[player] / run.turns[player] for player in run.sums}
                run.sums, run.turns = {}, {}
                if first:
                    rng = generator(recipe.seed, HELD_OUT, device=fabric.device)
                    judged = measure(metric, networks, rng, {"step", *row})
                    append_row(folder / "loss.csv", step=run.step, **row, **judged)
            if first and keep:
                run.seconds = time.monotonic() - started
                checkpoints.save(folder / "networks.safetensors", checkpoints.pack(**networks), step=run.step)
                meta = {"progress": asdict(run), "recipe": told, **circumstances(precision)}
                # Last, because it says that everything before it is whole.
                checkpoints.save(folder / "state.safetensors", checkpoints.pack(**parts), **meta)
    if first:
        draw_game(folder, tuple(game.moves))
    fabric.barrier()
    return {name: net.eval() for name, net in networks.items()}


def known_by(
    nets: Mapping[str, nn.Module],
    game: Game,
    data: Tensor | Stream,
    recipe: AdversarialRecipe,
    precision: str,
) -> dict:
    """All that the numbers of a run depend on, but for the first weights: a folder's is told by it."""
    looks = {"evaluate_every", "checkpoint_every"}
    told = {name: value for name, value in recipe.told().items() if name not in looks}
    layers = {name: ADDRESS.sub("", repr(net)) for name, net in nets.items()}
    parts = {"game": game, "data": data, "nets": layers}
    model = nn.ModuleDict(nets)
    return told | {"precision": precision} | {name: identity(part, model) for name, part in parts.items()}


def share_weights(nets: Mapping[str, nn.Module], fabric: "Fabric | OneDevice") -> None:
    """Begin everywhere with the first process's weights and buffers."""
    if fabric.world_size > 1:
        for net in nets.values():
            for tensor in (*net.parameters(), *net.buffers()):
                torch.distributed.broadcast(tensor.detach(), 0)


@torch.no_grad()
def measure(
    metric: Metric | None, networks: dict[str, nn.Module], rng: torch.Generator, taken: set[str]
) -> Mapping[str, float]:
    """What ``metric`` says, in eval mode; afterwards the networks are in train mode again.

    Raises ValueError where it says something else, or of what is ``taken``."""
    if metric is None:
        return {}
    judged = {name: net.eval() for name, net in networks.items()}
    judged["generator"] = judged.pop(AVERAGE, judged["generator"])
    values = metric(judged, rng)
    for net in networks.values():
        net.train()
    if not isinstance(values, Mapping) or taken & values.keys():
        shown = list(values) if isinstance(values, Mapping) else type(values).__name__
        raise ValueError(f"metric: expected numbers by names other than {', '.join(taken)}, got {shown}")
    return {name: float(value) for name, value in values.items()}


def check_players(nets: Mapping[str, nn.Module], game: Game, recipe: AdversarialRecipe) -> None:
    """Raise ValueError where networks, game and optimisers do not fit each other."""
    moved = [name for names in game.moves.values() for name in names]
    lacking = sorted({*moved, *game.keeps, *(["generator"] if recipe.ema else [])} - nets.keys())
    if lacking:
        raise ValueError(f"nets: expected {', '.join(lacking)} among them, got {', '.join(nets)}")
    for player, names in game.moves.items():
        if not own_weights(nets, names):
            raise ValueError(f"nets: expected weights for {player} to move, got none in {', '.join(names)}")
    if isinstance(recipe.optimisers, Mapping) and recipe.optimisers.keys() != game.moves.keys():
        expected, got = (", ".join(names) for names in (game.moves, recipe.optimisers))
        raise ValueError(f"optimisers: expected one for each of {expected}, got {got}")
