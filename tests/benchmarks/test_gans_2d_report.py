"""The page of benchmarks.gans_2d, from rows of known content."""

import json

import pytest

from benchmarks import gans_2d_report
from benchmarks.gans_2d_judge import pack
from benchmarks.gans_2d_samplers import AS_TRAINED, TRAINED_ON, Run
from ganedu.data import grid
from ganedu.rng import generator

COMMON = {"load": 0.1, "machine": "test", "total": 25, "n": 2000, "kl": 0.25}
COMMAND = "python -m benchmarks.gans_2d"
LAW = "25 Gaussians"


def game_row(game: str, seed: int, captured: int, share: float, w2: float) -> dict:
    return COMMON | {
        "data": LAW,
        "game": game,
        "seed": seed,
        "steps": 5000,
        "critic_steps": 5000,
        "batch": 256,
        "parameters": {"generator": 30_000, "critic": 4000},
        "captured": captured,
        "high_quality": share,
        "w2": w2,
        "seconds_per_step": 0.01,
        "cpu_ms_per_step": 7.0,
        "points": pack(grid().sample(20, generator(seed))),
    }


def sampler_row(
    sampler: str, tau: float | None, share: float, w2: float, critic: str = TRAINED_ON
) -> dict[str, dict]:
    row = game_row("GAN", 0, 25, share, w2) | {
        "sampler": sampler,
        "tau": tau,
        "steps": 640,
        "accept_rate": 0.5,
    }
    row |= {"critic": critic, "held_out_loss": 1.2 if critic == TRAINED_ON else 1.3}
    return {Run(sampler, tau, critic).key(LAW, "GAN", 0): row}


@pytest.fixture
def rows() -> dict[str, dict]:
    floor = COMMON | {
        "data": LAW,
        "high_quality": 0.989,
        "captured": 25,
        "w2": 0.2,
        "w2_range": [0.15, 0.25],
        "samples": 5,
        "points": pack(grid().sample(20, generator(9))),
    }
    found = {f"floor/{LAW}": floor}
    for seed, w2 in enumerate((0.3, 0.4, 0.5)):
        found[f"train/{LAW}/GAN/{seed}"] = game_row("GAN", seed, 24 + (seed == 2), 0.5, w2)
        found[f"train/{LAW}/WGAN/{seed}"] = game_row("WGAN", seed, 22, 0.6, w2 + 0.1)
    found |= sampler_row("REP-GAN", 0.01, 0.01, 0.95, AS_TRAINED)
    found |= sampler_row("GAN", None, 0.5, 0.3)
    found |= sampler_row("DRS", None, 0.7, 0.25) | sampler_row("MH-GAN", None, 0.75, 0.25)
    for tau, ddls, rep in ((0.01, 0.6, 0.65), (1.0, 0.02, 0.7)):
        found |= sampler_row("DDLS", tau, ddls, 0.9) | sampler_row("REP-GAN", tau, rep, 0.3)
    return found


def page(rows: dict[str, dict], missing=None) -> str:
    return gans_2d_report.markdown(rows, missing or {}, COMMAND, "gans_2d")


def test_page_and_figures_are_written_beside_the_rows(rows, tmp_path):
    """Of a page with games and samplers that have no rows, and of one with a game that broke off, too."""
    path = tmp_path / "gans_2d_test.json"
    rows["train/Swiss roll/GAN/0"] = rows[f"train/{LAW}/GAN/0"] | {"data": "Swiss roll"}
    del rows[f"train/{LAW}/WGAN/0"]["points"]
    path.write_text(json.dumps({"rows": rows}))
    written = gans_2d_report.write(path, {}, COMMAND)
    assert [file.name for file in written] == [
        "gans_2d_test.md",
        "gans_2d_test.png",
        "gans_2d_test_samplers.png",
    ]
    assert all(file.stat().st_size for file in written)
    for name in written:
        assert name.suffix == ".md" or f"({name.name})" in written[0].read_text()


