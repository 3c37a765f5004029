"""TeX to MathML, which a browser draws by itself: no script, no font to load.

What labs are written in is known; a formula with anything else in it is shown as its TeX.
"""

from __future__ import annotations

import re
from html import escape

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma "
        "tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(),
        "αβγδϵεζηθικλμνξπρστυϕφχψωΓΔΘΛΞΠΣΦΨΩ",
        strict=True,
    )
)
SYMBOLS = GREEK | {"infty": "∞", "partial": "∂", "ell": "ℓ", "top": "⊤", "ldots": "…", "dots": "…"}
OPERATORS = {
    "sim": "∼", "propto": "∝", "mid": "∣", "to": "→", "mapsto": "↦", "le": "≤", "leq": "≤", "ge": "≥",
    "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "equiv": "≡", "cdot": "⋅", "times": "×", "circ": "∘",
    "pm": "±", "in": "∈", "subset": "⊂", "cup": "∪", "cap": "∩", "nabla": "∇", "sum": "∑", "prod": "∏",
    "int": "∫", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "langle": "⟨", "rangle": "⟩",
    "Rightarrow": "⇒", "iff": "⇔", "star": "⋆", "ast": "∗", "cdots": "⋯", "{": "{", "}": "}", "|": "‖",
    "leftarrow": "←", "lfloor": "⌊", "rfloor": "⌋", "&": "&", "%": "%", "#": "#", "_": "_", "$": "$",
}  # fmt: skip
BRACKETS = "()[]{}|‖⟨⟩∣"
NAMED = set("log exp min max det tr sin cos tanh lim sup inf arg argmin argmax Pr diag".split())
SPACES = {",": ".17em", ":": ".22em", ";": ".28em", " ": ".25em", "quad": "1em", "qquad": "2em", "!": "0"}
LETTERS = {"mathbb": "double-struck", "mathcal": "script", "mathbf": "bold", "boldsymbol": "bold"}
ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "vec": "→", "overline": "¯", "widehat": "^", "dot": "˙"}
FRACTIONS = {"frac": "", "tfrac": " displaystyle='false'", "dfrac": " displaystyle='true'"}
SIZED = re.compile(r"(left|right|middle|[bB]igg?[lrm]?)$")
STYLED = {  # where MathML Core has no attribute for a letter's style, Unicode has the letter
    "double-struck": (0x1D538, {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}),
    "script": (0x1D49C, {"B": "ℬ", "E": "ℰ", "F": "ℱ", "H": "ℋ", "I": "ℐ", "L": "ℒ", "M": "ℳ", "R": "ℛ"}),
    "bold": (0x1D400, {}),
}


class Unknown(ValueError):
    """A formula that this file cannot read."""


def formula(tex: str, *, block: bool) -> str:
    """HTML of a formula, with its number beside it; its TeX in a styled span where it cannot be read."""
    tag = re.search(r"\\tag\{([^{}]*)\}", tex)
    body = tex.replace(tag[0], "") if tag else tex
    number = f"<span class='number'>({escape(tag[1])})</span>" if tag else ""
    kind = " display='block'" if block else ""
    try:
        drawn = f"<math{kind}>{Reader(body).all()}</math>"
    except (Unknown, RecursionError):
        drawn = f"<code class='tex'>{escape(body.strip())}</code>"
    return f"<span class='formula'>{drawn}{number}</span>" if block else drawn


