"""The lecturer's commands: slides, and the generated parts of the course's pages."""

from pathlib import Path
from typing import Annotated

import typer

from ganedu.cli.course import course_root
from ganedu.cli.shell import one_line_errors


def slides(
    lectures: Annotated[
        list[str], typer.Argument(metavar="LECTURE...", help="Numbers or names of lectures/: 08, 10_rep_gan.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the pages go.")] = Path("build/slides"),
) -> None:
    """Run lectures and write them as reveal.js slides, with all that they load beside them.

    \b
    A page needs no network, and neither does this command: reveal.js and MathJax come from the
    extra `slides` (pip install -c constraints.txt -e ".[slides]"). Carry the whole folder.
    A demo is its picture there; to move its controls, present the notebook in JupyterLab.

    \b
    Chromium, Chrome and Edge open the page as a file. Firefox lets no file load fonts, so serve it:
      python -m http.server -d build/slides
    Keys: arrows and space, O overview, S what the lecturer says, F full screen, ? all others.

    \b
    Examples:
      ganedu slides 08
      ganedu slides 08 09 10 --out talk
    """
    with one_line_errors():
        root = course_root()
        from ganedu.teaching.slides import find, slides

        for path in [find(name, root) for name in lectures]:
            print(slides(path, out))


def handbook() -> None:
    """Bring the generated parts of lectures/README.md and solutions/README.md up to date.

    \b
    Syllabus, points, known mistakes and computing times come from the notebooks, the checks and
    benchmarks/results/course.json; links for Colab and Binder from one variable, `repository` in
    [tool.ganedu] of pyproject.toml. Run it after a change of any of them; a test notices if you forget.
    """
    with one_line_errors():
        root = course_root()
        from ganedu.teaching.handbook import write

        for path in write(root):
            print(path.relative_to(root))
