"""``ganedu sample``: every sampler and kernel by its name, their options, and the trace."""

import inspect
import json

import pytest
import torch

from ganedu import zoo
from ganedu.cli.kernels import KERNELS, SAMPLERS, built
from ganedu.rng import generator
from ganedu.samplers import EllipticalSlice, Ex2, Independence, Langevin, MetropolisHastings, Tempering
from ganedu.samplers import gan as samplers
from ganedu.samplers.gan import ddls, dg_flow, rep_gan
from ganedu.samplers.traces import load_trace
from tests import test_cli
from tests.test_cli import ganedu, refusal

tiny = test_cli.tiny


def drawn(tmp_path, *words):
    """The figures that the command prints and writes."""
    common = ("--out", str(tmp_path / "out"), "--n", "3", "--seed", "7", "--device", "cpu", "--json")
    done = ganedu("sample", "tiny", *common, *words)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures == json.loads((tmp_path / "out" / "figures.json").read_text())
    return figures


def mean_logit(draws):
    gan, calibration = zoo.load("tiny", device="cpu"), zoo.calibration("tiny")
    return pytest.approx(calibration(gan.logit(draws.x)).mean().item(), abs=1e-4)


def by_hand(sampler, **options):
    gan, calibration = zoo.load("tiny", device="cpu"), zoo.calibration("tiny")
    return sampler(gan, 3, calibration=calibration, rng=generator(7), **options)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_options_and_their_defaults_are_the_librarys(sampler):
    function = getattr(samplers, sampler.replace("-", "_"))
    library = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    for name, default in SAMPLERS[sampler].items():
        assert library[name] == default and type(library[name]) is type(default)
    # What is not offered is what the command chooses itself, or cannot be said in a word.
    left = {"gan", "n", "calibration", "burn_in", "thin", "batch_size", "trace", "progress", "rng"}
    left |= {"kernel", "proposal", "chains", "max_proposals"}
    assert set(library) - set(SAMPLERS[sampler]) - left <= ({"step_size"} if sampler == "rep-gan" else set())


def test_every_sampler_of_the_library_has_a_name():
    known = {name for name in samplers.__all__ if name.islower()}
    assert known == {name.replace("-", "_") for name in SAMPLERS}


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_draws_exactly_what_the_library_draws(tiny, tmp_path, kernel):
    figures = drawn(tmp_path, "--kernel", kernel, "--steps", "3")
    made = built(kernel, KERNELS[kernel][1])
    assert made.adjusted
    draws = by_hand(rep_gan, kernel=made, steps=3)
    assert figures["mean_calibrated_logit_after"] == mean_logit(draws)
    assert (figures["accept_rate"], figures["law"]) == (draws.accept_rate, "exact")
    assert (figures["forward_evaluations"], figures["gradient_evaluations"]) == draws.evaluations
    assert figures["kernel"] == kernel
    assert {key: figures[key] for key in KERNELS[kernel][1] if key != "betas"} == {
        key: value for key, value in KERNELS[kernel][1].items() if key != "betas"
    }


def test_a_kernels_options_reach_it():
    assert built("mala", {"step_size": 0.3}) == MetropolisHastings(Langevin(0.3))
    assert built("elliptical-slice", {}) == EllipticalSlice()
    moves = MetropolisHastings(Langevin(0.3))
    assert built("ex2", {"step_size": 0.3, "n_particles": 4, "n_moves": 2}) == Ex2(moves, 4, 2)
    options = {"step_size": 0.3, "betas": (1.0, 0.5), "n_moves": 1}
    assert built("tempering", options) == Tempering(moves, (1.0, 0.5), 1)


@pytest.mark.parametrize(
    ("words", "sampler", "options"),
    [
        (["--kernel-option", "step_size=0.3"], rep_gan, {"step_size": 0.3}),
        (["--kernel", "mala", "--step-size", "0.3"], rep_gan, {"step_size": 0.3}),
        (["--kernel-option", "held=0,7"], rep_gan, {"held": (0, 7)}),
        (
            ["--kernel", "hmc", "--kernel-option", "n-leapfrog=2", "--kernel-option", "step_size=2e-1"],
            rep_gan,
            {"kernel": built("hmc", {"n_leapfrog": 2, "step_size": 0.2})},
        ),
        (
            ["--kernel", "tempering", "--kernel-option", "betas=1,0.5"],
            rep_gan,
            {"kernel": Tempering(MetropolisHastings(Langevin(0.01)), (1, 0.5))},
        ),
        (
            ["--sampler", "ddls", "--kernel-option", "decay=0.5", "--kernel-option", "diversity=2"],
            ddls,
            {"decay": 0.5, "diversity": 2.0},
        ),
        (["--sampler", "dg-flow", "--kernel-option", "f=log D"], dg_flow, {"f": "log D"}),
        (["--sampler", "dot", "--kernel-option", "lipschitz=2"], samplers.dot, {"lipschitz": 2.0}),
        (["--sampler", "ex2", "--kernel-option", "n_particles=3"], samplers.ex2, {"n_particles": 3}),
    ],
)
def test_options_are_passed_on(tiny, tmp_path, words, sampler, options):
    figures = drawn(tmp_path, "--steps", "3", *words)
    draws = by_hand(sampler, steps=3, **options)
    assert figures["mean_calibrated_logit_after"] == mean_logit(draws)
    assert (figures["accept_rate"], figures["law"]) == (draws.accept_rate, draws.law)
    assert (figures["forward_evaluations"], figures["gradient_evaluations"]) == draws.evaluations
    for key, value in options.items():
        if key not in ("kernel", "held"):
            assert figures[key] == value
    assert (tmp_path / "out" / "chains.png").exists()


