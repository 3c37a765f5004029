"""What our HTML pages share: a document that may load and run nothing, its style, no private path."""

from __future__ import annotations

import re
from html import escape

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'none'; base-uri 'none'; "
    "form-action 'none'"
)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem }
.stamp { background: #b34700; color: #fff; font-weight: 600; padding: .5rem .8rem; print-color-adjust: exact }
.note { color: #595959 }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
td, th { padding: .3rem .6rem; text-align: left; vertical-align: top }
tr { border-bottom: 1px solid #ddd } th { white-space: nowrap } td { font-variant-numeric: tabular-nums }
"""
# Where packages are installed, and folders of one's own: a traceback names them, and nobody else needs them.
INSTALLED = re.compile(r"(?:/[\w.+@~-]+)+/(?=lib/python\d|site-packages/|dist-packages/)")
PRIVATE = re.compile(r"/(?:home|Users|root|tmp|var|work|mnt|scratch)/[\w.+@~/-]*/(?=[\w.+@~-])")


def document(title: str, body: str, style: str = "") -> str:
    """A whole page around `body`, which is HTML already."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='referrer' content='no-referrer'>\n"
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body>\n{body}\n</body></html>\n"
    )


def without_paths(text: str) -> str:
    """`text` in which a path of this machine is reduced to what says something: the file, or the package."""
    return PRIVATE.sub("…/", INSTALLED.sub("…/", text))


def anchor(grade_id: str) -> str:
    """A grade_id as the end of a link on its page."""
    return "cell-" + re.sub(r"\W+", "-", grade_id)
