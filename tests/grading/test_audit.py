"""Nothing hidden is found in a clean course; a planted leak is found in each place and each disguise."""

import base64
import gzip
import html
import io
import json
import zipfile

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from ganedu.grading import audit, course, examples, traces
from ganedu.grading.checks import load
from ganedu.grading.feedback import feedback
from tests.grading.graded import notebook, record, result
from tests.grading.mini_course import LAB, released, submit, write_course

ANSWER = """    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]
"""
CHECK = "    weight = torch.randn(3, generator=rng)\n    expect = weight.expand(4, 3)\n"


@pytest.fixture
def known(course):
    return audit.secrets(opened(course), LAB)


def opened(root):
    return course.open_course(root, LAB)


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return out.getvalue()


DISGUISES = {
    "as it is": lambda text: text.encode(),
    "indented": lambda text: "".join(f"        {line}\n" for line in text.splitlines()).encode(),
    "as Windows writes": lambda text: text.replace("\n", "\r\n").encode(),
    "a list of strings": lambda text: "".join(f'  "{line}",\n' for line in text.splitlines()).encode(),
    "escaped for HTML": lambda text: f"<pre>{html.escape(text)}</pre>".encode(),
    "coloured": lambda text: text.replace("x", "<span class='n'>x</span>").encode(),
    "a JSON string": lambda text: json.dumps({"a": [{"b": text}]}).encode(),
    "JSON in JSON": lambda text: json.dumps({"a": json.dumps([text])}).encode(),
    "a script's string": lambda text: f"const a = {json.dumps(text)};".encode(),
    "base64": lambda text: b"data:text/plain;base64," + base64.b64encode(text.encode()),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-be"),
    "in a zip": lambda text: zipped(text.encode()),
    "in a zip in a zip": lambda text: zipped(zipped(text.encode())),
    "in a gzip": lambda text: gzip.compress(text.encode()),
    "a zip as base64": lambda text: base64.b64encode(zipped(text.encode())),
}


@pytest.mark.parametrize("text", [ANSWER, CHECK], ids=["an answer", "a check"])
@pytest.mark.parametrize("name", DISGUISES)
def test_a_leak_is_found_in_each_disguise(known, name, text):
    search = traces.Search(known.wanted(library=True))
    assert (
        search.data(b"nothing here\n" + DISGUISES["as it is"]("print('hello world, and all the others')"))
        == []
    )
    assert search.data(DISGUISES[name](text))


@pytest.mark.parametrize(
    "harmless",
    [
        "return x",
        "import torch\nimport numpy as np\n",
        '    """2x, elementwise. x: (n,) -> (n,)"""',
        "def double(x):",
    ],
)
def test_what_everybody_has_proves_nothing(known, harmless):
    assert traces.Search(known.wanted(library=False)).data(harmless.encode()) == []


def test_whole_files_and_the_secret_are_found(known, course):
    search = traces.Search(known.wanted(library=True))
    secret = (course / ".ganedu" / "secret").read_bytes()
    for spelling in (secret, secret.hex().encode(), base64.b64encode(secret)):
        assert search.data(b"\0\1 a binary " + spelling) == [(1, "the course's secret")]
    source = (course / "solutions" / LAB / f"{LAB}.ipynb").read_bytes()
    assert search.data(source) == [(1, f"the file solutions/{LAB}/{LAB}.ipynb")]


def findings(place):
    return [(finding.file.rpartition("/")[2], finding.what) for finding in place.findings]


def test_a_clean_release_and_bundle_hold_nothing(known, course):
    release_, bundle = audit.in_release(opened(course), LAB, known), audit.in_bundle(opened(course), known)
    assert (release_.files, release_.findings) == (1, []) and release_.bytes > 1000
    assert bundle.files >= 2 and bundle.findings == []


def spoil(root, change):
    path = root / "labs" / LAB / f"{LAB}.ipynb"
    made = nbformat.read(path, as_version=4)
    change(made)
    path.write_text(json.dumps(made))


