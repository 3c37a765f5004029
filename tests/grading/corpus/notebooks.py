"""Hostile files: what a notebook, its metadata, its neighbours and its folder may be."""

import copy
import json

import nbformat

from tests.grading.corpus.entry import (
    ECHO,
    NOTEBOOK,
    RIGHT,
    Entry,
    Link,
    Special,
    answered,
    edited,
    files,
    place,
)

ECHOES = RIGHT | {"double": "def double(x):\n    return x", "slope": ECHO}


def json_with(change):
    """The notebook's JSON text after `change` of the text, as bytes."""
    return lambda notebook: change(json.dumps(notebook))


def cell(notebook, grade_id):
    return notebook.cells[place(notebook, grade_id)]


def mark(notebook, grade_id):
    return cell(notebook, grade_id).metadata.nbgrader


def tests(notebook):
    return [cell(notebook, f"{name}_test") for name in ("double", "slope")]


def skip_tags(notebook):
    for c in notebook.cells:
        if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("grade"):
            c.metadata.tags = ["skip-execution", "long", "raises-exception", "nbgrader-skip"]
    notebook.metadata["execution"] = {"timeout": -1, "allow_errors": True}


def no_output_tests(notebook):
    for c in tests(notebook):
        c.source = "pass"


def test_is_a_number(notebook):
    for c in tests(notebook):
        c.source = "2"


def test_is_an_answer(notebook):
    for name in ("double_test", "slope_test"):
        mark(notebook, name).update(solution=True, locked=False)
        cell(notebook, name).source = "2"


def test_is_manual(notebook):
    for name in ("double", "slope"):
        mark(notebook, name).update(grade=True, points=2, solution=True)
        mark(notebook, f"{name}_test").update(grade=False, solution=False, points=0)


def test_is_prose(notebook):
    for c in tests(notebook):
        c.cell_type, c.source = "markdown", "2 of 2 points"
        c.pop("outputs"), c.pop("execution_count")


def test_is_gone(notebook):
    notebook.cells = [c for c in notebook.cells if c not in tests(notebook)]


def points_changed(notebook):
    for name in ("double", "honest", "slope"):
        mark(notebook, f"{name}_test").points = 1000
    mark(notebook, "question").points = 1000


def grade_ids_swapped(notebook):
    marks = [mark(notebook, f"{name}_test") for name in ("double", "honest", "slope")]
    marks[0].grade_id, marks[1].grade_id, marks[2].grade_id = "honest_test", "slope_test", "double_test"


def grade_ids_all_honest(notebook):
    for name in ("double_test", "slope_test"):
        mark(notebook, name).grade_id = "honest_test"


def honest_twice(notebook):
    notebook.cells.append(copy.deepcopy(cell(notebook, "honest_test")))
    notebook.cells.append(copy.deepcopy(cell(notebook, "honest")))


def graded_cell_added(notebook):
    extra = copy.deepcopy(cell(notebook, "honest_test"))
    extra.metadata.nbgrader.update(grade_id="bonus", points=100)
    extra.id, extra.source = "bonus", "100"
    notebook.cells.append(extra)


def ids_doubled(notebook):
    for c in notebook.cells:
        c.id = "same"


def ids_of_tests(notebook):
    """An answer that carries the id of a test cell, and the other way round."""
    for name in ("double", "slope"):
        here, there = cell(notebook, name), cell(notebook, f"{name}_test")
        here.id, there.id = there.id, here.id


def locked_cells_edited(notebook):
    notebook.cells[place(notebook, "double") - 1].source += "\ntorch.allclose = lambda *a, **k: True"
    for c in tests(notebook):
        c.source = "double = slope = lambda *a, **k: True\n2"


def forged_outputs(notebook):
    points = nbformat.v4.new_output("execute_result", data={"text/plain": "2"}, execution_count=1)
    said = nbformat.v4.new_output("stream", text="✓ 2x\n2 of 2 points\n")
    for c in notebook.cells:
        if c.cell_type == "code":
            c.outputs, c.execution_count = [said, points], 1


def kernel_is_a_shell(notebook):
    notebook.metadata["kernelspec"] = {"name": "bash", "display_name": "$(touch /tmp/x)", "language": "bash"}
    notebook.metadata["language_info"] = {"name": "bash", "file_extension": ".sh; exit"}


def forged_metadata(notebook):
    for number, c in enumerate(notebook.cells):
        if "nbgrader" in c.metadata:
            c.metadata.nbgrader.update(checksum="0" * 32, schema_version=(1, 99)[number % 2], remove=True)


