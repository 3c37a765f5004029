"""``ganedu ...``: every command is one call of the library, with its errors in one line.

torch, matplotlib and nbgrader are imported inside the commands: ``ganedu --help`` is instant.
"""

import typer

from ganedu.cli import course, data, grading, sampling, training
from ganedu.cli.shell import PLAIN

HELP = """A course on deep generative models, as code.

\b
Examples:
  ganedu demo                            an instructor's whole day, in build/demo/
  ganedu release lab10_rep_gan           labs/ from solutions/
  ganedu grade lab10_rep_gan             grade what lies in submitted/
  ganedu report lab10_rep_gan            gradebook.csv and gradebook.html
  ganedu sample cifar10-dcgan --sampler rep-gan --n 64 --out build/sample
  ganedu data get cifar10                fetch a data set, or see that it is here
  ganedu train cifar10-dcgan --epochs 25
"""

app = typer.Typer(help=HELP, pretty_exceptions_enable=False, **PLAIN)
for command in (course.demo, course.release, grading.grade, course.report, sampling.sample, training.train):
    app.command()(command)
app.add_typer(data.app, name="data")


def main() -> None:
    """The console script."""
    app(prog_name="ganedu")
