"""How reliably InfoGAN's category names the digit: the zoo's recipe over seeds, judged on held-out images.

    python -m benchmarks.infogan_mnist              # five seeds, some half an hour each on one core
    python -m benchmarks.infogan_mnist --quick      # two seeds of few steps, which say nothing
    python -m benchmarks.infogan_mnist --report     # the page again, from what is there

A seed is that of the starts: their initial weights, batches and latents. Every finished one is kept in
benchmarks/results/infogan_mnist.json (``--quick`` writes to the cache), one that was stopped in the cache:
run the command again to go on.
The recipe was chosen on the validation images: rates and the step at which a start is chosen by seeds 100
and 101, the length by seed 0.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import rows
from benchmarks.files import RESULTS, write_text
from ganedu.data import cache_dir
from ganedu.zoo import mnist_infogan
from ganedu.zoo.recipes import info_gan

COMMAND = "python -m benchmarks.infogan_mnist"
QUICK = 20
DISCUSSION = Path(__file__).parent / "infogan_mnist_discussion.md"


def job(seed: int, steps: int, folder: Path) -> Callable[[], dict]:
    """Train with this seed in ``folder``, and judge."""

    def work() -> dict:
        nets = info_gan(folder, replace(mnist_infogan.RECIPE, seed=seed, steps=steps))
        told = mnist_infogan.judge(nets)["figures"] | {"seed": seed, "steps": steps}
        return told | {"seconds": round(mnist_infogan.seconds(folder))}

    return work


def page(found: dict) -> str:
    """A row a seed, and what they come to together."""
    made = sorted(found["rows"].values(), key=lambda row: row["seed"])
    accuracy = [row["matched_accuracy"]["accuracy"] for row in made]
    lines = [
        "# InfoGAN on MNIST",
        "",
        f"{mnist_infogan.DATA}. {mnist_infogan.GAME.latent_dim - mnist_infogan.GAME.code.dim} numbers of "
        f"noise, Cat(10), two of U(-1, 1); {mnist_infogan.STARTS} starts of "
        f"{mnist_infogan.FIRST} steps of 128 images, the one whose Q is surest of the training images "
        f"goes on to {made[0]['steps']}. No label is trained on; "
        "categories are matched to digits on the training images, accuracy is of the held-out ones, with "
        "its exact 95% binomial interval. Chance: categories as frequent that know nothing. L_I: lower bound "
        f"of the category's information, at most {made[0]['information']['most']:.4f} nats, over "
        f"{made[0]['information']['n']} draws. Made by `{COMMAND}`.",
        "",
        "| seed | right | n | accuracy | 95% interval | chance | L_I, nats | seconds | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in made:
        m = row["matched_accuracy"]
        lines.append(
            f"| {row['seed']} | {m['hits']} | {m['n']} | {m['accuracy']:.3f} "
            f"| {m['low']:.3f} to {m['high']:.3f} | {m['chance']:.3f} "
            f"| {row['information']['category']:.3f} | {row['seconds']} | {row['load']} |"
        )
    good = sum(value >= 0.8 for value in accuracy)
    mean = sum(accuracy) / len(accuracy)
    lines += [
        "",
        f"At least 0.8 in {good} of {len(made)} seeds; mean {mean:.3f}, worst {min(accuracy):.3f}.",
        "The same held-out images every time, so that intervals of two seeds are not independent.",
        f"Machine: {made[0]['machine']}, shared with other work: load is its average when a seed began.",
        "",
    ]
    if made[0]["steps"] == mnist_infogan.RECIPE.steps:
        lines.append(DISCUSSION.read_text(encoding="utf-8"))
    return "\n".join(lines)


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    quick: Annotated[bool, typer.Option(help=f"Two seeds of {QUICK} steps.")] = False,
    report: Annotated[bool, typer.Option(help="Train no more; the page only.")] = False,
) -> None:
    """Train the seeds that are missing, then write the page."""
    name = "infogan_mnist_quick" if quick else "infogan_mnist"
    folder, steps = cache_dir() / name, QUICK if quick else mnist_infogan.RECIPE.steps
    path = (folder if quick else RESULTS) / f"{name}.json"
    wanted = range(first, first + (2 if quick else seeds))
    plan = [(f"seed {seed}", job(seed, steps, folder / f"{seed}")) for seed in wanted]
    failed = {} if report else rows.fill(path, plan, name)
    there = rows.load(path)
    rows.say_missing((key for key, _ in plan if key not in there["rows"]), COMMAND, failed)
    if there["rows"]:
        print(write_text(path.with_suffix(".md"), page(there)))


if __name__ == "__main__":
    typer.run(main)
