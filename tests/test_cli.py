"""The command line: what it writes, and that whatever goes wrong is said in one line."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ganedu import checkpoints, zoo
from ganedu.cli import HELP, app
from ganedu.grading import examples
from ganedu.nets import DCGANDiscriminator, DCGANGenerator
from ganedu.rng import generator
from ganedu.samplers.gan import rep_gan
from tests.grading import mini_course

ROOT = Path(__file__).parents[1]


def ganedu(*words: str):
    return CliRunner().invoke(app, list(words))


def refusal(*words: str) -> str:
    """The one line in which a command says that it could not be done (a bar may come before it)."""
    done = ganedu(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\nganedu: ") + done.stderr.startswith("ganedu: ") == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("ganedu: ")
    return line


def commands_in(text: str) -> list[str]:
    return re.findall(r"^\s*(ganedu [a-z].*?)(?:\s{2,}.*|\s*#.*)?$", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "line", commands_in(HELP) + re.findall(r"`(ganedu [a-z][^`]*)`", (ROOT / "README.md").read_text())
)
def test_every_example_is_a_command_with_these_options(line):
    words = line.split()[1:]
    command = words[:2] if words[0] == "data" else words[:1]
    done = ganedu(*command, "--help")
    assert done.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"^ +{option}\b", done.stdout, flags=re.MULTILINE), option


def test_help_shows_the_examples_and_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from ganedu.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'nbgrader'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert commands_in(done.stdout) == commands_in(HELP) != []
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "ganedu", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ganedu ")
    assert commands_in(done.stdout) == commands_in(HELP)


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (["grade", "lab99"], "lab10_rep_gan"),
        (["release", "lab99"], "lab10_rep_gan"),
        (["report", "lab99"], "lab10_rep_gan"),
        (["sample", "cifar10-dcgan", "--out", "OUT", "--sampler", "gibbs"], "ddls, dg-flow, dot, drs, ex2"),
        (["sample", "imagenet", "--out", "OUT"], "cifar10-dcgan"),
        (["train", "imagenet", "--out", "OUT"], "cifar10-classifier, cifar10-dcgan, cifar10-sngan, dcgan"),
        (["evaluate", "imagenet"], "digits-flow, digits-vae, mnist-vae"),
        (["evaluate", "cifar10-dcgan"], "digits-flow, digits-vae, mnist-vae"),
        (["data", "get", "imagenet"], "cifar10, mnist, digits"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(words, listed, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    line = refusal(*(str(tmp_path / "out") if word == "OUT" else word for word in words))
    assert listed in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["demo"], ["grade", "lab10_rep_gan"], ["release", "lab10_rep_gan"]])
def test_outside_a_course_the_error_says_where_to_go(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "nbgrader_config.py" in refusal(*words)
    assert list(tmp_path.iterdir()) == []


def test_no_data_and_no_network_names_the_variable_and_the_command(tmp_path, monkeypatch):
    import requests

    def unreachable(*_, **__):
        raise requests.ConnectionError

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    monkeypatch.setattr(requests, "get", unreachable)
    line = refusal("data", "get", "cifar10")
    assert "GANEDU_DATA" in line and "ganedu data get cifar10" in line


def test_data_list_says_where_each_set_lies_or_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GANEDU_DATA", raising=False)
    lines = {line.split()[0]: line for line in ganedu("data", "list").stdout.splitlines()}
    assert "ganedu data get mnist" in lines["mnist"]
    assert ganedu("data", "get", "digits").stdout.strip() in lines["digits"]


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> str:
    """An entry of the zoo that needs no training: the real networks with random weights."""
    folder = tmp_path / "zoo"
    torch.manual_seed(0)
    weights = checkpoints.pack(generator=DCGANGenerator(), discriminator=DCGANDiscriminator())
    path = checkpoints.save(folder / "tiny.safetensors", weights)
    card = {
        "kind": "gan",
        "latent_dim": 100,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "calibration": {"scale": 2.0, "offset": -0.5, "ceiling": 1.5, "outlier_logit": 0.25},
    }
    (folder / "tiny.json").write_text(json.dumps(card))
    monkeypatch.setattr(zoo, "FOLDER", folder)
    monkeypatch.setitem(zoo.pairs.PAIRS, "tiny", zoo.pairs.dcgan)
    return "tiny"


def test_sample_writes_the_figures_of_the_draws_that_the_library_makes(tiny, tmp_path):
    out = tmp_path / "out"
    done = ganedu(
        *("sample", tiny, "--out", str(out), "--n", "3", "--steps", "5", "--step-size", "0.05"),
        *("--seed", "7", "--device", "cpu", "--json"),
    )
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "figures.json").read_text())
    assert figures == json.loads(done.stdout)

    gan, calibration = zoo.load(tiny, device="cpu"), zoo.calibration(tiny)
    options = {"calibration": calibration, "step_size": 0.05, "trace": True}
    draws = rep_gan(gan, 3, steps=5, rng=generator(7), **options)
    assert figures["accept_rate"] == draws.accept_rate
    assert figures["mean_calibrated_logit_after"] == pytest.approx(
        calibration(gan.logit(draws.x)).mean().item(), abs=1e-4
    )
    outliers = 2.0 * gan.logit(draws.x) - 0.5 > 0.25
    assert figures["share_of_outliers_after"] == outliers.double().mean().item()
    assert (figures["forward_evaluations"], figures["gradient_evaluations"]) == draws.evaluations

    # Steps so small that chains stay where they start: what is drawn before is where they start.
    still = rep_gan(gan, 3, steps=1, rng=generator(7), **options | {"step_size": 1e-12})
    assert figures["mean_calibrated_logit_before"] == pytest.approx(
        calibration(gan.logit(still.x)).mean().item(), abs=1e-4
    )


def test_sample_draws_a_grid_before_and_after_and_a_strip_of_chains(tiny, tmp_path):
    done = ganedu("sample", tiny, "--out", str(tmp_path), "--n", "4", "--steps", "3", "--sampler", "ddls")
    assert done.exit_code == 0, done.output
    for name in ("before.png", "after.png", "chains.png"):
        assert str(tmp_path / name) in done.stdout
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert min(picture.size) > 4 * 32
    assert list(tmp_path.rglob("*.part")) == []


def test_sample_by_rejection_has_no_chains_to_draw(tiny, tmp_path):
    out = tmp_path / "out"
    done = ganedu("sample", tiny, "--out", str(out), "--n", "4", "--sampler", "drs")
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {"before.png", "after.png", "figures.json"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--step-size", "-0.1"], ["step_size", "-0.1"]),
        (["--step-size", "nan"], ["step_size", "nan"]),
        (["--sampler", "drs", "--steps", "10"], ["steps", "drs"]),
        (["--sampler", "mh-gan", "--step-size", "0.1"], ["step_size", "mh-gan"]),
        (["--device", "abacus"], ["device", "abacus"]),
    ],
)
def test_sample_refuses_what_makes_no_sense_and_writes_nothing(tiny, tmp_path, options, names):
    out = tmp_path / "out"
    line = refusal("sample", tiny, "--out", str(out), "--n", "2", "--steps", "2", *options)
    assert all(name in line for name in names)
    assert not out.exists()


def test_sample_refuses_weights_that_do_not_match_their_card(tiny, tmp_path):
    path = zoo.FOLDER / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert "SHA-256" in refusal("sample", tiny, "--out", str(tmp_path / "out"))


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    """A course of one tiny lab, released by the command."""
    root = mini_course.write_course(tmp_path_factory.mktemp("course"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        done = ganedu("release", mini_course.LAB)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [str(root / "labs" / "mini" / "mini.ipynb")]
    return root


@pytest.fixture
def course(released, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the working directory."""
    root = shutil.copytree(released, tmp_path / "course")
    monkeypatch.chdir(root)
    return root