def test_the_page_has_means_and_ranges_beside_what_real_points_score(rows):
    text = page(rows)
    assert "| real points | 5 samples | 25 | 98.9% | 0.250 | 0.200 (0.150 to 0.250) |" in text
    assert (
        "| GAN | 3 | 24.3 (24 to 25) | 50.0% (50.0% to 50.0%) | 0.250 (0.250 to 0.250) "
        "| 0.400 (0.300 to 0.500) |" in text
    )
    assert "Lowest mean W2: GAN (0.400). Largest mean share of high quality: WGAN (60.0%)." in text
    assert "No run has fewer than 20 of 25 modes." in text and "2,000 points a seed" in text
    assert "| GAN | non-saturating | Adam 0.0002 (0.5, 0.999) | 256 | 5,000 | 34,000 | 7 |" in text


def test_a_collapse_and_a_game_that_broke_are_named(rows):
    rows[f"train/{LAW}/GAN/1"] |= {"captured": 5}
    broken = rows[f"train/{LAW}/WGAN/2"]
    for key in ("captured", "high_quality", "kl", "w2", "points"):
        del broken[key]
    broken["broke"] = "step 300 or shortly before: the loss of critic is nan"
    text = page(rows)
    assert "Runs with fewer than 20 of 25 modes: GAN seed 1 (5)." in text
    assert "Broke off: WGAN seed 2: step 300 or shortly before: the loss of critic is nan." in text
    assert "| WGAN | 2 of 3 | 22 (22 to 22) |" in text and "high quality: GAN" in text


def test_an_unfinished_page_has_the_command_that_makes_the_rest(rows):
    keys = [f"train/{LAW}/MMD-GAN/{seed}" for seed in range(3)]
    text = page(rows, {"games": keys, "samplers": []})
    assert f"3 rows of games are not there yet. `{COMMAND} --only games --resume`" in text
    assert "Unfinished" not in page(rows)
    assert "not there yet" in page({}, {"games": keys}) and "## " not in page({})


def test_robustness_is_what_the_worst_step_size_leaves(rows):
    text = page(rows)
    assert "| DDLS | trained on | 1 | 1 | 25 | 2.0% | 0.250 | 0.900 | 50.0% |" in text
    assert "| REP-GAN | as trained | 0.01 | 1 | 25 | 1.0% | 0.250 | 0.950 | 50.0% |" in text
    assert "| GAN |  |  | 1 | 25 | 50.0% |" in text
    assert "critics lose 1.300 (as trained); 1.200 (trained on); who knows nothing, 1.386." in text
    assert (
        "At the worst of the step sizes from 0.01 to 1 DDLS, its critic trained on, has 2.0% of high quality "
        "and REP-GAN 65.0%; the largest W2 is 0.900 and 0.300." in text
    )
    assert "REP-GAN is, by both." in text
    for key in rows:
        if "/trained on/REP-GAN/" in key:
            rows[key]["w2"] = 1.5
    assert "REP-GAN is, by the share alone." in page(rows)
    for key in rows:
        if "/trained on/REP-GAN/" in key:
            rows[key]["high_quality"] = 0.01
    assert "REP-GAN is not." in page(rows)


def test_chains_nearer_to_the_data_than_their_own_law_are_not_praised_for_it(rows):
    """DRS 0.25 and REP-GAN 0.3: nothing to say. With DRS at 0.35 there is."""
    assert "have not forgotten" not in page(rows)
    rows[Run("DRS").key(LAW, "GAN", 0)]["w2"] = 0.35
    assert "REP-GAN at τ = 0.01 has a lower W2 (0.300) than DRS (0.350), which draws" in page(rows)


def test_a_sampler_that_failed_is_told(rows):
    key = Run("DRS").key(LAW, "GAN", 0)
    keep = ("data", "game", "seed", "critic", "sampler", "tau", "steps", "load", "machine")
    rows[key] = {name: rows[key][name] for name in keep} | {"failed": "drs: 3 of 2000 draws"}
    text = page(rows)
    assert "Failed: DRS (trained on), seed 0: drs: 3 of 2000 draws." in text
    assert "| DRS | trained on |  | 0 | none | none | none | none | none |" in text


def test_what_has_no_rows_is_left_out(rows):
    games = {key: row for key, row in rows.items() if not key.startswith("sample/")}
    text = page(games)
    assert f"## {LAW}" in text and "## Swiss roll" not in text and "## Five samplers" not in text
