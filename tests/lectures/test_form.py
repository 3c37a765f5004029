"""Every lecture: equations in order and tested, cells that present as slides, nothing that ages in git."""

import re

import pytest

from tests.lectures.lecture import LECTURES, REFERENCE, TAG, notebook, number, numbers_tested, text

SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
each_lecture = pytest.mark.parametrize("lecture", LECTURES)


@each_lecture
def test_equations_are_numbered_in_order_and_those_referred_to_exist(lecture):
    tags = TAG.findall(text(lecture))
    assert tags == [f"L{number(lecture)}.{i}" for i in range(1, len(tags) + 1)]
    own = {name for name in REFERENCE.findall(text(lecture)) if name.startswith(f"L{number(lecture)}.")}
    assert own <= set(tags)


@each_lecture
def test_every_numbered_equation_has_a_test_that_bears_its_number(lecture):
    assert set(numbers_tested(lecture)) == set(TAG.findall(text(lecture)))


@each_lecture
def test_cells_have_stable_ids_slides_and_no_outputs(lecture):
    cells = notebook(lecture).cells
    assert len({cell.id for cell in cells}) == len(cells)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cell.id) for cell in cells)
    assert all(cell.metadata.slideshow.slide_type in SLIDE_TYPES for cell in cells)
    assert cells[0].metadata.slideshow.slide_type == "slide"
    assert all(not c.outputs and c.execution_count is None for c in cells if c.cell_type == "code")


@each_lecture
def test_code_is_short_installs_nothing_and_names_no_path(lecture):
    for cell in notebook(lecture).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 15, f"{cell.id}: longer code belongs in the library"
            assert not re.search(r"^\s*[!%]|\bpip\b|/home/|/root/|\.\./", cell.source, re.MULTILINE), cell.id


@each_lecture
def test_it_has_two_demos_and_ends_with_what_the_slides_get_wrong(lecture):
    code = "\n".join(cell.source for cell in notebook(lecture).cells if cell.cell_type == "code")
    assert len(set(re.findall(r"\bdemos\.(\w+)\(", code))) >= 2
    headings = re.findall(r"^## (.+)$", text(lecture), re.MULTILINE)
    assert "What the slides get wrong" in headings[-1]
