"""The page and the plot of ``benchmarks.likelihood``, from its JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from benchmarks.files import write_text
from benchmarks.likelihood_mnist import PEERS
from benchmarks.rep_gan_report import interval as student
from ganedu import viz
from ganedu.viz.figure import LINES, panels

DISCUSSION = Path(__file__).parent / "likelihood_discussion.md"
BROKEN = 10.0  # nats above the floor: a flow by which some held-out draw is as good as impossible
AIM = 0.05  # nats that ours may be worse than zuko's, in the mean over seeds
PUBLISHED = 1.078  # bits per dimension of a flow of 556k parameters on MNIST


class Pair(NamedTuple):
    """One model on one density: nats a point (lower is better) by seed, ours and zuko's."""

    density: str
    model: str
    ours: list[float]
    zuko: list[float]

    @property
    def excess(self) -> list[float]:
        """By how much ours is worse, a seed at a time."""
        return [a - b for a, b in zip(self.ours, self.zuko, strict=True)]


def write(path: Path) -> list[Path]:
    """``path`` with suffixes .md and .png."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [
        write_text(path.with_suffix(".md"), markdown(rows, path.stem)),
        viz.save(plot(rows), path.with_suffix(".png")),
    ]


def pairs(rows: dict[str, dict]) -> list[Pair]:
    """Every model on every density of which both sides are there and whole, by the seeds that both have."""
    plane = [row for row in of(rows, "plane/") if not broken(row)]
    nats = {(r["density"], r["model"], r["library"], r["seed"]): r["nats"] for r in plane}
    found = []
    for model, density in sorted({(r["model"], r["density"]) for r in plane}):
        sides = [
            {seed for d, m, code, seed in nats if (d, m, code) == (density, model, library)}
            for library in ("ours", "zuko")
        ]
        if both := sorted(sides[0] & sides[1]):
            ours, zuko = ([nats[density, model, code, seed] for seed in both] for code in ("ours", "zuko"))
            found.append(Pair(density, model, ours, zuko))
    return found


def broken(row: dict) -> bool:
    """Whether one point rules the mean over 20,000."""
    return not row["nats"] < row["floor"] + BROKEN


def markdown(rows: dict[str, dict], stem: str) -> str:
    """The whole page; a part without rows is left out."""
    machines = sorted({row["machine"] for row in rows.values()})
    lines = [
        "# What the likelihood models are worth",
        "",
        f"Machine: {'; '.join(machines)}. Made by `python -m benchmarks.likelihood --oracles PYTHON`.",
        "",
        f"![Differences, images, proposals]({stem}.png)",
    ]
    lines += plane(rows) + mnist(rows) + proposals(rows)
    if stem == "likelihood" and DISCUSSION.exists():
        lines += ["", DISCUSSION.read_text(encoding="utf-8").strip()]
    return "\n".join(lines) + "\n"


def plane(rows: dict[str, dict]) -> list[str]:
    found = pairs(rows)
    if not found:
        return []
    lines = [
        "",
        "## Densities in the plane",
        "",
        "Nats a point, -log q, of 20,000 fresh draws: lower is better, and the floor is the density's "
        f"own. Ours minus zuko's is a mean over seeds with 95% of Student's t; the aim is at most {AIM}. "
        "The learning rate is each side's best of three, by a quarter of the training (of a RealNVP: all of "
        "it) on a seed and draws that judge nothing else.",
        "",
        "| density | model | seeds | ours | zuko | ours - zuko | within the aim | floor | rates, ours and "
        "zuko | parameters, ours and zuko | CPU seconds, ours and zuko |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for pair in found:
        ours, zuko = (
            [
                row
                for key, row in rows.items()
                if key.startswith(f"plane/{pair.density}/{pair.model}/{library}/")
            ]
            for library in ("ours", "zuko")
        )
        within = "yes" if mean(pair.excess) <= AIM else "**no**"
        lines.append(
            f"| {pair.density} | {pair.model} | {len(pair.ours)} | {mean(pair.ours):.3f} | "
            f"{mean(pair.zuko):.3f} "
            f"| {interval(pair.excess)} | {within} | {ours[0]['floor']:.3f} "
            f"| {ours[0]['rate']:g}, {zuko[0]['rate']:g} | {ours[0]['parameters']:,}, "
            f"{zuko[0]['parameters']:,} | {mean(r['cpu_seconds'] for r in ours):.0f}, "
            f"{mean(r['cpu_seconds'] for r in zuko):.0f} |"
        )
    ruined = [row for row in of(rows, "plane/") if broken(row)]
    if ruined:
        names = (f"{r['library']}'s {r['model']} of {r['density']}, seed {r['seed']}" for r in ruined)
        lines += [
            "",
            f"Left out on both sides, for some held-out draw is as good as impossible by it (a mean over "
            f"{BROKEN:g} nats above the floor): {'; '.join(names)}.",
        ]
    return lines


def interval(values: Sequence[float]) -> str:
    """Mean ± half of a 95% interval; of one value the value."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    centre, half = student(list(values))
    return f"{centre:.3f} ± {half:.3f}"


def of(rows: dict[str, dict], prefix: str) -> list[dict]:
    return [row for key, row in rows.items() if key.startswith(prefix)]


