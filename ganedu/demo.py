"""``make demo``: an instructor's whole day, and what the samplers do to a GAN's images.

Everything goes to one folder: a course of its own (labs generated, three submissions graded), the
gradebook as CSV and HTML, the samplers' pictures, and a page that leads to all of it.
"""

import json
import shutil
import time
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from ganedu import metrics, viz, zoo
from ganedu.data import DataNotFound, cifar10
from ganedu.gans import GAN
from ganedu.gans.calibration import Logistic
from ganedu.grading import Result, examples, grade, release, report
from ganedu.rng import generator
from ganedu.samplers import gan as samplers
from ganedu.samplers.gan import Draws
from ganedu.targets import StandardNormal

LAB = "lab10_rep_gan"
NAME = "cifar10-dcgan"
MARKER = ".ganedu-demo"  # in a course that a demo made and the next one may remove
N, STEPS, STEP_SIZE, THIN = 64, 640, 0.01, 8
# What the ceiling is for: chains long enough to reach a target sharp enough to mislead them.
FAR_N, FAR_STEPS, FAR_STEP_SIZE, SHARPER = 36, 400, 0.1, 3
BENCHMARK = Path("benchmarks/results/rep_gan_tables.json")
POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } figure { margin: 2rem 0 } img { max-width: 100% }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } figcaption { color: #595959 }
"""
COLUMNS = (
    "sampler",
    "acceptance",
    "mean calibrated logit",
    "share of outliers",
    "gradient evaluations",
    "seconds",
)


def run(out: Path, root: Path = Path(".")) -> Path:
    """Do it all into ``out``, with the labs of the course ``root``; returns the page to open.

    Raises ValueError and OSError as ``ganedu release`` and ``ganedu grade`` do.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = an_instructors_day(out, root)
    gan, calibration = zoo.load(NAME, device="auto"), zoo.calibration(NAME)
    draws = by_every_sampler(gan, calibration)
    rows = [figures(name, *drawn, gan, calibration) for name, drawn in draws.items()]
    pictures = draw_pictures(out, gan, calibration, {name: drawn for name, (drawn, _) in draws.items()})
    _write(out / "figures.json", json.dumps(rows, indent=2) + "\n")
    table = [COLUMNS, *(as_text(row) for row in rows)]
    for line in table:
        print("".join(f"{cell:>{24 if i else 10}}" for i, cell in enumerate(line)))
    quoted = quote_scores(root / BENCHMARK)
    print(quoted)
    page = _write(out / "index.html", as_page(results, table, quoted, pictures))
    print(f"Open {page}")
    return page


def an_instructors_day(out: Path, root: Path) -> list[Result]:
    """Release the lab, collect three submissions, grade them, write the gradebook."""
    if not (root / "solutions" / LAB).is_dir():
        raise ValueError(f"root: the demo needs {LAB}, and {root.resolve()} has no solutions/{LAB}")
    course = out / "course"
    if course.exists():  # an earlier demo's would be graded on top; anybody else's is not ours to remove
        if not (course / MARKER).is_file():
            raise ValueError(f"out: {course} is not a demo's; name a folder without one")
        shutil.rmtree(course)
    course.mkdir()
    (course / MARKER).touch()
    skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(root / "solutions" / LAB, course / "solutions" / LAB, ignore=skip)
    shutil.copy(root / "nbgrader_config.py", course)
    print(f"Releasing {LAB}: labs/ from solutions/")
    release(LAB, course)
    print("Submissions:", ", ".join(examples.write(LAB, course)))
    results = grade(LAB, course)
    for result in results:
        print(f"  {result.student:10} {result.score:g} of {result.max_score:g}  {result.error or ''}")
    print("Gradebook:", *report(LAB, course, out))
    return results


def by_every_sampler(gan: GAN, calibration: Logistic, seed: int = 0) -> dict[str, tuple[Draws, float]]:
    """Name -> (draws, seconds), all from the same starts: the first use of the same generator."""
    chain = dict(calibration=calibration, steps=STEPS, thin=THIN, trace=True)
    device = next(gan.generator.parameters()).device

    def nothing(rng: torch.Generator) -> Draws:
        z = gan.prior(N, rng)
        return Draws(z, gan.generator(z), 1.0, samplers.Evaluations(N, 0), "biased: the generator's own")

    def timed(sampler) -> tuple[Draws, float]:
        started = time.perf_counter()
        draws = sampler(generator(seed, device=device))
        return draws, time.perf_counter() - started

    def sample(name: str, sampler, **options) -> tuple[Draws, float]:
        return timed(lambda rng: sampler(gan, N, progress=name, rng=rng, **options))

    return {
        "GAN": timed(nothing),
        "DRS": sample("DRS", samplers.drs, calibration=calibration),
        "MH-GAN": sample("MH-GAN", samplers.mh_gan, **chain),
        "DDLS": sample("DDLS", samplers.ddls, step_size=STEP_SIZE, **chain),
        "REP-GAN": sample("REP-GAN", samplers.rep_gan, step_size=STEP_SIZE, **chain),
    }


def figures(name: str, draws: Draws, seconds: float, gan: GAN, calibration: Logistic) -> dict:
    """One row of the table, as numbers."""
    logit = gan.logit(draws.x)
    outliers = metrics.outlier_share(calibration.uncapped(logit), zoo.outlier_logit(NAME))
    values = (name, draws.accept_rate, float(calibration(logit).mean()), outliers)
    return dict(zip(COLUMNS, (*values, draws.evaluations.gradient, round(seconds, 1)), strict=True))


def as_text(row: dict) -> tuple[str, ...]:
    name, acceptance, logit, outliers, gradients, seconds = row.values()
    acceptance = "" if name == "GAN" else f"{acceptance:.2f}"
    return name, acceptance, f"{logit:.2f}", f"{100 * outliers:.1f}%", f"{gradients:,}", f"{seconds:.0f}"


def draw_pictures(out: Path, gan: GAN, calibration: Logistic, draws: dict[str, Draws]) -> dict[str, str]:
    """File name -> what it shows, for every PNG that is written."""
    pictures = {}

    def keep(fig, name: str, caption: str) -> None:
        viz.save(fig, out / name)
        pictures[name] = caption

    sets = {name: drawn.x for name, drawn in draws.items()}
    real = real_images()
    keep(
        viz.images.compare(sets | real),
        "samplers.png",
        f"{N} draws of each sampler by the same networks, the chains started at the GAN's draws"
        + (", and real images" if real else "")
        + ". DDLS and REP-GAN share their noise too: they part where REP-GAN rejects.",
    )
    for name, x in sets.items():
        keep(viz.images.grid(x, name), f"{name.lower()}.png", f"{name}: {N} draws.")
    rep_gan = draws["REP-GAN"].trace
    every = 8
    z = rep_gan.z[every - 1 :: every, :8]
    steps = [THIN * every * (i + 1) for i in range(len(z))]
    x = gan.generator(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    keep(
        viz.images.strip(x, steps, "REP-GAN: a chain a row"),
        "chains.png",
        "Images along eight chains: a rejected proposal leaves the picture as it was.",
    )
    keep(logit_traces(gan, calibration, draws), "logits.png", "The calibrated logit along the chains.")
    keep(both_targets(gan, calibration), "ceiling.png", BOTH_TARGETS)
    return pictures


def real_images() -> dict[str, Tensor]:
    """64 test images where CIFAR-10 is on this machine; the demo needs none."""
    try:
        return {"real images": cifar10("test")[slice(0, N)].x()}
    except DataNotFound:
        return {}


def logit_traces(gan: GAN, calibration: Logistic, draws: dict[str, Draws]):
    """d(G(z)) along the chains: what is left of log p_t when log p_0 is taken away."""
    values = {}
    for name in ("MH-GAN", "DDLS", "REP-GAN"):
        trace = draws[name].trace
        values[name] = trace.log_prob - StandardNormal(gan.latent_dim).log_prob(trace.z)
    levels = {"ceiling: nine in ten real images are below": calibration.ceiling}
    return viz.chains.traces(values, "calibrated logit d(G(z))", levels, thin=THIN)


BOTH_TARGETS = (
    f"What the ceiling is for: {FAR_STEPS} steps of {FAR_STEP_SIZE} by REP-GAN on the target of a "
    f"discriminator {SHARPER} times as confident as this one is. Unbounded, it pays for latents that no "
    "training batch held."
)


def both_targets(gan: GAN, calibration: Logistic):
    """REP-GAN on a sharper target without the ceiling and with it, from the same starts.

    At the calibration's own slope so short a run finds no outlier on this GAN even without one.
    """
    device = next(gan.generator.parameters()).device
    capped = Logistic(SHARPER * calibration.scale, calibration.offset, SHARPER * calibration.ceiling)
    sets = {}
    for kind, fit in (("without a ceiling", capped.without_ceiling()), ("with a ceiling", capped)):
        draws = samplers.rep_gan(
            gan,
            FAR_N,
            calibration=fit,
            steps=FAR_STEPS,
            step_size=FAR_STEP_SIZE,
            progress=kind,
            rng=generator(1, device=device),
        )
        share = metrics.outlier_share(calibration.uncapped(gan.logit(draws.x)), zoo.outlier_logit(NAME))
        sets[f"{kind}: {100 * share:.0f}% outliers"] = draws.x
    return viz.images.compare(sets)


def quote_scores(path: Path) -> str:
    """Scores need more draws than a demo has: from the benchmark's results, or how to make them."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "summary" not in found:
        return "Scores over enough draws: python -m benchmarks.rep_gan_tables"
    gains = ", ".join(f"{name} {text}" for name, text in found["summary"]["score_minus_gan"].items())
    return (
        f"Classifier score minus the GAN's, from {path.with_suffix('.md').name} "
        f"({found['summary']['label']}): {gains}"
    )


def as_page(results: list[Result], table: list, quoted: str, pictures: dict[str, str]) -> str:
    """A page without scripts; everything in it is escaped."""

    def grid(rows) -> str:
        head, *body = (
            "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row)
            for tag, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
        )
        return "<table><tr>" + "</tr><tr>".join((head, *body)) + "</tr></table>"

    scores = [
        ("student", "score", "of"),
        *((r.student, f"{r.score:g}", f"{r.max_score:g}") for r in results),
    ]
    shown = "".join(
        f'<figure><img src="{name}" alt=""><figcaption>{escape(text)}</figcaption></figure>'
        for name, text in pictures.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ganedu: demo</title>
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<style>{STYLE}</style>
<h1>An instructor's day</h1>
<p>{escape(LAB)}: three submissions, judged outside the students' processes.
<a href="gradebook.html">The gradebook</a>, <a href="gradebook.csv">as CSV</a>.</p>
{grid(scores)}
<h1>What the discriminator still knows</h1>
<p>{N} chains of {STEPS} steps, τ = {STEP_SIZE}, started at the GAN's draws.</p>
{grid(table)}
<p>{escape(quoted)}</p>
{shown}
</html>
"""


def _write(path: Path, text: str) -> Path:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)
