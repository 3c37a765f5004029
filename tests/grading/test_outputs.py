"""Outputs are data: capped while they arrive, and nothing that a browser runs."""

import base64
import struct

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from ganedu.grading import outputs
from ganedu.grading.outputs import Outputs


def png(width, height):
    return base64.b64encode(
        outputs.PNG + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"rest"
    ).decode()


PIXEL = png(1, 1)


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
    "data", ['x" onerror="alert(1)', base64.b64encode(b"<svg>").decode(), 5, None, ["a"]]
)
def test_what_only_claims_to_be_png_is_dropped(data):
    assert kept(("display_data", {"data": {"image/png": data}})) == []


def test_a_result_cannot_be_read_as_points():
    (out,) = kept(("execute_result", {"data": {"text/plain": "12"}}))
    assert out.output_type == "display_data"


def test_floods_are_cut_with_a_note():
    flood = [("stream", {"name": "stdout", "text": "x" * 1000})] * 1000
    text = "".join(o.text for o in kept(*flood))
    assert len(text) < outputs.TEXT_LIMIT + 200 and "left out while grading: text beyond 64 KiB" in text
    pictures = [("display_data", {"data": {"image/png": PIXEL}})] * 1000
    assert len(kept(*pictures)) == outputs.COUNT_LIMIT + 1
    large = base64.b64encode(outputs.PNG + bytes(outputs.PICTURE_LIMIT)).decode()
    (note,) = kept(("display_data", {"data": {"image/png": large}}))
    assert "pictures beyond 4 MiB" in note.text


def test_a_picture_that_unpacks_to_gigabytes_is_dropped():
    (note,) = kept(("display_data", {"data": {"image/png": png(60_000, 60_000)}}))
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
