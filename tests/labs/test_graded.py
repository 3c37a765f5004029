"""The labs through the real grading path, and each solved lab from top to bottom: kernels and sandboxes."""

import shutil

import pytest
from nbclient import NotebookClient

from ganedu.grading import grade
from ganedu.grading.sandbox import SandboxMissing, require_bubblewrap
from tests.labs.lab import LABS, ROOT, checks, functions, source, submission

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandboxed():
    try:
        require_bubblewrap()
    except SandboxMissing as missing:
        pytest.skip(str(missing))


def combined(lab: str, kind: str) -> list[dict[str, str]]:
    """Two submissions: the names of the first and of the last known answer to each function.

    All of them meet the same checks over the same wire in ``test_answers``; here it is the way there.
    """
    known = getattr(checks(lab), kind)
    return [{f: list(known[f])[which] for f in functions(lab)} for which in (0, -1)]


@pytest.mark.parametrize("lab", LABS)
def test_known_answers_through_the_real_grading_path(lab, sandboxed, tmp_path):
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    for part in ("solutions", "labs"):
        shutil.copytree(ROOT / part / lab, tmp_path / part / lab)
    known = checks(lab)
    hand_ins = {"empty": {}, "reference": known.reference}
    rows = {
        f"{kind}{i:02}": (kind, row)
        for kind in ("wrong", "right")
        for i, row in enumerate(combined(lab, kind))
    }
    for student, (kind, row) in rows.items():
        answers = {f: getattr(known, kind)[f][name] for f, name in row.items()}
        hand_ins[student] = known.reference | answers
    for student, answers in hand_ins.items():
        folder = tmp_path / "submitted" / student / lab
        folder.mkdir(parents=True)
        (folder / f"{lab}.ipynb").write_text(submission(lab, answers), encoding="utf-8")

    results = {result.student: result for result in grade(lab, tmp_path, progress=False)}
    assert {student: result.error for student, result in results.items() if result.error} == {}
    assert results["empty"].score == 0
    assert results["reference"].score == results["reference"].max_score > 0
    for student, (kind, row) in rows.items():
        verdicts = {check["grade_id"].removesuffix("_test"): check for check in results[student].checks}
        for function, name in row.items():
            verdict = verdicts[function]
            if kind == "right":
                assert verdict["points"] == verdict["max_points"], (function, name, verdict["messages"])
            else:
                assert (verdict["points"], verdict["known_mistake"]) == (0, name), (
                    function,
                    verdict["messages"],
                )


@pytest.mark.parametrize("lab", LABS)
def test_the_solved_lab_runs_from_top_to_bottom(lab, tmp_path):
    notebook = source(lab)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=resources).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    tested = [cell for cell in cells if cell.source.rstrip().rsplit("\n", 1)[-1].startswith("check.done")]
    assert len(tested) == len(functions(lab))
    for cell in tested:
        assert "visible checks passed" in cell.outputs[-1]["text"]
    pictures = [o for cell in cells for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 5
