"""Each lecture runs from top to bottom in a fresh kernel, and every demo in it has drawn its picture."""

import pytest

from tests.lectures.lecture import LECTURES, executed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lecture", LECTURES)
def test_the_lecture_runs_from_top_to_bottom(lecture):
    code = [cell for cell in executed(lecture).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    for cell in code:
        if "demos." in cell.source and "import" not in cell.source:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.id
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 6