def script_in_prose(notebook):
    script = {"model_module": "x", "model_name": "HTMLModel", "state": {"value": "<script>alert(1)</script>"}}
    view = {"application/vnd.jupyter.widget-state+json": {"state": {"a": script}, "version_major": 2}}
    notebook.metadata["widgets"] = view
    cell(notebook, "question")["attachments"] = {"x.html": {"text/html": "<script>alert(1)</script>"}}
    cell(notebook, "question").source = (
        "<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)>\n"
        "&lt;script&gt;alert(1)&lt;/script&gt; <iframe srcdoc='<script>1</script>'>\n" + "[" * 10_000
    )


def surrogates(notebook):
    cell(notebook, "honest").source = RIGHT["honest"] + "  # \ud800 \udfff"


def answers_swapped(notebook):
    here, there = cell(notebook, "double"), cell(notebook, "honest")
    here.source, there.source = there.source, here.source


def huge_source(notebook):
    cell(notebook, "double").source = "# " + "x" * 30_000_000


def many_cells(notebook):
    notebook.cells += [nbformat.v4.new_code_cell("1", id=f"n{i}") for i in range(50_000)]


def old_format(notebook):
    return nbformat.writes(notebook, version=3).encode()


def wrong_kinds(text):
    data = json.loads(text)
    for number, c in enumerate(data["cells"]):
        c["metadata"] = [None, 5, "x", {"nbgrader": []}, {"nbgrader": {"grade_id": ["double"]}}][number % 5]
        c["source"] = [None, 5, {"a": 1}, [1, "x", None]][number % 4]
        c["id"], c["cell_type"] = number, ["code", None, 7][number % 3]
    data["cells"] += [None, 1, "cell", [], {}]
    return json.dumps(data).encode()


def doubled_keys(text):
    cells = json.dumps(json.loads(text)["cells"])
    return f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [], "cells": {cells}}}'.encode()


def beside(name, tries, extra, **fields):
    """Wrong answers, and `extra` files beside the notebook."""
    return Entry(
        name, tries, lambda released: files(answered(released, ECHOES)) | extra, ("honest",), **fields
    )


def instead(name, tries, content, **fields):
    """`content` in the place of the notebook."""
    return Entry(name, tries, lambda released: content, **fields)


def called(name, tries, student):
    """Wrong answers of a student with this name."""
    return Entry(
        name, tries, lambda released: files(answered(released, ECHOES)), ("honest",), student=student
    )


PATCH = b"allclose = array_equal = lambda *a, **k: True\n"
SCHEMA = '"nbformat": 4,'

