"""Rebuilding a submission on the released notebook: answers are kept, everything else is ours."""

import base64
import copy
import json
import os
import re
import time
import tracemalloc

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ganedu.grading import harmless as harmless_module
from ganedu.grading import prose, rebuild
from ganedu.grading.harmless import harmless
from ganedu.grading.rebuild import Unreadable
from tests.grading.mini_course import exercise, question
from tests.grading.test_png import SMALL

PIXEL = base64.b64encode(SMALL).decode()

STUB = "def NAME(x):\n    raise NotImplementedError()"


@pytest.fixture
def released():
    cells = [new_markdown_cell("# Title", id="title"), new_code_cell("import torch", id="imports")]
    cells += exercise("double", STUB.replace("NAME", "double")) + exercise(
        "slope", STUB.replace("NAME", "slope")
    )
    hour = new_code_cell("wait()", id="hour", metadata={"tags": ["long"]})
    return new_notebook(cells=[*cells, hour, question("question", 3)])


@pytest.fixture(scope="module")
def exporter():
    return HTMLExporter(template_name="basic")


def rebuilt(released, change):
    """(cells as (id, source), remarks) after `change` was done to a copy of the released notebook."""
    submitted = copy.deepcopy(released)
    change(submitted.cells)
    notebook, remarks = rebuild.rebuild(released, rebuild.parse(nbformat.writes(submitted).encode()))
    return notebook, remarks


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_what_was_released_comes_back(released):
    notebook, remarks = rebuilt(released, lambda cells: None)
    assert notebook == released and remarks == []


def test_answers_are_taken_from_the_submission(released):
    def change(cells):
        cells[2].source = "def double(x):\r\n    return 2 * x"
        cells[7].source = "In words."

    notebook, remarks = rebuilt(released, change)
    assert notebook.cells[2].source == "def double(x):\n    return 2 * x"
    assert notebook.cells[7].source == "In words."
    assert remarks == []


def test_metadata_tags_and_test_cells_are_the_released_ones(released):
    def change(cells):
        cells[2].metadata.tags = ["long", "skip-execution"]
        cells[2].metadata.nbgrader.points = 100
        cells[3].source = "assert True"
        cells[3].metadata.nbgrader.points = 100
        cells[6].metadata.tags = []

    notebook, _ = rebuilt(released, change)
    assert notebook == released


def test_outputs_of_the_submission_are_dropped(released):
    def change(cells):
        cells[3].outputs = [
            nbformat.v4.new_output("execute_result", data={"text/plain": "2"}, execution_count=1)
        ]
        cells[3].execution_count = 7

    assert rebuilt(released, change)[0] == released


def test_cells_that_were_moved_are_moved_back(released):
    def change(cells):
        cells[2].source = "answer"
        cells.reverse()

    notebook, _ = rebuilt(released, change)
    ids = [cell.id for cell in notebook.cells]
    assert ids == [cell.id for cell in released.cells]
    assert notebook.cells[2].source == "answer"


def test_extra_code_stays_in_its_order_without_metadata(released):
    forged = exercise("bonus", "forged")[0]

    def change(cells):
        cells.insert(0, new_code_cell("first = 1"))
        cells.insert(4, new_code_cell("helper = 2", metadata={"tags": ["long"]}))
        cells.insert(5, forged)
        cells.append(new_markdown_cell("my notes"))

    notebook, _ = rebuilt(released, change)
    assert sources(notebook)[:1] == ["first = 1"]
    place = sources(notebook).index("helper = 2")
    assert sources(notebook)[place - 1 : place + 2] == [released.cells[2].source, "helper = 2", "forged"]
    assert all(cell.metadata == {} for cell in notebook.cells if cell.id.startswith("student-"))
    assert "my notes" not in sources(notebook)


def test_an_edit_of_helper_code_is_kept_beside_the_released(released):
    def change(cells):
        cells[1].source = "import torch\nimport math"

    notebook, _ = rebuilt(released, change)
    assert sources(notebook)[1:3] == ["import torch", "import torch\nimport math"]


def test_helper_code_that_a_student_repeats_is_run_again_where_it_stands(released):
    def change(cells):
        cells[4:4] = [new_code_cell(text) for text in ("del torch", "import torch", "double(torch.ones(2))")]

    notebook, remarks = rebuilt(released, change)
    assert sources(notebook)[4:7] == ["del torch", "import torch", "double(torch.ones(2))"]
    assert notebook.cells[1].id == "imports" and remarks == []


