"""Slides in a real browser: nothing is fetched, every slide fits, formulas are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.jupyterlab import Visit, browser, require_chromium
from tests.lectures.lecture import LECTURES, executed
from tests.teaching.written import lecture as tiny
from tests.teaching.written import written

pytestmark = pytest.mark.slow

FILES = r"file:|data:|blob:|about:"
SMALLEST = 0.6  # of the full size: letters of 26 px on a slide of 720 are then 16
SLIDES = "[...document.querySelectorAll('.slides > section > section')]"
CONTENT = "p, li, td, th, pre, img, h1, h2, h3, .MathJax > nobr"
# On which slides something sticks out, once all that appears on them has appeared.
OVERFULL = f"""() => {SLIDES}.map((slide, number) => {{
    const {{h, v}} = Reveal.getIndices(slide);
    Reveal.slide(h, v, 1000);
    const out = [...slide.querySelectorAll('{CONTENT}')]
        .map(element => element.getBoundingClientRect())
        .filter(box => box.width * box.height > 0)
        .filter(box => box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight);
    return out.length ? number : null;
}}).filter(number => number !== null)"""
# All slides side by side, at half their size.
SHEET = """
html, body, .reveal-viewport, .reveal { height: auto !important; overflow: visible !important }
.reveal .slides {
    position: static; inset: auto; margin: 0; width: auto !important; height: auto !important;
    transform: none !important; zoom: 0.5 !important;
    display: grid; grid: auto-flow 720px / repeat(3, 1280px); gap: 10px; background: grey;
}
.reveal .slides > section { display: contents !important }
.reveal .slides > section > section {
    display: block !important; position: static !important; transform: none !important;
    visibility: visible !important; opacity: 1 !important; width: 1280px !important; background: white;
}
.reveal .fragment { visibility: visible !important; opacity: 1 !important }
"""
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


def overfull(visit: Visit, name: str) -> list[int]:
    """The slides on which something sticks out; leaves a picture of all of them."""
    found = visit.page.evaluate(OVERFULL)
    visit.page.add_style_tag(content=SHEET)
    visit.page.set_viewport_size({"width": 1930, "height": 720})
    visit.picture(f"slides-{name}")
    return found


@pytest.mark.parametrize("lecture", LECTURES)
def test_every_slide_of_a_lecture_fits_and_nothing_is_fetched(visit: Visit, tmp_path: Path, lecture: str):
    found = sizes(visit, written(executed(lecture), tmp_path))
    assert overfull(visit, lecture) == []
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
    assert overfull(visit, "with-planted-faults") == [3, 4]
