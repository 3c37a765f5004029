"""A trace in a file is the trace; in arviz it has the same diagnostics."""

import math
import sys
import warnings

import pytest
import torch
from safetensors.torch import save_file

from ganedu import checkpoints
from ganedu.samplers import Langevin, MetropolisHastings, Trace, diagnostics, run
from ganedu.samplers.base import Point
from ganedu.samplers.summaries import MAX_RHAT, Row, Summary, summary, verdict, worst_first
from ganedu.samplers.traces import load_trace, save_trace, to_arviz
from ganedu.targets import StandardNormal


@pytest.fixture(scope="module")
def trace() -> Trace:
    """An odd number of float32 draws, most of them rejections."""
    rng = torch.Generator().manual_seed(3)
    start = torch.randn(4, 3, generator=rng)
    return run(MetropolisHastings(Langevin(6.0)), StandardNormal(3), start, 301, rng=rng)


def made(z: torch.Tensor, **parts) -> Trace:
    """A trace of these draws."""
    log_prob = -0.5 * z.square().sum(-1)
    rest = {"accept_rate": torch.ones(z.shape[1]), "last": Point(z[-1], log_prob[-1]), "seed": 1}
    return Trace(z=z, log_prob=log_prob, **rest | parts)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_a_saved_trace_is_the_same_trace(trace, tmp_path):
    path = save_trace(trace, tmp_path / "new" / "trace.safetensors")
    got = load_trace(path)
    assert (got.seed, len(got)) == (trace.seed, 301)
    for name in ("z", "log_prob", "accept_rate", "divergences", "n_leapfrog"):
        assert torch.equal(getattr(got, name), getattr(trace, name)), name
    assert torch.equal(got.last.z, trace.last.z) and torch.equal(got.last.log_prob, trace.last.log_prob)
    assert [file.name for file in path.parent.iterdir()] == ["trace.safetensors"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_what_a_trace_lacks_its_file_lacks_and_dtypes_stay(tmp_path, dtype):
    trace = made(normal(5, 4, 3).to(dtype).transpose(0, 1), seed=2**62 - 1)
    got = load_trace(save_trace(trace, str(tmp_path / "t.safetensors")))
    assert torch.equal(got.z, trace.z) and got.z.dtype == dtype
    assert (got.divergences, got.n_leapfrog, got.seed) == (None, None, 2**62 - 1)


def test_an_interrupted_save_leaves_the_old_file(trace, tmp_path, monkeypatch):
    path = save_trace(trace, tmp_path / "t.safetensors")

    def cut_short(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoints, "save_file", cut_short)
    with pytest.raises(OSError, match="disk full"):
        save_trace(made(normal(9, 4, 3)), path)
    assert torch.equal(load_trace(path).z, trace.z)


def bad_files(folder, trace):
    whole = save_trace(trace, folder / "whole.safetensors")
    tensors, meta = checkpoints.load(whole)
    (folder / "cut.safetensors").write_bytes(whole.read_bytes()[:-9])
    (folder / "text.txt").write_text("not a trace " * 20)
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    save_file(tensors, folder / "list.safetensors", metadata={"ganedu": "[]"})
    checkpoints.save(folder / "weights.safetensors", {"w": torch.zeros(2)}, epoch=3)
    save_file({"w": torch.zeros(2)}, folder / "bare.safetensors")
    save_file(tensors, folder / "broken.safetensors", metadata={"ganedu": '{"kind": '})
    checkpoints.save(folder / "lacks.safetensors", {"z": tensors["z"]}, **meta)
    checkpoints.save(folder / "flat.safetensors", tensors | {"z": tensors["z"][0]}, **meta)
    checkpoints.save(folder / "other.safetensors", tensors | {"log_prob": tensors["log_prob"][1:]}, **meta)
    checkpoints.save(folder / "more.safetensors", tensors | {"w": torch.zeros(2)}, **meta)
    names = ["absent", *(path.name for path in folder.iterdir() if path != whole)]
    assert len(names) == 13
    return names


def test_a_bad_file_is_named(trace, tmp_path):
    for name in bad_files(tmp_path, trace):
        with pytest.raises(ValueError, match=rf"{tmp_path / name}: expected .*trace") as error:
            load_trace(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def az():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytest.importorskip("arviz", reason="extra ganedu[diagnostics] is not installed")


def test_arviz_and_we_agree_on_a_run(az, trace):
    """Float32 draws, odd in number, many of them equal: each would show a difference in rounding."""
    data = to_arviz(trace)
    assert data.posterior["z"].dims == ("chain", "draw", "dim")
    assert data.sample_stats["lp"].shape == (4, 301)
    for ours, theirs, method in (
        (diagnostics.rhat, az.rhat, "rank"),
        (diagnostics.split_rhat, az.rhat, "split"),
        (diagnostics.ess_bulk, az.ess, "bulk"),
        (diagnostics.ess_tail, az.ess, "tail"),
        (diagnostics.ess, az.ess, "mean"),
        (diagnostics.mcse_mean, az.mcse, "mean"),
    ):
        assert ours(trace.z).tolist() == pytest.approx(
            theirs(data, method=method)["z"].values.tolist(), rel=1e-6
        )
        lp = theirs(data.sample_stats["lp"].values, method=method)
        assert ours(trace.log_prob).item() == pytest.approx(float(lp), rel=1e-6)


def test_the_table_is_that_of_arviz(az, trace):
    """Of an even number of draws: arviz's table splits an odd one in another way than its R-hat does."""
    even = made(trace.z[1:])
    theirs = az.summary(to_arviz(even, ["a", "b", "c"]), round_to="none", kind="all")
    assert theirs.index.tolist() == ["z[a]", "z[b]", "z[c]"]
    columns = {"mean": "mean", "sd": "sd", "mcse": "mcse_mean", "rhat": "r_hat"}
    columns |= {"ess_bulk": "ess_bulk", "ess_tail": "ess_tail"}
    for i, row in enumerate(summary(even).rows[:3]):
        for ours, name in columns.items():
            assert getattr(row, ours) == pytest.approx(theirs[name].iloc[i], rel=1e-6), name


def test_what_is_known_of_the_steps_goes_to_arviz_chain_by_chain(az, trace):
    stats = to_arviz(trace).sample_stats
    assert stats["acceptance_rate"].values.tolist() == trace.accept_rate.tolist()
    assert stats["divergences"].dims == stats["n_leapfrog"].dims == ("chain",)
    bare = to_arviz(made(normal(10, 4, 2)))
    assert set(bare.sample_stats.data_vars) == {"lp", "acceptance_rate"}
    assert bare.posterior.attrs["seed"] == 1


def test_arviz_is_asked_for_by_name_and_with_as_many_names(trace, monkeypatch):
    with pytest.raises(ValueError, match="names: expected 3, one a coordinate, got 2"):
        to_arviz(trace, ["a", "b"])
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"pip install 'ganedu\[diagnostics\]'"):
        to_arviz(trace)


def test_the_summary_holds_each_coordinate_and_log_prob():
    z = normal(200, 4, 2) * torch.tensor([1.0, 10.0]) + torch.tensor([0.0, 3.0])
    trace = made(z, accept_rate=torch.tensor([0.2, 0.4, 0.6, 0.8]), divergences=torch.tensor([0, 2, 0, 1.0]))
    got = summary(trace)
    assert [row.name for row in got.rows] == ["z[0]", "z[1]", "log_prob"]
    for row, x in zip(got.rows, (z[..., 0], z[..., 1], trace.log_prob), strict=True):
        x = x.double()
        assert row.mean == pytest.approx(x.mean().item(), rel=1e-12)
        assert row.sd == pytest.approx(x.std().item(), rel=1e-12)
        expect = [f(x).item() for f in (diagnostics.mcse_mean, diagnostics.ess_bulk, diagnostics.ess_tail)]
        assert [row.mcse, row.ess_bulk, row.ess_tail] == pytest.approx(expect, rel=1e-12)
        assert row.rhat == pytest.approx(diagnostics.rhat(x).item(), rel=1e-12)
    assert (got.draws, got.chains, got.still, got.divergences) == (200, 4, 0, 3)
    assert (got.accept_rate, got.lowest_accept_rate) == pytest.approx((0.5, 0.2))
    assert summary(made(z)).divergences is None


def test_the_summary_counts_chains_that_stand_still():
    z = normal(50, 4, 3)
    z[:, 1], z[:, 2, 0] = 0.3, 1.0
    assert summary(made(z)).still == 1
    assert summary(made(z[:1])).still == 0
    fixed = torch.cat([normal(50, 4, 2), torch.full((50, 4, 1), 1 / 3)], dim=-1)
    row = summary(made(fixed)).rows[2]
    assert (row.sd, row.mcse) == (0, 0) and math.isnan(row.rhat)


def row(name: str, ess_bulk=1000.0, ess_tail=1000.0, rhat=1.0) -> Row:
    return Row(name, 0.0, 1.0, 0.03, ess_bulk, ess_tail, rhat)


def test_the_worst_comes_first():
    rows = (
        row("good"),
        row("few", ess_bulk=50),
        row("few in the tails", ess_tail=20, rhat=1.009),
        row("apart", rhat=1.2),
        row("further apart", rhat=1.5),
        row("constant", rhat=math.nan),
        row("not a number", math.nan, math.nan, math.nan),
    )
    names = [found.name for found in worst_first(rows)]
    assert names == ["not a number", "constant", "further apart", "apart", "few in the tails", "few", "good"]


def told(*rows: Row, draws=500, chains=4, still=0, divergences=None) -> list[str]:
    return verdict(Summary(rows, draws, chains, 0.5, 0.4, still, divergences))


def test_the_verdict_names_what_is_wrong_and_what_to_do():
    (fine,) = told(row("z[0]", rhat=MAX_RHAT), row("log_prob", ess_bulk=400))
    assert fine.startswith("Nothing is seen to be wrong") and "no chain has found" in fine
    (apart,) = told(row("z[0]", rhat=1.02), row("z[1]", rhat=1.234), row("log_prob"))
    assert "R-hat is 1.234 for z[1], and above 1.01 for 2 of 3 quantities" in apart
    (few,) = told(row("z[0]", ess_tail=100), row("log_prob", ess_bulk=200))
    assert "z[0] has 100 effective draws in the tails" in few and "4.0 times as long" in few
    (few,) = told(row("z[0]", ess_bulk=100), row("log_prob"))
    assert "in the middle" in few
    (diverged,) = told(row("z[0]"), divergences=7)
    assert "7 trajectories diverged: take a smaller step size" in diverged
    (still,) = told(row("z[0]"), still=2)
    assert "2 of 4 chains never moved" in still
    (unknown,) = told(row("z[0]"), *(row(f"z[{i}]", rhat=math.nan) for i in range(1, 6)))
    assert "No R-hat for z[1], z[2], z[3] and 2 more" in unknown
    (one,) = told(row("z[0]", rhat=math.nan), chains=1)
    assert one.startswith("One chain cannot show what it missed")
    nan = row("z[0]", math.nan, math.nan, math.nan)
    assert "No R-hat for z[0]:" in told(nan)[0] and len(told(nan)) == 1
    assert len(told(nan, row("log_prob", ess_bulk=10))) == 2
    assert told(nan, draws=3) == ["3 draws a chain say nothing: keep 4 at least, hundreds to be of use."]
    assert len(told(row("z[0]", ess_bulk=10, rhat=1.3), still=1, divergences=1)) == 4
