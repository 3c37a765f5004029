"""The demo, at a size that a test can afford: everything is written, and grades are as they should be."""

import csv
import json

import pytest

from ganedu import demo
from ganedu.grading import sandbox


def test_a_course_that_no_demo_made_is_left_alone(tmp_path):
    kept = tmp_path / "course" / "submitted"
    kept.mkdir(parents=True)
    with pytest.raises(ValueError, match="is not a demo's"):
        demo.run(tmp_path)
    assert kept.is_dir()


@pytest.mark.slow
def test_the_demo_writes_an_instructors_day(tmp_path, monkeypatch):
    try:
        sandbox.require_bubblewrap()
    except sandbox.SandboxMissing as missing:
        pytest.skip(str(missing))
    for name, value in dict(N=9, STEPS=32, THIN=2, FAR_N=4, FAR_STEPS=8).items():
        monkeypatch.setattr(demo, name, value)
    page = demo.run(tmp_path / "demo").read_text()
    out = tmp_path / "demo"
    assert [path.name for path in out.rglob("*.csv")] == ["gradebook.csv"]
    with (out / "gradebook.csv").open() as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert list(rows["half"]) == "student lab score max_score manual_score manual_max".split()
    total = float(rows["complete"]["max_score"])
    scores = {student: float(row["score"]) for student, row in rows.items()}
    assert scores == {"complete": total, "half": total / 2, "cheat": 0.0}
    figures = json.loads((out / "figures.json").read_text())
    assert [row["sampler"] for row in figures] == ["GAN", "DRS", "MH-GAN", "DDLS", "REP-GAN"]
    assert [row["gradient evaluations"] for row in figures] == [0, 0, 0, 9 * 33, 9 * 33]
    for name in ("samplers", "gan", "drs", "mh-gan", "ddls", "rep-gan", "chains", "logits", "ceiling"):
        assert (out / f"{name}.png").stat().st_size > 1000
        assert f'src="{name}.png"' in page
    assert "<script" not in page