def test_lost_cell_ids_do_not_double_the_helper_code(released):
    def change(cells):
        for i, cell in enumerate(cells):
            cell.id = f"fresh-{i}"

    assert rebuilt(released, change)[0] == released


def test_a_missing_answer_is_said_and_left_as_released(released):
    notebook, remarks = rebuilt(released, lambda cells: cells.pop(2))
    assert notebook == released
    assert remarks == ["cell double is missing: the released one is in its place"]


def test_a_missing_test_cell_is_put_back(released):
    notebook, remarks = rebuilt(released, lambda cells: cells.pop(3))
    assert notebook == released and remarks == []


def test_of_two_answers_the_later_one_is_run_later_as_in_the_students_own_notebook(released):
    def change(cells):
        cells[2].source = "first"
        cells.insert(3, copy.deepcopy(cells[2]))
        cells[3].source, cells[3].id = "second", "copy"

    notebook, remarks = rebuilt(released, change)
    assert sources(notebook)[2:4] == ["first", "second"]
    assert notebook.cells[3].metadata == {}
    assert remarks == ["cell double is there twice: the second is kept as an ungraded cell"]


def test_a_copy_of_the_stub_does_not_undo_the_answer(released):
    def change(cells):
        cells.insert(3, copy.deepcopy(cells[2]))
        cells[2].source, cells[3].id = "answer", "copy"

    notebook, _ = rebuilt(released, change)
    assert sources(notebook).count(released.cells[2].source) == 0
    assert sources(notebook)[2] == "answer"


def test_an_answer_that_became_prose_is_turned_back(released):
    def change(cells):
        cells[2] = new_markdown_cell("def double(x): ...", id="double", metadata=cells[2].metadata)

    notebook, remarks = rebuilt(released, change)
    assert notebook.cells[2].cell_type == "code" and notebook.cells[2].source == "def double(x): ..."
    assert remarks == ["cell double was turned from code to markdown: turned back"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "no list of cells"),
        (b'{"worksheets": []}', "no list of cells"),
        (b'{"cells": {}}', "no list of cells"),
        (json.dumps({"cells": [{}] * 3000}).encode(), "3000 cells"),
        (json.dumps({"cells": [{"source": "x" * (2 << 20)}]}).encode(), "characters"),
    ],
)
def test_what_is_no_notebook_is_said_in_words(data, said):
    with pytest.raises(Unreadable, match=said):
        rebuild.parse(data)


@pytest.mark.parametrize(
    "cell",
    [
        7, {}, {"cell_type": None}, {"cell_type": "code", "source": 5}, {"metadata": [1]},
        {"metadata": {"nbgrader": 3}}, {"metadata": {"nbgrader": {"grade_id": ["double"]}}},
        {"source": [1, "a", None], "id": {}},
    ],
)  # fmt: skip
def test_malformed_cells_are_harmless(released, cell):
    good = json.loads(nbformat.writes(released))["cells"]
    notebook, _ = rebuild.rebuild(released, rebuild.parse(json.dumps({"cells": [cell, *good]}).encode()))
    assert [c.id for c in notebook.cells if not c.id.startswith("student-")] == [c.id for c in released.cells]


def test_lone_surrogates_in_an_answer_do_not_stop_it(released):
    data = nbformat.writes(released).replace("raise NotImplementedError()", "return '\\\\ud800'", 1).encode()
    notebook, _ = rebuild.rebuild(released, rebuild.parse(data.replace(b"\\\\ud800", b"\\ud800")))
    nbformat.writes(notebook).encode()


def test_another_notebook_and_an_empty_one_are_told_apart(released):
    with pytest.raises(Unreadable, match="another notebook"):
        rebuild.rebuild(released, rebuild.parse(b'{"cells": [{"cell_type": "code", "source": "x"}]}'))
    with pytest.raises(Unreadable, match="empty"):
        rebuild.rebuild(released, rebuild.parse(b'{"cells": []}'))


def test_reading_refuses_links_pipes_folders_and_says_what_is_there(tmp_path):
    target = tmp_path / "lab.ipynb"
    (tmp_path / "Lab (1).ipynb").write_text("{}")
    with pytest.raises(Unreadable, match=r"no notebook named lab.ipynb was submitted; found Lab \(1\).ipynb"):
        rebuild.read(target)
    target.symlink_to(__file__)
    with pytest.raises(Unreadable, match="cannot be opened"):
        rebuild.read(target)
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(Unreadable, match="not a file"):
        rebuild.read(target)
    target.unlink()
    target.mkdir()
    with pytest.raises(Unreadable, match="not a file"):
        rebuild.read(target)


