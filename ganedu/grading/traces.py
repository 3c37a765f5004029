"""Find traces of hidden text in files: lines of code, whole files, secret words, however they are packed.

Standard library only: `ganedu audit` runs this file's source inside a sandbox as well, where ganedu is not.

A trace is a run of at most three consecutive lines that say something, together with at least `ENOUGH`
characters that no student is given anyway. A shorter one, `return x`, proves nothing and is not looked for.
Lines are compared without white space, quotes and commas, so neither an indent nor a list hides them; JSON,
HTML, zip and gzip members, base64 and UTF-16 are unpacked first.
"""

import base64
import gzip
import hashlib
import html
import io
import json
import os
import re
import stat
import sys
import time
import zipfile
import zlib

ENOUGH = 24  # characters
ENOUGH_INSTALLED = 40  # in what strangers wrote, where idioms like HERE = Path(__file__).parent are common
RUN = 3  # lines
SAYS = 6  # characters of a line that counts at all; it has a letter too
DEPTH = 4  # packed in packed in packed
LARGE = 8 << 20  # bytes; a larger file is compared whole and not read line by line
DROPPED = b" \t\r\f\v\"'`,\\"
TEXT = re.compile(
    r"\.(py|pyi|pth|ipynb|json|txt|md|rst|html?|js|mjs|css|csv|tsv|ya?ml|toml|cfg|ini|sh|xml|svg|zip|gz|whl)$"
    r"|/[^.]*$"
)
PACKED = re.compile(rb"[A-Za-z0-9+/]{48,}={0,2}")
TAG = re.compile(rb"<[^<>]*>")
UNICODE = re.compile(rb"\\u([0-9a-fA-F]{4})")
IMPORT = re.compile(rb"import|from.*import")  # which proves nothing
LETTER = re.compile(rb"[A-Za-z\x80-\xff]")


def squeeze(data):
    """UTF-8 without what an editor, a list or a page puts around and between words; line ends stay."""
    return data.translate(None, DROPPED).replace(b"\xc2\xa0", b"")


def says(line):
    return len(line) >= SAYS and LETTER.search(line) is not None


def runs(data):
    """(line number, run) of the consecutive lines that say something, 1 to RUN of them, joined."""
    kept = [(n, line) for n, line in enumerate(squeeze(data).split(b"\n"), 1) if says(line)]
    for i, (number, _) in enumerate(kept):
        for length in range(1, min(RUN, len(kept) - i) + 1):
            yield number, b"\n".join(line for _, line in kept[i : i + length])


def hidden(texts, public, files=None, words=None):
    """What to look for, as plain JSON: (origin, text) of `texts`, whole `files` and `words` by origin.

    `words` have the spellings of a short secret as hexadecimal bytes. A run counts if it has ENOUGH
    characters in lines that are not in `public`, a list of texts.
    """
    known = {line for text in public for line in squeeze(text.encode()).split(b"\n")}
    found = {}
    for origin, text in texts:
        for number, run in runs(text.encode()):
            own = [line for line in run.split(b"\n") if line not in known and not IMPORT.match(line)]
            if sum(map(len, own)) >= ENOUGH and run.rpartition(b"\n")[0].decode() not in found:
                found.setdefault(run.decode(), f"{origin}, line {number}")
    return {
        "runs": found,
        "files": {hashlib.sha256(data).hexdigest(): origin for origin, data in (files or {}).items()},
        "sizes": sorted({len(data) for data in (files or {}).values()}),
        "words": words or {},
    }


def forms(data, depth=0):
    """The texts in `data`, unpacked, as UTF-8."""
    if depth > DEPTH:
        return
    if data[:4] == b"PK\x03\x04":
        yield from _members(data, depth)
        return
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGE)
        except (OSError, EOFError, zlib.error):
            return
    head = data[:4096]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace").encode()
    elif head.count(b"\0") > len(head) // 4:
        order = "utf-16-le" if head[1::2].count(b"\0") > len(head) // 4 else "utf-16-be"
        data = data.decode(order, "replace").encode("utf-8", "replace")
    elif b"\0" in head:
        return  # a program, a picture, weights
    yield data
    if b"</" in data or b"&#" in data or b"&lt;" in data or b"&quot;" in data:
        yield html.unescape(TAG.sub(b"", data).decode("utf-8", "replace")).encode("utf-8", "replace")
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError):
            tree = None
        for text in _strings(tree):
            yield from forms(text.encode("utf-8", "replace"), depth + 1)
    if b"\\n" in data:
        plain = data.replace(b"\\\\", b"\\")
        if b"\\u00" in plain:
            plain = UNICODE.sub(lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), plain)
        yield plain.replace(b"\\n", b"\n").replace(b"\\t", b" ")
    for run in PACKED.findall(data):
        try:
            inside = base64.b64decode(run + b"=" * (-len(run) % 4))
        except ValueError:
            continue
        if inside[:2] in (b"PK", b"\x1f\x8b", b"\xff\xfe") or inside.isascii():
            yield from forms(inside, depth + 1)