class Reader:
    """Reads one formula; every method returns MathML and moves on."""

    def __init__(self, tex: str):
        self.tokens = TOKEN.findall(tex)
        self.place = 0

    def all(self) -> str:
        row = self.row(until=())
        if self.peek():
            raise Unknown(self.peek())
        return row

    def row(self, until: tuple[str, ...]) -> str:
        """Atoms with their scripts, up to one of `until`, which stays."""
        parts = []
        while self.peek() and self.peek() not in until:
            named = self.peek()[1:] in NAMED
            parts.append(self.scripted())
            if named and self.peek()[:1] not in ("", "(", "[", "{", "}"):
                parts.append(f"<mspace width='{SPACES[',']}'/>")
        return f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        below_it = self.peek() in (r"\underbrace", r"\min", r"\max", r"\lim", r"\sum", r"\prod")
        base, low, high = self.argument(), None, None
        primes = 0
        while self.peek() in ("_", "^", "'"):
            kind = self.next()
            if kind == "'":
                primes += 1
            elif kind == "_" and low is None:
                low = self.argument()
            elif kind == "^" and high is None:
                high = self.argument()
            else:
                raise Unknown(kind)
        if primes:
            high = f"<mrow><mo>{'′' * primes}</mo>{high or ''}</mrow>"
        if low and high:
            name = "munderover" if below_it else "msubsup"
            return f"<{name}>{base}{low}{high}</{name}>"
        if low or high:
            name = ("munder" if below_it else "msub") if low else ("mover" if below_it else "msup")
            return f"<{name}>{base}{low or high}</{name}>"
        return base

    def atom(self) -> str:
        token = self.next()
        if token == "{":
            row = self.row(until=("}",))
            self.expect("}")
            return row
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{escape(token)}</mi>"
        if token[0] == "\\" and len(token) > 1:
            return self.command(token[1:])
        if token in "}^_&\\$#%~" or not token.isprintable():
            raise Unknown(token)
        return _operator({"-": "−", "*": "∗"}.get(token, token))

    def argument(self) -> str:
        """What a command or a script takes: {...}, or one sign; of 12 that is 1."""
        if (token := self.peek())[:1].isdigit() and len(token) > 1:
            self.tokens[self.place] = token[1:]
            return f"<mn>{token[0]}</mn>"
        return self.atom()

    def command(self, name: str) -> str:
        if name in SPACES:
            return f"<mspace width='{SPACES[name]}'/>"
        if name in SYMBOLS:
            return f"<mi>{SYMBOLS[name]}</mi>"
        if name in OPERATORS:
            return _operator(OPERATORS[name])
        if name in NAMED:
            return f"<mi>{name}</mi>"
        if name in FRACTIONS:
            top, bottom = self.argument(), self.argument()
            return f"<mstyle{FRACTIONS[name]}><mfrac>{top}{bottom}</mfrac></mstyle>"
        if name == "sqrt":
            return f"<msqrt>{self.argument()}</msqrt>"
        if name in ("text", "mathrm", "operatorname", "textrm"):
            return f"<mtext>{escape(self.words())}</mtext>"
        if name in LETTERS:
            start, exceptions = STYLED[LETTERS[name]]
            letters = [exceptions.get(c) or _letter(c, start) for c in self.words()]
            return "".join(f"<mi>{letter}</mi>" for letter in letters)
        if name in ACCENTS:
            return f"<mover accent='true'>{self.argument()}<mo>{ACCENTS[name]}</mo></mover>"
        if name == "underbrace":
            return f"<munder>{self.argument()}<mo>⏟</mo></munder>"
        if SIZED.match(name):
            token = self.next()
            delimiter = OPERATORS.get(token[1:]) if token[0] == "\\" else token
            if delimiter is None or delimiter not in "()[]{}|.‖⟨⟩/":
                raise Unknown(token)
            return _operator(delimiter if delimiter != "." else "", stretchy=True)
        if name == "begin":
            return self.environment(self.words())
        raise Unknown(name)

    def environment(self, name: str) -> str:
        """Rows of cells between \\begin{name} and \\end{name}."""
        fences = {"aligned": "", "align": "", "cases": "{", "pmatrix": "()", "bmatrix": "[]"}
        if (name := name.rstrip("*")) not in fences:
            raise Unknown(name)
        rows, cells = [], []
        while True:
            cells.append(self.row(until=("&", r"\\", r"\end")))
            end = self.next()
            if end != "&":
                rows.append("".join(f"<mtd>{cell}</mtd>" for cell in cells))
                cells = []
            if end == r"\end":
                self.words()
                break
        table = f"<mtable>{''.join(f'<mtr>{row}</mtr>' for row in rows)}</mtable>"
        left, right = (fences[name] + "  ")[0].strip(), (fences[name] + "  ")[1].strip()
        return f"<mrow>{_operator(left, stretchy=True)}{table}{_operator(right, stretchy=True)}</mrow>"

    def words(self) -> str:
        """The plain text of {...}, with its spaces."""
        self.expect("{")
        start = self.place
        while self.next() != "}":
            pass
        return "".join(self.tokens[start : self.place - 1])

    def peek(self) -> str:
        """The next token that is not space; empty at the end."""
        while self.place < len(self.tokens) and self.tokens[self.place].isspace():
            self.place += 1
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def next(self) -> str:
        if not (token := self.peek()):
            raise Unknown("the end")
        self.place += 1
        return token

    def expect(self, token: str) -> None:
        if self.next() != token:
            raise Unknown(token)


def _operator(text: str, stretchy: bool = False) -> str:
    """An operator; a bracket grows with what it holds only where the formula says so."""
    kind = "" if stretchy or text not in BRACKETS else " stretchy='false'"
    return f"<mo{kind}>{escape(text)}</mo>" if text else ""


def _letter(c: str, start: int) -> str:
    if not (c.isascii() and c.isalpha()):
        raise Unknown(c)
    return chr(start + (ord(c) - ord("A") if c.isupper() else 26 + ord(c) - ord("a")))