def mnist(rows: dict[str, dict]) -> list[str]:
    if not of(rows, "mnist/"):
        return []
    lines = [
        "",
        "## MNIST",
        "",
        "8,000 of MNIST's 10,000 test digits to train on, 1,000 to judge by, one shuffle for all. VAE "
        "784-400-20 "
        "on pixels made binary by chance, once: IWAE-500, an upper bound on -log P. Flow: an upper "
        "bound on bits a "
        "pixel, of bytes, by one draw of uniform noise.",
        "",
        "| model | code | seeds | nats an image | bits per dimension | parameters | version |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, peer in PEERS.items():
        for code in ("ours", peer):
            found = of(rows, f"mnist/{kind}/{code}/")
            if found:
                nats, bits = ([row[key] for row in found] for key in ("nats", "bits_per_dim"))
                lines.append(
                    f"| {kind} | {code} | {len(found)} | {spread(nats, 2)} | {spread(bits, 4)} "
                    f"| {found[0]['parameters']:,} | {found[0]['version']} |"
                )
    lines += [
        "",
        f"Published, a flow of 556k parameters: {PUBLISHED} bits per dimension, on all 60,000 images and "
        "MNIST's own test set. Ours has an eighth of the images, and others are held out: the two are not "
        "comparable as numbers, the peer in the same run is.",
    ]
    return lines


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds; of one value the value."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} (sd {stdev(values):.{digits}f})"


def proposals(rows: dict[str, dict]) -> list[str]:
    found, weighed = of(rows, "proposals/banana/"), of(rows, "proposals/evidence/")
    lines = []
    if found:
        lines += [
            "",
            "## A flow as proposal",
            "",
            "The banana: independence Metropolis-Hastings with a RealNVP trained by reverse KL, beside "
            "the best of six "
            "MALAs, that start from exact draws. An evaluation is one of the density (and its gradient, "
            "for MALA and "
            "in training).",
            "",
            "| seed | acceptance | ESS an evaluation | MALA | its setting | training, evaluations | "
            "even with MALA "
            "after |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {seed} | {row['acceptance']:.3f} | {row['ess_per_evaluation']:.3f} | {row['mala']:.5f} "
            f"| {row['mala_best']} | {row['training_evaluations']:,} "
            f"| {'never' if row['even'] is None else format(round(row['even']), ',')} |"
            for seed, row in enumerate(found)
        ]
    if weighed:
        lines += [
            "",
            "Neural importance sampling of a thin banana's evidence, objectives one after the other on "
            "one flow. Gain: how "
            "many times as many draws of the prior have the same relative variance.",
            "",
            "| seed | objective | gain | log Z - exact, flow | prior | Pareto k |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for seed, row in enumerate(weighed):
            for name in ("ReverseKL", "ForwardKL", "WeightVariance"):
                part = row[name]
                off, prior_off = (
                    part[key] - row["log_evidence"] for key in ("log_evidence", "prior_log_evidence")
                )
                lines.append(
                    f"| {seed} | {name} | {part['gain']:.0f} | {off:+.5f} ± {1.96 * part['error']:.5f} "
                    f"| {prior_off:+.4f} ± {1.96 * part['prior_error']:.4f} | {part['pareto_k']:.2f} |"
                )
    return lines


def plot(rows: dict[str, dict]):
    """Ours minus zuko's by model and density; bits of a pixel by code; gains of a proposal."""
    figure, (plane_axes, image_axes, proposal_axes) = panels(3, 5.0, 3.8)
    found = pairs(rows)
    names = [f"{pair.density}, {pair.model}" for pair in found]
    for i, pair in enumerate(found):
        plane_axes.plot(pair.excess, [i] * len(pair.excess), "o", color=LINES[0], markersize=4)
        plane_axes.plot(mean(pair.excess), i, "|", color=LINES[1], markersize=14, markeredgewidth=2)
    plane_axes.axvline(AIM, color="grey", linestyle="--", linewidth=1)
    plane_axes.set(
        xlabel="nats a point, ours - zuko (bar: mean; dashed: aim)",
        title="Densities in the plane",
        yticks=range(len(names)),
        yticklabels=names,
    )
    plane_axes.invert_yaxis()
    bars = [
        (f"{kind}\n{code}", mean(row["bits_per_dim"] for row in of(rows, f"mnist/{kind}/{code}/")))
        for kind, peer in PEERS.items()
        for code in ("ours", peer)
        if of(rows, f"mnist/{kind}/{code}/")
    ]
    for i, (_, height) in enumerate(bars):
        image_axes.bar(i, height, color=LINES[i % 2])
        image_axes.annotate(f"{height:.3f}", (i, height), ha="center", va="bottom", fontsize=8)
    image_axes.set(
        ylabel="bits per dimension (bounds)",
        title="MNIST: VAE of binary pixels, flow of bytes",
        xticks=range(len(bars)),
        xticklabels=[name for name, _ in bars],
    )
    banana = of(rows, "proposals/banana/")
    for i, (name, key) in enumerate((("flow", "ess_per_evaluation"), ("tuned MALA", "mala"))):
        values = [row[key] for row in banana]
        proposal_axes.plot([i] * len(values), values, "o", color=LINES[i], label=name)
    proposal_axes.set(
        ylabel="ESS an evaluation of the target",
        title="The banana: a flow proposes",
        xticks=[0, 1],
        xticklabels=["flow", "tuned MALA"],
        yscale="log" if banana else "linear",
        xlim=(-0.5, 1.5),
    )
    return figure
