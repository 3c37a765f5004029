"""What a submission shows, as data: capped while it arrives, and only what a browser cannot run."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from ganedu.grading import png

TEXT_LIMIT = 64 << 10  # characters a cell
PICTURE_LIMIT = 4 << 20  # bytes a cell, as base64
COUNT_LIMIT = 200  # outputs a cell
TRACE_LIMIT = 200  # lines
LIMITS = {"text": f"{TEXT_LIMIT >> 10} KiB", "pictures": f"{PICTURE_LIMIT >> 20} MiB"}
NOT_RUN = "[from the submission: not executed while grading]\n"


@dataclass
class Budget:
    """What the outputs of one notebook may still take, whichever of its cells they are in."""

    text: int = 1 << 20  # characters
    pictures: int = 20 << 20  # bytes, as base64


class Outputs:
    """The outputs of a cell while it runs: text and PNG up to a cap; no HTML, scripts, SVG, widgets.

    `budget` is shared by the cells of a notebook: what one shows is taken from it.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.kept: list[NotebookNode] = []
        self.dropped: set[str] = set()
        self._notebook = budget or Budget()
        self._cell = Budget(TEXT_LIMIT, PICTURE_LIMIT)

    def add(self, kind: str, content: dict[str, Any]) -> None:
        """Take one message of the kernel's output channel; anything malformed is dropped."""
        if len(self.kept) >= COUNT_LIMIT:
            self.dropped.add("more outputs")
        elif kind == "stream":
            self._stream("stderr" if content.get("name") == "stderr" else "stdout", content.get("text"))
        elif kind in ("display_data", "execute_result"):
            self._rich(content.get("data"))
        elif kind == "error":
            self._error(content)

    def finish(self) -> list[NotebookNode]:
        """What is kept, with a line that says what was left out."""
        note = (
            [text_output(f"[left out while grading: {', '.join(sorted(self.dropped))}]\n")]
            if self.dropped
            else []
        )
        return self.kept + note

    def _stream(self, name: str, text: Any) -> None:
        text = self._cut(text)
        last = self.kept[-1] if self.kept else None
        if text and last is not None and last.output_type == "stream" and last.name == name:
            last.text += text
        elif text:
            self.kept.append(new_output("stream", name=name, text=text))

    def _rich(self, data: Any) -> None:
        data = data if isinstance(data, dict) else {}
        clean: dict[str, str] = {}
        if picture := self._png(data.get("image/png")):
            clean["image/png"] = picture
        if text := self._cut(data.get("text/plain")):
            clean["text/plain"] = text
        self.dropped |= {_word(kind) for kind in data} - {"image/png", "text/plain"}
        if clean:  # never an execute_result: nbgrader reads a number in one as points
            self.kept.append(new_output("display_data", data=clean))

    def _error(self, content: dict[str, Any]) -> None:
        trace = content.get("traceback")
        trace = (
            [line for line in trace[:TRACE_LIMIT] if isinstance(line, str)] if isinstance(trace, list) else []
        )
        lines = self._cut("\n".join(trace)).split("\n")
        name, value = self._cut(content.get("ename"))[:200], self._cut(content.get("evalue"))[:2000]
        self.kept.append(new_output("error", ename=name, evalue=value, traceback=lines))

    def _cut(self, text: Any) -> str:
        if not isinstance(text, str):
            return ""
        text = text[: self._left("text", len(text))]
        self._take("text", len(text))
        return plain(text)

    def _png(self, data: Any) -> str | None:
        if not isinstance(data, str) or len(data) > self._left("pictures", len(data)):
            return None
        try:
            clean = picture(data)
        except png.TooManyPixels:
            self.dropped.add("a picture of too many pixels")
            return None
        except ValueError:
            self.dropped.add("a picture that is no PNG")
            return None
        self._take("pictures", len(clean))
        return clean

    def _left(self, what: str, size: int) -> int:
        """How much of `what` may still be shown; that this is less than `size` will be said."""
        cell, notebook = getattr(self._cell, what), getattr(self._notebook, what)
        if size > min(cell, notebook):
            most = LIMITS[what] if cell <= notebook else "what one notebook may show"
            self.dropped.add(f"{what} beyond {most}")
        return min(cell, notebook)

    def _take(self, what: str, size: int) -> None:
        for budget in (self._cell, self._notebook):
            setattr(budget, what, getattr(budget, what) - size)


def picture(data: str) -> str:
    """A PNG as base64, with nothing but the picture in it. Raises ValueError for what is not one."""
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
    except binascii.Error:
        raise ValueError("data: not base64") from None
    return base64.b64encode(png.still(raw)).decode()


def cleaned(outputs: Any, budget: Budget | None = None) -> list[NotebookNode]:
    """Outputs that a submission came with, under a line that says so; [] where nothing of them is left.

    They pass where those of a running kernel pass: text and PNG up to the caps.
    """
    shown = Outputs(budget)
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and isinstance(kind := output.get("output_type"), str):
            data = output.get("data")
            data = {name: _joined(part) for name, part in data.items()} if isinstance(data, dict) else None
            shown.add(kind, output | {"text": _joined(output.get("text")), "data": data})
    found = shown.finish()
    return [text_output(NOT_RUN), *found] if found else []


def _joined(text: Any) -> Any:
    """nbformat keeps long text as a list of its lines."""
    lines = isinstance(text, list) and all(isinstance(line, str) for line in text)
    return "".join(text) if lines else text


def plain(text: str) -> str:
    """`text` without control characters and lone surrogates; lines and tabs stay."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(c for c in text if c >= " " and c != "\x7f" or c in "\n\t")


def text_output(text: str) -> NotebookNode:
    """A line of ours among the outputs."""
    return new_output("stream", name="stdout", text=text)


def _word(kind: Any) -> str:
    known = {"text/html": "HTML", "application/javascript": "JavaScript", "image/svg+xml": "SVG"}
    return known.get(kind, "other formats") if kind not in ("image/png", "text/plain") else kind