LEAKS = {
    "in a cell": lambda nb: nb.cells.append(new_code_cell(ANSWER)),
    "in metadata": lambda nb: nb.metadata.update(note=ANSWER),
    "in an output": lambda nb: nb.cells[1].outputs.append(new_output("stream", text=CHECK)),
    "in an attachment": lambda nb: nb.cells[0].update(
        attachments={"a.txt": {"text/plain": base64.b64encode(ANSWER.encode()).decode()}}
    ),
    "a short answer in its own cell": lambda nb: nb.cells[2].update(
        source="def double(x):\n    return 2 * x"
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_in_the_release_is_found(course, name):
    known = audit.secrets(opened(course), LAB)
    spoil(course, LEAKS[name])
    assert findings(audit.in_release(opened(course), LAB, known))


def test_a_leak_in_the_bundle_is_found(known, course):
    (course / "lectures").mkdir()
    (course / "lectures" / "extra.md").write_text(f"See:\n\n{CHECK}")
    found = findings(audit.in_bundle(opened(course), known))
    assert found and {name for name, _ in found} == {"extra.md"}
    assert all(what.startswith("solutions/mini/checks.py, line ") for _, what in found)


@pytest.fixture
def graded(course):
    """Two students with feedback; ann's answer is the model's, word for word: it is her own."""
    answers = load(course / "solutions" / LAB / "checks.py").reference
    for student in ("annabel", "barnaby"):
        submit(course, student, examples.answered(released(course), answers))
        record(course, result(student), notebook(course, answers if student == "annabel" else {}))
    submit(course, "barnaby", released(course))
    feedback(LAB, course)
    return course


def test_clean_feedback_holds_nothing_though_an_answer_is_the_models(graded):
    place = audit.in_feedback(opened(graded), LAB, audit.secrets(opened(graded), LAB))
    assert (place.files, place.findings) == (4, [])


@pytest.mark.parametrize(
    ("where", "leak", "said"),
    [
        ("feedback/barnaby/mini/mini.html", html.escape(ANSWER), "the solution of slope"),
        ("feedback/annabel/mini/mini.html", CHECK, "checks.py"),
        ("feedback/annabel/mini/mini.html", "<p>copied from barnaby?</p>", "another student, barnaby"),
        ("autograded/barnaby/mini/extra.json", json.dumps([ANSWER]), "the solution of slope"),
    ],
)
def test_a_leak_in_the_feedback_is_found(graded, where, leak, said):
    with (graded / where).open("a") as file:
        file.write(leak)
    place = audit.in_feedback(opened(graded), LAB, audit.secrets(opened(graded), LAB))
    assert [f for f in place.findings if f.file == where and said in f.what]


@pytest.mark.slow
def test_audit_looks_at_all_four_places_and_finds_the_module_with_the_answer_alone(
    sandboxed, graded, monkeypatch
):
    """One walk through the sandbox: of a clean course, but that the library happens to say one answer."""
    known = audit.secrets(opened(graded), LAB)
    alike = (audit.library_folder() / "rng.py").read_text()
    assert traces.Search(known.wanted(library=False)).data(alike.encode()) == []
    leaking = known._replace(answers=[*known.answers, ("what rng.py says", alike)])
    monkeypatch.setattr(audit, "secrets", lambda course, lab: leaking)
    places = {place.place: place for place in audit.audit(LAB, graded)}
    assert list(places) == ["labs", "bundle", "sandbox", "feedback"]
    assert all(place.files and place.bytes for place in places.values())
    sandbox = places.pop("sandbox")
    assert sandbox.files > 1000 and sandbox.bytes > 10_000_000
    assert {finding.file.rpartition("/")[2] for finding in sandbox.findings} == {"rng.py"}
    assert all(finding.what.startswith("what rng.py says") for finding in sandbox.findings)
    assert not any(place.findings for place in places.values())


def test_unknown_labs_are_answered_with_the_known(course, tmp_path):
    with pytest.raises(ValueError, match="expected one of mini"):
        audit.audit("lab99", course)
    bare = write_course(tmp_path / "bare")
    with pytest.raises(ValueError, match="not released"):
        audit.audit(LAB, bare)
