"""Outputs that pretend: to be a score, to be a page, to be too much to keep."""

from tests.grading.corpus.entry import HANGS, attack

ECHO = "\ndef double(x): return x"

ENTRIES = [
    attack(
        "display hook",
        "a number on the display hook, which nbgrader reads as points",
        "import sys\nsys.displayhook(2)\ndef double(x):\n    sys.displayhook(2)\n    return x\n2",
    ),
    attack(
        "partial credit by hand",
        "a display and then a number, as a partial score looks",
        """
from IPython.display import display
def double(x):
    display("2 of 2 points")
    get_ipython().displayhook(2.0)
    return x
display("2 of 2 points")
2.0""",
    ),
    attack(
        "printed score",
        "points on stdout",
        "def double(x):\n    print('2x\\n✓ 2x\\n2 of 2 points')\n    return x\nprint('2 of 2 points')",
    ),
    attack(
        "page with a script",
        "HTML, JavaScript and SVG that rewrite the page",
        """
from IPython.display import HTML, SVG, Javascript, display
display(HTML("<script>document.title = '6/6'</script><h1>6 of 6</h1>"), Javascript("alert(1)"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"))
display({"text/markdown": "<img src=x onerror=alert(1)>"}, raw=True)
display({"text/latex": "$$\\\\href{javascript:1}{x}$$"}, raw=True)
"""
        + ECHO,
    ),
    attack(
        "script in a traceback",
        "an error whose name, text and frames are HTML",
        "raise type('<script>alert(1)</script>', (Exception,), {})('<img src=x onerror=alert(1)>')",
    ),
    attack(
        "escape codes",
        "ANSI codes, direction overrides, lone surrogates and a spreadsheet's formula in texts",
        "print('\\x1b[2J\\x1b]0;6 of 6\\x07\\x1b[1A\\r6 of 6 points\\x9b31m\\x07')\n"
        "def double(x): raise ValueError('\\x1b[2J\\x1b[8m\\u202e stniop 6 fo 6 \\u2066\\ud800\\ufeff' * 50)",
        slope="def slope(x, f): raise ValueError('=cmd|\\' /C calc\\'!A0')",
    ),
    attack(
        "picture that unpacks",
        "a PNG of a few bytes that claims gigabytes of pixels",
        """
import base64, struct, zlib
from IPython.display import display
word = lambda number: struct.pack(">I", number)
chunk = lambda kind, data: word(len(data)) + kind + data + word(zlib.crc32(kind + data))
header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
pixels = zlib.compress(bytes(1 << 20))
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
display({"image/png": base64.b64encode(png).decode()}, raw=True)
display({"image/png": "\\"><script>alert(1)</script>"}, raw=True)"""
        + ECHO,
    ),
    attack(
        "message that is no message",
        "output messages whose fields have the wrong kinds",
        """
send = lambda kind, content: get_ipython().kernel.session.send(
    get_ipython().kernel.iopub_socket, kind, content, parent=get_ipython().kernel.get_parent())
for content in ({}, {"data": 5}, {"data": {"image/png": ["x"], "text/plain": {"a": 1}}}, {"text": 7}, [1]):
    for kind in ("display_data", "stream", "error", "execute_result", "status"):
        send(kind, content)
send("error", {"ename": ["x"], "evalue": 3, "traceback": [{"a": 1}, None]})"""
        + ECHO,
    ),
    attack(
        "240 MB of output",
        "more text than any page can hold",
        "for _ in range(24): print('x' * 10_000_000)" + ECHO,
        limits=HANGS,
    ),
    attack(
        "one message of 80 MB",
        "an output that is larger than a message may be",
        "from IPython.display import display\ndisplay({'text/plain': 'x' * 80_000_000}, raw=True)" + ECHO,
    ),
    attack(
        "verdict of another cell",
        "an earlier cell's output updated after the fact",
        """
from IPython.display import display, update_display, clear_output
handle = display("waiting", display_id="verdict")
def double(x):
    clear_output()
    update_display("2 of 2 points", display_id="verdict")
    handle.update(2)
    return x""",
    ),
]
