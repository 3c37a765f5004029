"""A tiny lecture that has been run, and its slides."""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ganedu.teaching import slides

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="  # a dot
)
WIDGET = {"model_id": "a" * 32, "version_major": 2, "version_minor": 0}


def lecture(*more: str) -> NotebookNode:
    """A title with a formula, a demo, a progress bar and its noise, a note, what is not shown, and `more`."""
    demo = {slides.WIDGET: WIDGET, "image/png": PIXEL, "text/plain": "Panel(children=...)"}
    outputs = [
        new_output("stream", name="stderr", text="100%|#####| 12/12"),
        new_output("display_data", data={slides.WIDGET: WIDGET, "text/plain": "HBox(children=...)"}),
        new_output("execute_result", data=demo),
    ]
    cells = [
        cell("# A tiny lecture\n\n$$e^{d(x)} = p(x)/q(x) \\tag{L0.1}$$", "slide"),
        new_code_cell("demos.tiny()", outputs=outputs, metadata={"slideshow": {"slide_type": "subslide"}}),
        cell("Ask what they expect.", "notes"),
        cell("Read this at home.", "skip"),
        *(cell(text, "slide") for text in more),
    ]
    return new_notebook(cells=cells, metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})


def cell(text: str, kind: str) -> NotebookNode:
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def written(notebook: NotebookNode, out: Path) -> Path:
    """Its page, with everything that it loads."""
    slides.copy_assets(out)
    return slides.write(notebook, "00_tiny", out)