def _plain(data):
    return [data] if b"\0" not in data[:4096] else []


def _members(data, depth):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.file_size <= LARGE:
                    yield from forms(archive.read(member), depth + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error):
        return


def _strings(tree):
    """The strings in a JSON tree: keys, values, and lists of strings, as notebooks have them, as one text."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            if node and all(isinstance(item, str) for item in node):
                yield "".join(node) if any(item.endswith("\n") for item in node) else "\n".join(node)
            waiting += node


class Search:
    """Looks for what `hidden` made in one piece of data after another."""

    def __init__(self, wanted):
        self.runs = {run.encode(): origin for run, origin in wanted["runs"].items()}
        self.first = {run.partition(b"\n")[0] for run in self.runs}
        self.files, self.sizes, self.words = wanted["files"], set(wanted["sizes"]), wanted["words"]

    def data(self, data, known=frozenset(), unpack=forms, enough=ENOUGH):
        """[(line, what)] for the bytes of a file; a line of a packed text is counted in that text.

        Runs in `known` are no finding. `unpack` yields the texts in it.
        """
        if len(data) in self.sizes and (origin := self.files.get(hashlib.sha256(data).hexdigest())):
            return [(1, f"the file {origin}")]
        found = {}
        for origin, spellings in self.words.items():
            if any(bytes.fromhex(spelling) in data for spelling in spellings):
                found[origin] = 1
        for text in unpack(data):
            for number, what in self.text(text, known, enough):
                found.setdefault(what, number)
        return [(number, what) for what, number in found.items()]

    def text(self, data, known=frozenset(), enough=ENOUGH):
        """[(line, what)] for a text that is not packed."""
        lines = squeeze(data).split(b"\n")
        if self.first.isdisjoint(lines):
            return []
        kept, found = [(n, line) for n, line in enumerate(lines, 1) if says(line)], []
        for i, (number, line) in enumerate(kept):
            if line in self.first:
                for length in range(1, RUN + 1):
                    run = b"\n".join(other for _, other in kept[i : i + length])
                    if len(run) >= enough and run in self.runs and run not in known:
                        found.append((number, self.runs[run]))
                        break
        return found


def walk(wanted, top="/", skip=("/proc", "/sys"), most=50):
    """Read every file under `top` that can be read: what a submission could do. Counts and findings, as JSON.

    Of /proc the command lines and environments of all processes are read. What is installed, Python's
    packages and the system, is read as it is; all else is unpacked too. Files that no text is in, and those
    that are LARGE, are compared whole.
    """
    installed = (sys.prefix + "/", sys.base_prefix + "/", "/usr/", "/lib", "/bin", "/sbin", "/etc/")
    started, search = time.monotonic(), Search(wanted)
    count, size, whole, found, seen = 0, 0, 0, [], set()
    processes = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    paths = [f"/proc/{pid}/{name}" for pid in processes for name in ("environ", "cmdline")]
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in skip]
        paths += [os.path.join(folder, name) for name in names]
    for path in paths:
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            text = path.startswith("/proc/") or (status.st_size <= LARGE and TEXT.search(path))
            if not text and status.st_size not in search.sizes:
                whole += 1
                continue
            with open(path, "rb") as file:
                data = file.read(LARGE)
        except OSError:
            continue
        count, size = count + 1, size + len(data)
        strange = top == "/" and path.startswith(installed)
        how = {"unpack": _plain, "enough": ENOUGH_INSTALLED} if strange else {}
        seen_here = search.data(data, **how)
        found += [{"file": path, "line": line, "what": what} for line, what in seen_here]
    variables = "\n".join(f"{name}={value}" for name, value in os.environ.items()).encode()
    found += [
        {"file": "the environment", "line": line, "what": what} for line, what in search.data(variables)
    ]
    return {
        "files": count, "bytes": size, "whole": whole, "seconds": round(time.monotonic() - started, 2),
        "findings": found[:most], "more": max(0, len(found) - most),
    }  # fmt: skip
