"""``ganedu diagnose``: the table, the words, the pictures, and what it refuses."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ganedu import checkpoints
from ganedu.cli import app
from ganedu.samplers import Trace, diagnostics
from ganedu.samplers.base import Point
from ganedu.samplers.traces import save_trace

DRAWS, CHAINS, D = 300, 4, 14


def diagnose(*words: object):
    return CliRunner().invoke(app, ["diagnose", *map(str, words)])


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Good draws of fourteen coordinates, but chain 2 is elsewhere in z[7], and z[3] is held fixed."""
    z = torch.randn(DRAWS, CHAINS, D, generator=torch.Generator().manual_seed(0))
    z[:, 2, 7] += 2
    z[..., 3] = 0.5
    log_prob = -0.5 * z.square().sum(-1)
    counts = {"divergences": torch.tensor([0.0, 5.0, 0.0, 0.0]), "n_leapfrog": None}
    accept_rate = torch.tensor([0.5, 0.6, 0.7, 0.8])
    return Trace(z, log_prob, accept_rate, Point(z[-1], log_prob[-1]), seed=1, **counts)


@pytest.fixture(scope="module")
def file(trace, tmp_path_factory) -> Path:
    return save_trace(trace, tmp_path_factory.mktemp("run") / "chains.safetensors")


def test_the_worst_come_first_and_the_words_say_what_to_do(trace, file):
    done = diagnose(file)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["quantity", "mean", "sd", "mcse", "ess", "bulk", "ess", "tail", "rhat"]
    assert lines[1].split() == ["z[3]", "0.5", "0", "0", "1200", "1200", "nan"]
    name, *numbers = lines[2].split()
    x = trace.z[..., 7]
    assert name == "z[7]"
    assert float(numbers[0]) == pytest.approx(x.mean().item(), rel=1e-3)
    assert float(numbers[-1]) == pytest.approx(diagnostics.rhat(x).item(), abs=6e-4)
    assert len([line for line in lines if line.startswith(("z[", "log_prob"))][:10]) == 10
    assert lines[11] == "... and 5 better ones (--all)"
    assert lines[12] == (
        "300 draws of 4 chains; 65% of the steps accepted, 50% in the chain with the fewest; 5 divergences"
    )
    said = "\n".join(lines[13:])
    assert "No R-hat for z[3]" in said and "for z[7], and above 1.01" in said and "5 trajectories" in said


def test_all_of_them_if_asked(file):
    lines = diagnose(file, "--all").stdout.splitlines()
    quantities = {line.split()[0] for line in lines[1 : D + 2]}
    assert quantities == {"log_prob", *(f"z[{i}]" for i in range(D))}
    assert not any(line.startswith("...") for line in lines)


def test_as_json_it_is_valid_and_whole(trace, file):
    done = diagnose(file, "--json")

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    figures = json.loads(done.stdout, parse_constant=refuse)
    assert [row["name"] for row in figures["rows"][:2]] == ["z[3]", "z[7]"]
    assert len(figures["rows"]) == D + 1 and figures["rows"][0]["rhat"] is None
    assert figures["rows"][1]["ess_tail"] == diagnostics.ess_tail(trace.z[..., 7]).item()
    assert (figures["divergences"], figures["draws"], figures["still"]) == (5, 300, 0)
    assert any("z[7]" in sentence for sentence in figures["verdict"])


def test_plots_are_written_where_asked_and_nowhere_else(file, tmp_path):
    out = tmp_path / "new" / "plots"
    done = diagnose(file, "--out", out)
    assert done.exit_code == 0, done.output
    names = {"trace.png", "ranks.png", "autocorrelation.png", "ess.png", "overview.png"}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        assert str(out / name) in done.stdout.splitlines()
        with Image.open(out / name) as picture:
            picture.load()
    assert [path.name for path in file.parent.iterdir()] == ["chains.safetensors"]


def test_the_single_plots_are_of_the_worst_coordinate_that_moves(trace, file, tmp_path, monkeypatch):
    from ganedu import viz

    seen = {}
    monkeypatch.setattr(viz.diagnostics, "rank_plot", lambda x, name: seen.update({name: x}))
    monkeypatch.setattr(viz.diagnostics, "overview", lambda values: seen.update(values))
    monkeypatch.setattr(viz, "save", lambda figure, path: path)
    assert diagnose(file, "--out", tmp_path).exit_code == 0
    assert list(seen) == ["z[7]", "log_prob"] and torch.equal(seen["z[7]"], trace.z[..., 7])


def test_draws_of_the_burn_in_are_left_out(trace, tmp_path):
    drifting = trace.z.clone()
    drifting[:50] += 20
    parts = (trace.log_prob, trace.accept_rate, trace.last, 1)
    file = save_trace(Trace(drifting, *parts), tmp_path / "t.safetensors")
    rhat = {}
    for words in ((), ("--burn-in", 50)):
        figures = json.loads(diagnose(file, "--json", *words).stdout)
        rhat[words] = {row["name"]: row["rhat"] for row in figures["rows"]}["z[0]"]
    assert rhat[()] > 1.03 and rhat["--burn-in", 50] == diagnostics.rhat(trace.z[50:, :, 0]).item()


def test_a_run_without_trouble_is_said_to_be_one(tmp_path):
    z = torch.randn(500, 4, 2, generator=torch.Generator().manual_seed(0))
    log_prob = -z.abs().sum(-1)
    file = save_trace(Trace(z, log_prob, torch.ones(4), Point(z[-1], log_prob[-1]), 1), tmp_path / "t")
    last = diagnose(file).stdout.splitlines()[-2:]
    assert last[0].endswith("100% in the chain with the fewest") and "divergences" not in last[0]
    assert last[1].startswith("Nothing is seen to be wrong")


def refusal(*words: object) -> str:
    done = diagnose(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and done.stderr.startswith("ganedu: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_a_bad_file_is_refused_in_a_line_and_nothing_is_written(trace, file, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-5])
    checkpoints.save(tmp_path / "weights", {"w": torch.zeros(3)})
    for name in ("absent", "cut", "weights"):
        assert str(tmp_path / name) in refusal(tmp_path / name, "--out", out)
    assert "burn-in: expected fewer than the 300 draws" in refusal(file, "--burn-in", 300, "--out", out)
    broken = trace.z.clone()
    broken[7, 1, 4] = math.nan
    save_trace(Trace(broken, trace.log_prob, trace.accept_rate, trace.last, 1), tmp_path / "nan")
    assert "z[4]: expected finite draws, got 1" in refusal(tmp_path / "nan", "--out", out)
    assert not out.exists()


def test_without_plots_a_trace_with_a_nan_is_judged(trace, tmp_path):
    broken = trace.z.clone()
    broken[7, 1, 4] = math.nan
    file = save_trace(Trace(broken, trace.log_prob, trace.accept_rate, trace.last, 1), tmp_path / "nan")
    done = diagnose(file)
    assert done.stdout.splitlines()[1].split() == ["z[4]", *["nan"] * 6]
    assert "No R-hat for z[3], z[4]:" in done.stdout


def test_help_has_an_example_that_runs(file):
    done = diagnose("--help")
    assert "ganedu diagnose build/chains.safetensors --burn-in 500 --out build/diagnose" in done.stdout