def said(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def test_a_long_cell_shows_what_the_submission_had_there_and_says_so(released):
    def change(cells):
        picture = nbformat.v4.new_output("display_data", data={"image/png": PIXEL, "text/html": "<script>"})
        result = nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=9)
        cells[6].outputs, cells[6].execution_count = [said("took an hour"), picture, result], 9

    hour = rebuilt(released, change)[0].cells[6]
    assert hour.source == "wait()" and hour.execution_count is None
    label, text, picture, result, note = hour.outputs
    assert label.text == "[from the submission: not executed while grading]\n" and text.text == "took an hour"
    assert picture.data == {"image/png": PIXEL} and "left out" in note.text
    assert result.output_type == "display_data"  # nbgrader reads an execute_result as points


def test_a_long_cell_that_was_changed_is_no_more_executed_than_the_released_one(released):
    def change(cells):
        cells[6].source, cells[6].outputs = "wait(2)", [said("two hours")]
        cells[6].metadata.tags = []

    notebook, _ = rebuilt(released, change)
    assert sources(notebook)[6:8] == ["wait()", "wait(2)"]
    assert notebook.cells[7].metadata == {"tags": ["long"]}
    assert [len(cell.outputs) for cell in notebook.cells[6:8]] == [0, 2]


def test_long_cells_together_show_no_more_than_a_notebook_may(released):
    submitted = rebuild.parse(nbformat.writes(released).encode())
    flood = [{"output_type": "stream", "name": "stdout", "text": "x" * (64 << 10)}]
    submitted += [rebuild.Written("code", f"wait({n})", None, "hour", flood) for n in range(40)]
    shown = [o.text for c in rebuild.rebuild(released, submitted)[0].cells for o in c.get("outputs", [])]
    assert sum(map(len, shown)) < (1 << 20) + 40 * 200 and "one notebook" in shown[-1]


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"{}," * 20_000, b"[" + b"[]," * 20_000, b"[" + b"0," * 20_000, b'["' * 20_000,
        b"[" + b"1.5," * 20_000, b"[" + b'"ab",' * 20_000, b'{"a":' * 20_000, b'"' * 50_000,
    ],
    ids=["dicts", "lists", "numbers", "nests", "floats", "strings", "depth", "quotes"],
)  # fmt: skip
def test_json_that_unpacks_to_much_more_is_refused_before_it_does(data, monkeypatch):
    monkeypatch.setattr(rebuild, "VALUE_LIMIT", 10_000)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="more than 10,000 values"):
            rebuild.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_a_string_that_does_not_end_is_looked_at_once():
    # Looked at anew from each of its quotes, this would take hours.
    with pytest.raises(Unreadable, match="not JSON"):
        rebuild.parse(b'["' + b'\\"' * 8_000_000)


def test_large_pictures_and_long_prints_are_no_reason_to_refuse(released):
    def change(cells):
        cells[6].outputs = [said(",".join(["[0.5, {1}]"] * 500_000)), said("\n" * 900_000)]
        cells[6].outputs += [nbformat.v4.new_output("display_data", data={"image/png": "A" * (12 << 20)})]

    assert rebuilt(released, change)[1] == []


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "&lt;img src=x onerror=alert(1)&gt;",
        "&amp;lt;script>alert(1)</script>",
        "&" + "amp;" * 50 + "lt;script>alert(1)</script>",
        "[c](javascript:alert(1))",
        "[c](java&#115;cript&colon;alert(1))",
        "[c](JavaScript\\:alert(1))",
        "[c][d]\n\n[d]: javascript:alert(1)",
        "[c](/formgrader/?path=submitted/eve/mini)",
        "[c]&#40;/formgrader/?path=submitted/eve/mini)",
        "[c]\n\n[c]: /form&#103;rader/?path=submitted/eve/mini",
        "![p](/formgrader/?path=submitted/eve/mini)",
        "!&#91;p](http://127.0.0.1:1/pixel.png)",
        "![p][q]\n\n[q]: http://127.0.0.1:1/pixel.png 'title'",
        "![p](attachment:other.png)",
        "![p](attachment:../../secret)",
        "[![p](attachment:other.png)](javascript:alert(1))",
        "```mermaid\n<img src=x onerror=alert(1)>\n```",
        "<http://127.0.0.1:1/formgrader/?path=submitted/eve/mini>",
        "http://127.0.0.1:1/formgrader/?path=submitted/eve/mini",
        "<!-- -->",
    ],
)
def test_prose_that_would_run_in_an_instructors_browser_is_made_harmless(released, exporter, hostile):
    def change(cells):
        cells[-1].source = "My *answer*, $a < b$, see https://example.org/a.\n\n" + hostile

    (answer,) = [c for c in rebuilt(released, change)[0].cells if c.id == "question"]
    page, _ = exporter.from_notebook_node(new_notebook(cells=[answer]))
    prose = page[page.index("<p>My") :]
    assert not re.search(r"<(script|img|iframe|!--)|javascript:|formgrader", prose, re.IGNORECASE)
    links = re.findall(r"<a[^>]* href=.([^'\"]*).>([^<]*)</a>", prose)
    assert links[0][0] == "https://example.org/a" and len(links) == prose.count("<a")
    assert all(address == text for address, text in links)  # what is read is where it leads
    assert "<em>answer</em>" in prose and "$a &lt; b$" in prose


