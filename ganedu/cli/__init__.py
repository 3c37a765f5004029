"""``ganedu ...``: every command is one call of the library, with its errors in one line.

torch, matplotlib and nbgrader are imported inside the commands: ``ganedu --help`` is instant. What students
get has none of the instructor's files; a command whose module is absent is not listed.
"""

from importlib import import_module
from importlib.util import find_spec

import typer

from ganedu.cli.shell import PLAIN

# (module, command, an example and what it does), in the order of an instructor's term.
COMMANDS = (
    ("course", "demo", "", "an instructor's whole day, in build/demo/"),
    ("teaching", "slides", "08", "a lecture as slides, in build/slides/"),
    ("course", "release", "lab10_rep_gan", "labs/ from solutions/"),
    ("teaching", "handbook", "", "the generated parts of the instructor's pages"),
    ("pages", "bundle", "", "what students get, as build/ganedu-course.zip"),
    ("pages", "audit", "lab10_rep_gan", "prove that students can read nothing hidden"),
    ("grading", "grade", "lab10_rep_gan", "grade what lies in submitted/"),
    ("pages", "feedback", "lab10_rep_gan", "a page for each student, in feedback/"),
    ("course", "report", "lab10_rep_gan", "gradebook.csv and gradebook.html"),
    ("pages", "export", "lab10_rep_gan --for canvas --roster canvas.csv", ""),
    ("sampling", "sample", "cifar10-dcgan --sampler rep-gan --n 64 --out build/sample", ""),
    ("diagnose", "diagnose", "chains.safetensors", "are the draws of a run to be trusted?"),
    ("data", "data", "get cifar10", "fetch a data set, or see that it is here"),
    ("training", "train", "digits-vae --steps 6000", "an entry of the zoo, afresh"),
    (
        "compare",
        "compare",
        "gan wgan-gp --data ring --seeds 2",
        "GAN objectives on one law, side by side",
    ),
    ("evaluate", "evaluate", "digits-vae --k 500", "bounds on the likelihood of held-out images"),
)
HERE = [entry for entry in COMMANDS if find_spec(f"{__name__}.{entry[0]}")]
EXAMPLES = "\n".join(
    f"  {f'ganedu {command} {words}'.rstrip():38} {what}".rstrip() for _, command, words, what in HERE
)
HELP = f"A course on deep generative models, as code.\n\n\b\nExamples:\n{EXAMPLES}\n"

app = typer.Typer(help=HELP, pretty_exceptions_enable=False, **PLAIN)
for module, command, _, _ in HERE:
    home = import_module(f"{__name__}.{module}")
    if hasattr(home, "app"):
        app.add_typer(home.app, name=command)
    else:
        app.command()(getattr(home, command))


def main() -> None:
    """The console script."""
    app(prog_name="ganedu")