@pytest.mark.parametrize("sampler", ["dot", "dg-flow", "ddls"])
def test_before_shows_where_the_chains_start(tiny, tmp_path, sampler):
    """A step so small that nothing moves: after is before."""
    words = ["--sampler", sampler, "--steps", "1", "--step-size", "1e-12"]
    figures = drawn(tmp_path, *words)
    assert figures["mean_calibrated_logit_after"] == pytest.approx(
        figures["mean_calibrated_logit_before"], abs=1e-4
    )


def test_a_trace_has_every_step_and_changes_no_draw(tiny, tmp_path):
    path = tmp_path / "traces" / "mala.safetensors"
    figures = drawn(tmp_path, "--steps", "30", "--trace", str(path))
    trace = load_trace(path)
    draws = by_hand(rep_gan, steps=30, trace=True)
    assert trace.z.shape == (30, 3, 100) and torch.allclose(trace.z, draws.trace.z, atol=1e-5)
    assert figures["mean_calibrated_logit_after"] == mean_logit(draws)
    whole = (tmp_path / "out" / "chains.png").read_bytes()
    drawn(tmp_path, "--steps", "30")
    assert (tmp_path / "out" / "chains.png").read_bytes() == whole


def test_a_trace_with_held_coordinates_is_read_back(tiny, tmp_path):
    path = tmp_path / "held.safetensors"
    drawn(tmp_path, "--steps", "4", "--kernel-option", "held=5", "--trace", str(path))
    trace = load_trace(path)
    assert trace.z.shape == (4, 3, 100) and (trace.z[:, :, 5] == trace.z[0, :, 5]).all()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--kernel", "gibbs"], ["kernel: there is no 'gibbs'; known: barker, elliptical-slice, ex2, hmc"]),
        (["--kernel", "mala", "--sampler", "ddls"], ["kernel: ddls has a kernel of its own, got mala"]),
        (
            ["--kernel-option", "tau=1"],
            ["kernel-option: mala has no option 'tau'; known: held, step_size, steps"],
        ),
        (
            ["--kernel", "hmc", "--kernel-option", "width=1"],
            ["hmc has no option 'width'; known: held, n_leapfrog, step_size, steps"],
        ),
        (
            ["--sampler", "drs", "--kernel-option", "steps=9"],
            ["drs has no option 'steps'; known: gamma, perc"],
        ),
        (["--kernel-option", "step_size"], ["kernel-option: expected KEY=VALUE, got 'step_size'"]),
        (["--kernel-option", "step_size=fast"], ["step_size: expected a number, got 'fast'"]),
        (
            ["--kernel", "hmc", "--kernel-option", "n_leapfrog=2.5"],
            ["n_leapfrog: expected an int, got '2.5'"],
        ),
        (["--kernel-option", "step_size=-1"], ["step_size: expected a positive number, got -1.0"]),
        (["--step-size", "1", "--kernel-option", "step_size=2"], ["step_size: given twice"]),
        (["--kernel", "slice", "--step-size", "1"], ["step_size: slice has no such option, got 1.0"]),
        (["--kernel", "pcn", "--kernel-option", "step_size=2"], ["step_size: ", "at most 1, got 2.0"]),
        (["--kernel-option", "held=0,100"], ["held: expected distinct ints from 0 to 99"]),
        (["--kernel", "isir", "--kernel-option", "held=0"], ["z: expected one row for each of the 2 chains"]),
        (["--sampler", "dg-flow", "--kernel-option", "f=TV"], ["f: expected one of KL, log D, JS, got 'TV'"]),
        (["--sampler", "drs", "--trace", "FILE"], ["trace: drs runs no chains"]),
        (["--trace", "FOLDER"], ["trace: expected a file, got the folder"]),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_and_nothing_written(tiny, tmp_path, words, parts):
    (tmp_path / "folder").mkdir()
    paths = {"FILE": str(tmp_path / "trace"), "FOLDER": str(tmp_path / "folder")}
    before = sorted(tmp_path.rglob("*"))
    words = [paths.get(word, word) for word in words]
    line = refusal("sample", tiny, "--out", str(tmp_path / "out"), "--n", "2", *words)
    assert all(part in line for part in parts), line
    assert sorted(tmp_path.rglob("*")) == before


def test_few_chains_draw_many_images(tiny, tmp_path):
    words = ("--chains", "8", "--kernel", "independence", "--steps", "10", "--n", "50")
    words += ("--trace", str(tmp_path / "t.safetensors"))
    figures = drawn(tmp_path, *words)
    gan, calibration = zoo.load("tiny", device="cpu"), zoo.calibration("tiny")
    kernel = MetropolisHastings(Independence())
    options = dict(kernel=kernel, calibration=calibration, chains=8, steps=10, rng=generator(7))
    assert figures["mean_calibrated_logit_after"] == mean_logit(rep_gan(gan, 50, **options))
    assert figures["chains"] == 8 and figures["n"] == 50
    assert load_trace(tmp_path / "t.safetensors").z.shape[1] == 8
    assert not (tmp_path / "out" / "chains.png").exists() and (tmp_path / "out" / "after.png").exists()


def test_few_chains_are_rep_gans(tiny, tmp_path):
    said = refusal("sample", "tiny", "--out", str(tmp_path / "out"), "--sampler", "ddls", "--chains", "4")
    assert "chains: only rep-gan draws many images from few chains, got ddls" in said
