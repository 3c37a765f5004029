"""Markdown, code and outputs as HTML in which nothing runs and nothing is loaded.

What a student wrote goes through here too. Raw HTML is shown as text, links lead to the web or nowhere,
pictures in Markdown are named and not fetched, and formulas become MathML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape

from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from ganedu.grading.formulas import formula
from ganedu.grading.outputs import plain
from ganedu.grading.page import without_paths

LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # a terminal's colours
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# Letters and weight carry what colour does: keywords bold, comments italic.
CODE_STYLE = (
    ".k,.kn,.kc,.kd,.ow{font-weight:600}.c1,.cm,.ch,.sd{font-style:italic;color:#595959}"
    ".s1,.s2,.sa,.se,.si{color:#8a4b00}.mi,.mf{color:#00568f}"
)


class Renderer(IPythonRenderer):
    """nbconvert's renderer, escaping, with what it lets through made stricter."""

    def __init__(self) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not LINK.match(url):
            return text
        return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"<em>[picture: {escape(text) or 'without a name'}]</em>"

    def heading(self, text: str, level: int, **attributes: object) -> str:
        return f"<h{min(level + 1, 6)}>{text}</h{min(level + 1, 6)}>\n"

    def block_code(self, code: str, info: str | None = None) -> str:
        python = (info or "").split()[:1] in (["python"], ["py"])
        return source(code) if python else f"<pre>{escape(code)}</pre>\n"

    def block_math(self, body: str) -> str:
        return formula(body, block=True)

    def inline_math(self, body: str) -> str:
        return formula(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)


def markdown(text: str) -> str:
    """HTML of Markdown that anyone may have written; what cannot be parsed is shown as it was typed."""
    try:
        return MarkdownWithMath(renderer=Renderer()).render(plain(text))
    except Exception:  # a parser, on hostile text
        return f"<pre>{escape(plain(text))}</pre>"


def source(code: str) -> str:
    """HTML of Python code, escaped and coloured."""
    return f"<div class='code'>{_highlighter()(plain(code).strip(chr(10)))}</div>\n"


def outputs(cell_outputs: Iterable[NotebookNode]) -> str:
    """HTML of a cell's outputs: text and PNG alone, whatever else is in them."""
    parts = []
    for output in cell_outputs:
        data = output.get("data", {})
        if picture := png(data.get("image/png")):
            parts.append(f"<img alt='picture drawn by the cell above' src='data:image/png;base64,{picture}'>")
        elif text := _text(output):
            parts.append(f"<pre class='out'>{escape(text)}</pre>")
    return "\n".join(parts)


def png(data: object) -> str | None:
    """`data` where it is base64, without white space, of what begins as a PNG does; else None."""
    if isinstance(data, list):
        data = "".join(part for part in data if isinstance(part, str))
    text = "".join(data.split()) if isinstance(data, str) else ""
    return text if text.startswith("iVBORw0KGgo") and BASE64.fullmatch(text) else None


def _text(output: NotebookNode) -> str:
    kind = output.get("output_type")
    text = output.get("text") if kind == "stream" else output.get("data", {}).get("text/plain")
    if kind == "error":
        lines = output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"]
        text = "\n".join(str(line) for line in lines)
    text = "".join(map(str, text)) if isinstance(text, list) else text
    return without_paths(plain(ESCAPES.sub("", text)).rstrip()) if isinstance(text, str) else ""


@cache
def _highlighter() -> Highlight2HTML:
    return Highlight2HTML(pygments_lexer="python")
