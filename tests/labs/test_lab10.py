"""Lab 10's page says of the course's benchmark what is in it."""

import json
from pathlib import Path

from tests.labs.lab import source

LAB = "lab10_rep_gan"
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "rep_gan_tables.json"


def test_the_outliers_that_the_page_quotes():
    page = "\n".join(cell.source for cell in source(LAB).cells)
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    cells = [cell for cell in found["cells"] if not cell["ceiling"]]
    chains = found["settings"]["n"]
    outliers = {
        name: round(sum(chains * cell["outliers"] for cell in cells if cell["sampler"] == name))
        for name in ("REP-GAN", "MH-GAN")
    }
    assert outliers == {"REP-GAN": 49, "MH-GAN": 1}
    assert chains * len([cell for cell in cells if cell["sampler"] == "REP-GAN"]) == 3200
    assert "49 of 3,200 pictures of REP-GAN are outliers, and 1 of MH-GAN's 3,200" in page
    assert "1.5% of them" in page and round(49 / 3200, 3) == 0.015