@pytest.mark.slow
def test_from_submissions_to_a_gradebook_by_three_commands(course):
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    answer = {"double": "def double(x):\n    return x + x\n"}
    mini_course.submit(course, "ada", examples.answered(mini_course.released(course), answer))
    mini_course.submit(course, "ben\x1b[31m", b"not a notebook")

    done = ganedu("grade", "mini")
    assert done.exit_code == 0, done.output
    _, ada, ben = done.stdout.splitlines()
    assert ada.split()[:5] == ["ada", "2", "4", "0", "3"]
    assert ben.startswith(r"ben\x1b[31m  0")
    assert "corrupt" in ben

    done = ganedu("grade", "mini", "--only", "ada", "--json")
    (record,) = json.loads(done.stdout)
    assert (record["student"], record["score"], record["sandboxed"]) == ("ada", 2.0, True)

    done = ganedu("report", "mini", "--out", "report")
    assert done.stdout.split() == ["report/gradebook.csv", "report/gradebook.html"]
    header, *lines = Path("report/gradebook.csv").read_text().splitlines()
    assert header == "student,lab,score,max_score,manual_score,manual_max"
    assert "ada,mini,2,4,0,3" in lines


def test_grading_refuses_without_a_sandbox_and_records_nothing(course, monkeypatch):
    mini_course.submit(course, "ada", mini_course.released(course))
    before = {path: path.stat().st_mtime_ns for path in course.rglob("*")}
    monkeypatch.setenv("PATH", str(course / "nothing here"))
    assert "bubblewrap" in refusal("grade", "mini")
    assert {path: path.stat().st_mtime_ns for path in course.rglob("*")} == before


def test_an_unknown_student_is_answered_with_those_who_submitted(course):
    mini_course.submit(course, "ada", mini_course.released(course))
    assert "ada" in refusal("grade", "mini", "--only", "eve")


def test_nothing_to_report_before_grading(course):
    assert "ganedu grade mini" in refusal("report", "mini", "--out", "report")
    assert not Path("report").exists()
