"""Slides in a real browser: nothing is fetched, every slide fits, formulas are set."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.jupyterlab import PICTURES, Visit, browser, require_chromium
from tests.lectures.lecture import LECTURES, executed
from tests.teaching.written import lecture as tiny
from tests.teaching.written import written

pytestmark = pytest.mark.slow

FILES = r"file:|data:|blob:|about:"
SMALLEST = 0.6  # of the full size: letters of 26 px on a slide of 720 are then 16
SLIDES = "[...document.querySelectorAll('.slides > section > section')]"
SHOW = f"""number => {{
    const {{h, v}} = Reveal.getIndices({SLIDES}[number]);
    Reveal.slide(h, v, 1000);
}}"""
CONTENT = "p, li, td, th, pre, img, h1, h2, h3, .MathJax > nobr"
OUTSIDE = f"""number => [...{SLIDES}[number].querySelectorAll('{CONTENT}')]
    .map(element => element.getBoundingClientRect())
    .filter(box => box.width * box.height > 0)
    .filter(box => box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight)
    .length"""
ERRORS = ".merror, .MathJax_Error, .noError"


@pytest.fixture
def visit(tmp_path):
    require_chromium()
    with browser(tmp_path.as_uri(), FILES) as visit:
        visit.page.set_viewport_size({"width": 1280, "height": 720})
        yield visit


def sizes(visit: Visit, page: Path) -> list[float]:
    """Open the slides; the size of each, 1 where it need not be made smaller, 0 where it does not fit."""
    visit.open(page.name, ".reveal.ready")
    return [float(size) for size in visit.page.evaluate(f"{SLIDES}.map(slide => slide.dataset.size)")]


def draw_sheets(visit: Visit, name: str, number: int, across: int = 3, down: int = 4) -> list[int]:
    """Every slide with all that appears on it, twelve a picture; returns on which something sticks out."""
    width, height, overfull = 640, 360, []
    for first in range(0, number, across * down):
        sheet = Image.new("RGB", (across * width, down * height), "grey")
        for k in range(first, min(first + across * down, number)):
            visit.page.evaluate(SHOW, k)
            overfull += [k] if visit.page.evaluate(OUTSIDE, k) else []
            picture = Image.open(io.BytesIO(visit.page.screenshot())).resize((width, height))
            row, column = divmod(k - first, across)
            sheet.paste(picture, (column * width, row * height))
        sheet.save(PICTURES / f"slides-{name}-{first // (across * down) + 1}.png")
    return overfull


@pytest.mark.parametrize("lecture", LECTURES)
def test_every_slide_of_a_lecture_fits_and_nothing_is_fetched(visit: Visit, tmp_path: Path, lecture: str):
    found = sizes(visit, written(executed(lecture), tmp_path))
    assert draw_sheets(visit, lecture, len(found)) == []
    assert len(found) > 15
    assert {number + 1: size for number, size in enumerate(found) if size < SMALLEST} == {}
    assert visit.page.locator(".MathJax_Display").count() > 5
    assert visit.page.locator(ERRORS).count() == 0
    assert visit.elsewhere == []


def test_what_is_too_tall_too_wide_or_fetched_would_be_seen(visit: Visit, tmp_path: Path):
    tall, long = "\n\n".join(["A line."] * 14), "\n\n".join(["A line."] * 80)
    wide = "$$\\mathrm{" + "wide" * 60 + "}$$"
    remote = "![a picture](https://example.org/a.png) $\\frac{$"
    found = sizes(visit, written(tiny(tall, long, wide, remote), tmp_path))
    assert found[:2] == [1, 1]
    assert SMALLEST <= found[2] < 1 and found[3] == found[4] == 0 and found[5] == 1
    assert visit.elsewhere == ["https://example.org/a.png"]
    assert visit.page.locator(ERRORS).count() == 1
    assert draw_sheets(visit, "with-planted-faults", len(found)) == [3, 4]
