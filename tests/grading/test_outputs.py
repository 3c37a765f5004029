"""Outputs are data: capped while they arrive, and nothing that a browser runs."""

import base64

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from ganedu.grading import outputs
from ganedu.grading.outputs import Budget, Outputs, cleaned
from tests.grading.test_png import END, PIXELS, SMALL, chunk, header

PIXEL = base64.b64encode(SMALL).decode()
HUGE = base64.b64encode(outputs.png.SIGNATURE + header(60_000, 60_000) + PIXELS + END).decode()


def kept(*messages):
    collected = Outputs()
    for kind, content in messages:
        collected.add(kind, content)
    found = collected.finish()
    nbformat.validate(new_notebook(cells=[new_code_cell("x", outputs=found)]))
    return found


def test_text_is_kept_and_joined():
    out = kept(*[("stream", {"name": "stdout", "text": word}) for word in ("a", "b\n")])
    assert [(o.name, o.text) for o in out] == [("stdout", "ab\n")]


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "application/javascript",
        "image/svg+xml",
        "application/vnd.jupyter.widget-view+json",
        "x/y",
    ],
)
def test_what_a_browser_could_run_is_dropped_and_said(kind):
    (note,) = kept(("display_data", {"data": {kind: "<script>alert(1)</script>"}}))
    assert "left out while grading" in note.text and "script>" not in note.text


def test_plots_stay_as_png():
    (picture,) = kept(("display_data", {"data": {"image/png": PIXEL + "\n"}}))
    assert picture.data == {"image/png": PIXEL}


@pytest.mark.parametrize(
    "data", ['x" onerror="alert(1)', base64.b64encode(b"<svg>").decode(), PIXEL[:-8], "é", 5, None, ["a"]]
)
def test_what_only_claims_to_be_png_is_dropped(data):
    found = kept(("display_data", {"data": {"image/png": data}}))
    said = ["[left out while grading: a picture that is no PNG]\n"] if isinstance(data, str) else []
    assert [output.text for output in found] == said


def test_nothing_but_the_picture_is_in_a_picture():
    polyglot = base64.b64encode(SMALL[:-12] + chunk(b"tEXt", b"<script>") + END + b"<html>").decode()
    (picture,) = kept(("display_data", {"data": {"image/png": polyglot}}))
    assert picture.data == {"image/png": PIXEL}


def test_a_result_cannot_be_read_as_points():
    (out,) = kept(("execute_result", {"data": {"text/plain": "12"}}))
    assert out.output_type == "display_data"


def test_floods_are_cut_with_a_note():
    flood = [("stream", {"name": "stdout", "text": "x" * 1000})] * 1000
    text = "".join(o.text for o in kept(*flood))
    assert len(text) < outputs.TEXT_LIMIT + 200 and "left out while grading: text beyond 64 KiB" in text
    pictures = [("display_data", {"data": {"image/png": PIXEL}})] * 1000
    assert len(kept(*pictures)) == outputs.COUNT_LIMIT + 1
    large = base64.b64encode(SMALL + bytes(outputs.PICTURE_LIMIT)).decode()
    (note,) = kept(("display_data", {"data": {"image/png": large}}))
    assert "pictures beyond 4 MiB" in note.text


def test_a_picture_that_unpacks_to_gigabytes_is_dropped():
    (note,) = kept(("display_data", {"data": {"image/png": HUGE}}))
    assert "too many pixels" in note.text


def test_a_traceback_of_a_million_lines_is_cut():
    error, *_ = kept(("error", {"ename": "E", "evalue": "v", "traceback": [""] * 1_000_000}))
    assert len(error.traceback) <= outputs.TRACE_LIMIT


def test_control_characters_do_not_reach_a_terminal():
    (out,) = kept(("stream", {"name": "stderr", "text": "a\x1b[2J\x00\ud800b\tc\n"}))
    assert out.text == "a[2J?b\tc\n"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", {}), ("stream", {"text": 5}), ("display_data", {"data": []}), ("error", {"traceback": 3}),
        ("error", {"ename": {}, "traceback": [1, None]}), ("comm_open", {"data": {}}), ("x", {}),
    ],
)  # fmt: skip
def test_malformed_messages_are_harmless(kind, content):
    kept((kind, content))


def test_cells_that_are_each_small_use_up_what_a_notebook_may_show():
    budget, shown = Budget(text=100, pictures=3 * len(PIXEL)), []
    for _ in range(5):
        cell = Outputs(budget)
        cell.add("stream", {"name": "stdout", "text": "x" * 30})
        cell.add("display_data", {"data": {"image/png": PIXEL}})
        shown.append(cell.finish())
    texts = [[o.text for o in cell if o.output_type == "stream"] for cell in shown]
    assert [len(text[0]) for text in texts[:4]] == [30, 30, 30, 10]
    assert [sum(o.output_type == "display_data" for o in cell) for cell in shown] == [1, 1, 1, 0, 0]
    left = ", ".join(f"{what} beyond what one notebook may show" for what in ("pictures", "text"))
    assert texts[4] == [f"[left out while grading: {left}]\n"]


def test_outputs_that_came_with_a_submission_are_cleaned_and_say_so():
    shown = cleaned(
        [
            {"output_type": "stream", "name": "stderr", "text": ["a\n", "b\n"]},
            {"output_type": "execute_result", "data": {"text/plain": ["1", "2"], "text/html": "<script>"}},
            {"output_type": "display_data", "data": {"image/png": [PIXEL[:8] + "\n", PIXEL[8:]]}},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["one", "two"]},
        ]
    )
    nbformat.validate(new_notebook(cells=[new_code_cell("x", outputs=shown)]))
    label, stream, result, picture, error, note = shown
    assert label.text == "[from the submission: not executed while grading]\n"
    assert stream.text == "a\nb\n" and error.traceback == ["one", "two"]
    assert result.output_type == "display_data" and result.data == {"text/plain": "12"}
    assert picture.data == {"image/png": PIXEL} and "left out while grading: HTML" in note.text


@pytest.mark.parametrize(
    "hostile",
    [
        None, 5, {}, "outputs", [], [None, 5, [], {}], [{"output_type": ["stream"]}],
        [{"output_type": "stream", "text": [1, "a"]}], [{"output_type": "display_data", "data": [1]}],
        [{"output_type": "execute_result", "data": {"text/plain": {"a": 1}, "image/png": [1]}}],
        [{"output_type": "widget", "text": "x"}],
    ],
)  # fmt: skip
def test_malformed_outputs_of_a_submission_are_nothing(hostile):
    assert cleaned(hostile) == []
