"""What holds for the repository as a whole: versions agree, notebooks are clean, nothing is stray."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
MEGABYTE = 1_000_000
IMPORT_NAMES = {
    "pillow": "PIL",
    "pot": "ot",
    "scikit-learn": "sklearn",
    "torch-fidelity": "torch_fidelity",
    "pyyaml": "yaml",
    "pyzmq": "zmq",
}


def tracked(*patterns: str) -> list[Path]:
    """Files that are in git or would be added; where there is no git, a test that asks is skipped."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return sorted(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(pin(line) for line in lines if line and not line.startswith("#"))


def test_importing_nbformat_compiles_no_grammars(pins):
    """jsonschema 4.25 and later with lark compile 38 of them at import, in every process of Jupyter's."""
    assert "lark" not in pins and Version(pins["jsonschema"]) < Version("4.25")


def pin(line: str) -> tuple[str, str]:
    name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups()
    return canonicalize_name(name), version


def requirements(project: dict, *extras: str) -> dict[str, Requirement]:
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {canonicalize_name(r.name): r for r in map(Requirement, sum(lists, []))}


def test_every_requirement_is_pinned_within_its_range(project, pins):
    for name, requirement in requirements(
        project, "grading", "slides", "metrics", "diagnostics", "dev", "slurm"
    ).items():
        assert pins[name] in requirement.specifier, name
    assert pins["torch"] == "2.13.0"


def test_the_conda_environment_is_the_students_install_at_the_pins(project, pins):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    python = dict(line.split("=") for line in conda if "=" in line)["python"]
    assert python in SpecifierSet(project["requires-python"])
    lines = pip["pip"]
    assert lines[0] == "--constraint constraints.txt"
    assert lines[-1] == "--editable ."
    listed = dict(pin(line) for line in lines[1:-1])
    assert listed == {name: pins[name] for name in requirements(project)}


def test_what_the_package_imports_is_declared(project):
    """Outside of grading, extras are imported where they are needed and not at the top of a file."""
    everything = [extra for extra in project["optional-dependencies"] if extra != "dev"]
    base, optional = modules(requirements(project)), modules(requirements(project, *everything))
    for path in tracked("ganedu/*.py"):
        tree = ast.parse(path.read_text())
        above, anywhere = imports(tree.body), imports(ast.walk(tree))
        assert anywhere - base - optional == set(), named(path)
        if "grading" not in path.parts:
            assert above - base == set(), named(path)


def modules(needed: dict) -> set[str]:
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in needed} | {"ganedu"}


def imports(nodes) -> set[str]:
    """Top-level names of third-party modules that ``nodes`` import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


def test_importing_ganedu_imports_nothing_heavy():
    heavy = ["IPython", "PIL", "matplotlib", "nbgrader", "pandas", "scipy", "sklearn", "torchmetrics"]
    program = f"import ganedu, sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(program) == "[]"


def test_the_samplers_import_no_more_than_torch():
    """Machines with a GPU may offer no more."""
    heavy = [
        "IPython",
        "PIL",
        "matplotlib",
        "nbgrader",
        "pandas",
        "scipy",
        "sklearn",
        "torchmetrics",
        "arviz",
    ]
    program = f"import ganedu.samplers.gan, sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(program) == "[]"


def python(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_the_example_of_the_readme_samples_the_tilted_law():
    """D(G(z)) = w·z tilts N(0, I) to N(w, I); Langevin steps close the gap from the prior by 1 - τ/2 each.

    Six standard errors of 10,000 draws on two coordinates: fails falsely once in 2e8.
    """
    import torch
    from torch import nn

    code, calibrated = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    w = torch.tensor([1.0, -0.5])
    names = {"G": nn.Identity(), "D": nn.Linear(2, 1)}
    with torch.no_grad():
        names["D"].weight.copy_(w)
    exec(code, names)
    expect = w * (1 - (1 - 0.01 / 2) ** 640)
    torch.testing.assert_close(names["draws"].x.mean(0), expect, rtol=0, atol=0.06)
    # Of data from N(w, I) the logit w·z is right but for the offset; the scale's standard error is 0.05.
    names["held_out"] = w + torch.randn(5_000, 2, generator=torch.Generator().manual_seed(2))
    exec(calibrated, names)
    assert abs(names["calibration"].scale - 1.0) < 0.3 and names["draws"].x.shape == (10_000, 2)


def test_notebooks_in_git_have_no_outputs_and_unique_cell_ids():
    for path in tracked("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        ids = [cell.get("id") for cell in cells]
        assert all(ids), f"{named(path)}: a cell without id"
        assert len(set(ids)) == len(ids), f"{named(path)}: a cell id twice"
        for cell in cells:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [], f"{named(path)}: outputs in cell {cell['id']}"
                assert cell["execution_count"] is None, f"{named(path)}: cell {cell['id']} was run"


def test_no_file_of_the_package_is_longer_than_300_lines():
    long = {
        named(path): n for path in tracked("ganedu/*.py") if (n := len(path.read_text().splitlines())) > 300
    }
    assert long == {}


def test_files_in_git_are_small():
    """3 MB a file; only the zoo's weights may be larger, at most 20 MB in all."""
    zoo = [path for path in tracked("ganedu/zoo/*") if path.suffix == ".safetensors"]
    assert sum(path.stat().st_size for path in zoo) <= 20 * MEGABYTE
    big = [named(path) for path in tracked() if path not in zoo and path.stat().st_size > 3 * MEGABYTE]
    assert big == []


def test_no_tracked_file_names_a_path_of_some_machine():
    # Spelt in pieces, so that this file passes as well.
    places = [r"(?<![\w.])/" + r"(work|root)/[\w.]", r"/home/\w+" + r"/[\w.]", r"\.\./" + "shared"]
    foreign = re.compile("|".join(places))
    for path in tracked():
        if named(path) == ".ci/run" or path.suffix in {".safetensors", ".png"}:
            continue
        found = foreign.search(path.read_text(errors="replace"))
        assert found is None, f"{named(path)}: {found.group()}"


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["ruff check", "ruff format"])
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
