"""Markdown that a student wrote, made fit for an instructor's browser: nbgrader's pages do not sanitize it.

HTML would run. A picture is fetched with the instructor's cookies, and a link may hide where it leads: there
is an address of formgrader that loads a configuration, which is code, from whatever folder it names. Some
macros of formulas take styles and addresses, which JupyterLab's MathJax obeys. (And a heading gets an id, by
which formgrader finds its score fields: nbgrader_config.py turns those off.)
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from itertools import islice
from urllib.parse import unquote

# What may begin a tag or a comment; what a browser would run instead of follow; what nbgrader obeys.
MARKUP = re.compile(r"<(?=[A-Za-z/!?])")
SCHEME = re.compile(r"(javascript|vbscript)[\s\\]*:", re.IGNORECASE)
FORMGRADER = re.compile(r"(form)(grader)", re.IGNORECASE)
MACRO = re.compile(
    r"\\(?=(bbox|class|csname|cssId|data|href|includegraphics|mmlToken|require|style|unicode)(?![A-Za-z]))"
)
LINK = re.compile(r"(\])([(:\[])")  # its text and its address, its definition, or its reference
OPENER = re.compile(r"\\begin|\\\\?[(\[]|\$+")
FORMULAS = 400
ATTACHED = re.compile(r"(!\[[^\[\]\n]{0,200}\]\(attachment:[^()\s]{1,200}\))")


def harmless(markdown: str, pictures: Mapping[str, str] | None = None) -> str:
    """Markdown that only shows: no HTML, nothing that runs or loads, no link but an address that is read.

    Of pictures only attachments stay, those that `pictures` gives a name of ours, and of links only bare
    addresses. Lists, quotes and what is mathematics in formulas are untouched.
    """
    for _ in range(8):  # until no entity is left behind which anything could hide
        before, markdown = markdown, html.unescape(markdown)
        if before == markdown:
            break
    else:
        markdown = markdown.replace("&", "& ")
    dead = SCHEME.sub(r"\1 :", FORMGRADER.sub(r"\1 \2", MARKUP.sub("< ", markdown)))
    dead = _bounded(MACRO.sub(r"\\ ", dead))
    return "".join(_linkless(part, pictures or {}) for part in ATTACHED.split(dead))


def _bounded(markdown: str) -> str:
    """`markdown` with `FORMULAS` beginnings of a formula at most: a parser looks for the end of each."""
    rest = next(islice(OPENER.finditer(markdown), FORMULAS, None), None)
    return markdown if rest is None else markdown[: rest.start()] + OPENER.sub("", markdown[rest.start() :])


def _linkless(part: str, pictures: Mapping[str, str]) -> str:
    """`part` without pictures and hidden links, or the attachment that it names, by our name."""
    if ATTACHED.fullmatch(part):
        alternative, name = part[2:-1].split("](attachment:")
        if ours := pictures.get(name) or pictures.get(unquote(name)):
            return f"![{alternative}](attachment:{ours})"
    return LINK.sub(r"\1 \2", part.replace("![", "! ["))
