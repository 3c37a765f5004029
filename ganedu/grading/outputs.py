"""What a submission shows, as data: capped while it arrives, and only what a browser cannot run."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

TEXT_LIMIT = 64 << 10  # characters a cell
PICTURE_LIMIT = 4 << 20  # bytes a cell, as base64
COUNT_LIMIT = 200  # outputs a cell
TRACE_LIMIT = 200  # lines
PIXEL_LIMIT = 16_000_000  # a picture's; a small file can unpack to gigabytes in a browser
PNG = b"\x89PNG\r\n\x1a\n"


class Outputs:
    """The outputs of a cell while it runs: text and PNG up to a cap; no HTML, scripts, SVG, widgets."""

    def __init__(self) -> None:
        self.kept: list[NotebookNode] = []
        self.dropped: set[str] = set()
        self._text, self._pictures = TEXT_LIMIT, PICTURE_LIMIT

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
        if len(text) > self._text:
            self.dropped.add(f"text beyond {TEXT_LIMIT >> 10} KiB")
        text = text[: self._text]
        self._text -= len(text)
        return plain(text)

    def _png(self, data: Any) -> str | None:
        if not isinstance(data, str):
            return None
        if len(data) > self._pictures:
            self.dropped.add(f"pictures beyond {PICTURE_LIMIT >> 20} MiB")
            return None
        try:
            raw = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            return None
        if not raw.startswith(PNG) or len(raw) < 24:
            return None
        width, height = struct.unpack(">II", raw[16:24])  # of the header, which is always the first chunk
        if width * height > PIXEL_LIMIT:
            self.dropped.add("a picture of too many pixels")
            return None
        self._pictures -= len(data)
        return base64.b64encode(raw).decode()  # ours, so nothing else is in the string


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