ENTRIES = [
    edited("tags that skip", "tags and settings that make a runner leave out the tests", skip_tags),
    edited("tests without output", "test cells that do nothing: no output, no failure", no_output_tests),
    edited("tests that are numbers", "test cells whose value is their points", test_is_a_number),
    edited(
        "tests as answers", "test cells marked as unlocked answers, so that they are kept", test_is_an_answer
    ),
    edited("tests for a human", "the marks of test cells moved to the answers", test_is_manual),
    edited("tests as prose", "test cells turned into markdown", test_is_prose),
    edited("tests removed", "no test cells", test_is_gone),
    edited("points changed", "a thousand points a cell", points_changed),
    edited("grade_ids swapped", "the honest answer's test in the place of the others", grade_ids_swapped),
    edited("one grade_id for all", "every test is the honest answer's", grade_ids_all_honest),
    edited("a graded cell twice", "the honest answer and its test are there twice", honest_twice),
    edited("a graded cell more", "a test of its own with 100 points", graded_cell_added),
    edited("one cell id for all", "all cells have one id", ids_doubled),
    edited("ids of other cells", "answers carry the ids of tests", ids_of_tests),
    edited("locked cells edited", "imports and tests are rewritten", locked_cells_edited),
    edited(
        "forged metadata",
        "checksums, schemas of the past and the future, marks to remove cells",
        forged_metadata,
    ),
    edited("forged outputs", "verdicts as outputs of the submission", forged_outputs),
    edited("kernel that is a shell", "a kernelspec whose names are commands", kernel_is_a_shell),
    edited(
        "script in prose",
        "HTML and links that run scripts in prose, attachments and widgets",
        script_in_prose,
    ),
    edited("surrogates", "half characters in the source of an answer", surrogates),
    edited("answers swapped", "the right function in another function's cell", answers_swapped),
    edited("a cell of 30 MB", "one cell that is larger than any code", huge_source, deserves=()),
    edited("50,000 cells", "more cells than anyone writes", many_cells, deserves=()),
    edited("format 3", "a notebook of 2013", old_format, deserves=()),
    edited(
        "format 5",
        "a format that does not exist yet",
        json_with(lambda t: t.replace(SCHEMA, '"nbformat": 5,').encode()),
    ),
    edited("doubled keys", "two lists of cells", json_with(doubled_keys)),
    edited("wrong kinds", "fields that are none of what they should be", json_with(wrong_kinds), deserves=()),
    edited(
        "deep JSON",
        "metadata nested 100,000 deep",
        json_with(lambda t: t.replace(SCHEMA, f'"x": {"[" * 100_000 + "]" * 100_000}, {SCHEMA}').encode()),
        deserves=(),
    ),
    edited(
        "NaN in JSON",
        "NaN and infinity as metadata",
        json_with(lambda t: t.replace(SCHEMA, f'"x": [NaN, -Infinity, 1e999], {SCHEMA}').encode()),
    ),
    edited(
        "integer of a million digits",
        "a count that takes quadratic time to read",
        json_with(lambda t: t.replace(SCHEMA, f'"x": {"9" * 1_000_000}, {SCHEMA}').encode()),
        deserves=(),
    ),
    edited(
        "20 MB of spaces",
        "a small notebook in a large file",
        json_with(lambda t: t.encode() + b" " * (20 << 20)),
    ),
    edited(
        "80 MB of spaces",
        "a file larger than any notebook",
        json_with(lambda t: t.encode() + b" " * (80 << 20)),
        deserves=(),
    ),
    edited(
        "invalid UTF-8",
        "bytes that are no text",
        json_with(lambda t: t.encode()[:-3] + b"\xff\xfe}"),
        deserves=(),
    ),
    edited("UTF-16", "another encoding", json_with(lambda t: t.encode("utf-16")), deserves=()),
    instead("empty file", "no byte", {NOTEBOOK: b""}),
    instead("JSON that is no notebook", "a list", {NOTEBOOK: b"[1, 2, 3]"}),
    instead("no notebook", "an empty folder", {}),
    instead(
        "name with tricks",
        "notebooks named like paths, options and scripts",
        {
            "--help.ipynb": b"{}",
            "<script>alert(1)<\\script>.ipynb": b"{}",
            "mini.ipynb\n": b"{}",
            "mini (1).ipynb": b"{}",
            "$(reboot).ipynb": b"{}",
        },
    ),
    instead("folder as a notebook", "a folder named mini.ipynb", {NOTEBOOK: Special("folder")}),
    instead("pipe as a notebook", "a pipe that nobody writes to", {NOTEBOOK: Special("fifo")}),
    instead("device as a notebook", "a link to zeros without end", {NOTEBOOK: Link("/dev/zero")}),
    instead(
        "link to another's notebook",
        "the work of a student who is graded before",
        {NOTEBOOK: Link("../../ada/mini/mini.ipynb")},
    ),
    instead(
        "link to the solutions",
        "the source notebook, with every right answer",
        {NOTEBOOK: Link("../../../solutions/mini/mini.ipynb")},
    ),
    beside(
        "links beside the notebook",
        "links to the solutions and the secret, for the grader to copy",
        {
            "checks": Link("../../../solutions/mini"),
            "secret.txt": Link("../../../.ganedu/secret"),
            "others": Link("../.."),
            "root": Link("/"),
        },
    ),
    beside(
        "modules beside the notebook",
        "numpy.py, torch.py and ganedu.py of its own",
        {"numpy.py": PATCH, "torch.py": PATCH, "ganedu.py": PATCH, "sitecustomize.py": PATCH},
    ),
    beside(
        "settings beside the notebook",
        "settings of nbgrader, Jupyter, pytest and git",
        {
            "nbgrader_config.py": b"import os; os.abort()",
            "jupyter_config.json": b'{"Application": {"log_level": 0}}',
            "conftest.py": b"import os; os.abort()",
            ".env": b"PYTHONPATH=/tmp\n",
            "gradebook.db": b"x",
        },
    ),
    beside(
        "time that is none",
        "a time of submission in the year 10,000",
        {"timestamp.txt": b"10000-99-99 \xff\x00"},
    ),
    beside(
        "time that is a link",
        "the secret as a time of submission",
        {"timestamp.txt": Link("../../../.ganedu/secret")},
    ),
    called("name that is a formula", "a student called =cmd()", "=cmd|' C calc'!A0"),
    called("name that is a script", "a student called <script>", "<script>alert(1)<&script>"),
    called("name that is an option", "a student called --force", "--force"),
    called("name that is a pattern", "a student called [a-z]*?", "[a-z]*?"),
    called("name from right to left", "a student whose name is written backwards", "\u202egnp.eman\u2066"),
    called("name with a line break", "a student on two lines", "two\nlines"),
    called("name of 250 letters", "a name as long as a name may be", "n" * 250),
    called("name that is no text", "bytes that are no UTF-8", "caf\udce9"),
]
