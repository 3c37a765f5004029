"""Each lecture runs from top to bottom in a fresh kernel, and every demo in it has drawn its picture."""

from copy import deepcopy

import pytest
from nbclient import NotebookClient

from tests.lectures.lecture import LECTURES, notebook

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lecture", LECTURES)
def test_the_lecture_runs_from_top_to_bottom(lecture, tmp_path):
    copy = deepcopy(notebook(lecture))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(copy, timeout=600, kernel_name="python3", resources=resources).execute()
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    for cell in code:
        if "demos." in cell.source and "import" not in cell.source:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.id
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 6