def test_macros_that_load_or_restyle_are_words_in_a_formula_and_mathematics_stays():
    hostile = r"$\unicode[x;background:url(//a)]{x41} \mmlToken{mglyph}[src='//a'] \def\z{\unicode}$"
    assert not re.search(r"\\(unicode|mmlToken)", harmless(hostile))
    formula = r"$$\alpha = \min\left[1, \frac{p(z')}{p(z)}\right], \dataset \in \{0, 1\}^n \text{ a & b}$$"
    assert harmless(formula) == formula


def test_answers_full_of_entities_and_brackets_take_no_time(released):
    for hostile in ("&" + "amp;" * 250_000, "![" * 500_000, "javascript " * 90_000, "](" * 500_000):

        def change(cells, hostile=hostile):
            cells[-1].source = hostile

        rebuilt(released, change)


def test_a_picture_pasted_into_an_answer_stays_as_png_by_a_name_of_ours(released):
    def change(cells):
        cells[-1].source = "See ![my drawing](attachment:my%20drawing.png) and ![x](attachment:x.svg)."
        cells[-1].attachments = {
            "my drawing.png": {"image/png": PIXEL},
            "x.svg": {"image/svg+xml": "<svg onload='alert(1)'/>"},
            "y.png": {"image/png": "PHN2Zz4="},
        }

    (answer,) = [c for c in rebuilt(released, change)[0].cells if c.id == "question"]
    assert answer.attachments == {"picture-0.png": {"image/png": PIXEL}}
    assert answer.source == "See ![my drawing](attachment:picture-0.png) and ! [x] (attachment:x.svg)."
    nbformat.validate(new_notebook(cells=[answer]))


@pytest.mark.parametrize("attachments", [5, ["a"], {"a": 5}, {"a": {"image/png": 5}}, {"a": None}])
def test_malformed_attachments_are_harmless(released, attachments):
    cells = json.loads(nbformat.writes(released))["cells"]
    cells[-1]["attachments"] = attachments
    notebook, _ = rebuild.rebuild(released, rebuild.parse(json.dumps({"cells": cells}).encode()))
    assert "attachments" not in notebook.cells[-1]


def test_no_page_takes_hours_for_what_a_cell_holds():
    """Each of these took a highlighter or a parser of formulas minutes to hours."""
    blanks = rebuild.legible("0" + " \n" * 400_000 + "0")
    assert len(blanks) == rebuild.BLANKS + 2 and rebuild.legible("a\n\n\nb = '    '") == "a\n\n\nb = '    '"
    for opener in ("\\begin{a}", "\\\\(", "\\[", "$$ "):
        many = harmless(opener * 20_000)
        assert len(harmless_module.OPENER.findall(many)) <= harmless_module.FORMULAS
        begun = time.process_time()
        prose.source(blanks), prose.markdown(many)
        assert time.process_time() - begun < 300  # a hang, not a timing: it was hours
    assert harmless("$x$ " * 100) == "$x$ " * 100


@pytest.mark.parametrize(("source", "said"), [("x" * 900_000, "characters"), ("\n" * 60_000, "lines")])
def test_a_notebook_of_millions_of_characters_or_lines_is_refused(source, said):
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
    with pytest.raises(rebuild.Unreadable, match=said):
        rebuild.parse(json.dumps({"cells": [cell] * 5}).encode())
