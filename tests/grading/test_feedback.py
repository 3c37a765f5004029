"""What a student gets back: right, complete, and nothing in it that runs or that is not theirs."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from ganedu.grading import prose
from ganedu.grading.feedback import feedback
from ganedu.grading.formulas import formula
from ganedu.grading.page import POLICY, without_paths
from tests.grading.graded import by_hand, notebook, picture, record, result
from tests.grading.mini_course import LAB

ALLOWED = set(
    "html head meta title style body h1 h2 h3 h4 h5 h6 p table thead tbody tr th td a span div pre code em "
    "strong small ul ol li details summary img hr br blockquote del dl dt dd input "
    "math mrow mi mo mn mtext mspace mfrac mstyle msqrt msub msup msubsup munder mover munderover "
    "mtable mtr mtd".split()
)
PACKAGES = f"{sys.prefix}/lib/python3.11/site-packages"
HOSTILE = """<script>alert(1)</script> <img src=x onerror=alert(1)> &lt;script&gt;alert(2)&lt;/script&gt;
[click](javascript:alert(1)) [click](JaVaScRiPt&#58;alert(1)) [d](data:text/html;base64,PHNjcmlwdD4=)
![p](https://tracker.example/p.png) <svg/onload=alert(1)> <style>body{display:none}</style> <base href=//x>
<iframe srcdoc="<script>1</script>"> $\\href{javascript:alert(1)}{x}$ $<script>x</script>$

```html
</pre><script>alert(3)</script>
```
<meta http-equiv=refresh content="0;url=//x">

| <script> | <img src=x onerror=y> |
|---|---|
| `</td><script>` | [x]: <javascript:alert(1)> |
"""


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_nothing_runs(text):
    """Only elements that we write, no handler, no address but a picture of ours or an ordinary link."""
    for tag, attributes in Elements(text).found:
        assert tag in ALLOWED, tag
        assert not [name for name in attributes if name.startswith("on")], attributes
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert re.match(r"https?:|mailto:|#", attributes.get("href", "#")), attributes
        assert "srcdoc" not in attributes and not attributes.get("style", "").count("url")
    assert text.count('http-equiv="Content-Security-Policy"') == 1


@pytest.fixture
def graded(released_course, course):
    """ann: all right; bob: a known mistake, points and a comment by hand; mallory: hostile everywhere."""
    record(course, result("ann"), notebook(course, {"double": "def double(x):\n    return x + x"}))
    lost = {"double_test": 0.0}
    record(course, result("bob", lost), notebook(course, {"double": "def double(x):\n    return x**2"}, lost))
    by_hand(course, "bob", "question", 2.5, "Good, but *why* $x^2$?")
    evil = notebook(course, {"question": HOSTILE, "double": f"'''{HOSTILE}'''"})
    evil.cells.append(new_code_cell("print('</pre><script>alert(1)</script>')", id="student-0"))
    evil.cells[-1].outputs = [
        new_output("stream", text="</pre><script>alert(1)</script>\x1b[31mred\x1b[0m"),
        new_output("display_data", data={"text/html": "<script>1</script>", "text/plain": "<b>plain</b>"}),
        new_output("display_data", data={"image/svg+xml": "<svg onload='alert(1)'/>"}),
        new_output("display_data", data={"image/png": "iVBORw0KGgo' onerror='alert(1)"}),
        new_output("display_data", data={"image/png": picture()}),
        new_output("error", ename="E", evalue="<i>", traceback=[f"File {PACKAGES}/torch/x.py"]),
    ]  # fmt: skip
    evil.cells.append(new_markdown_cell(HOSTILE, id="student-1"))
    record(course, result("mallory", error="<img src=x onerror=alert(1)>", sandboxed=False), evil)
    return course


def page_of(root, student):
    return (root / "feedback" / student / LAB / f"{LAB}.html").read_text()


def test_pages_lie_where_nbgrader_puts_its_own(graded, tmp_path):
    paths = feedback(LAB, graded)
    assert paths == [graded / "feedback" / name / LAB / f"{LAB}.html" for name in ("ann", "bob", "mallory")]
    assert feedback(LAB, graded, out=tmp_path / "out", students=["bob"]) == [
        tmp_path / "out" / "bob" / LAB / f"{LAB}.html"
    ]


def test_points_answers_mistakes_and_comments_are_there(graded):
    feedback(LAB, graded)
    ann, bob = page_of(graded, "ann"), page_of(graded, "bob")
    assert "4 <small>of 7 points so far" in ann and "4.5 <small>of 7 points</small>" in bob
    assert "2.5 of 3" in bob and "not read yet, of 3" in ann
    assert "<span class='mistake'>looks like: squared</span>" in bob and "looks like" not in ann
    assert "<em>why</em>" in bob and "<msup>" in bob
    assert "✗ not yet" in bob and "✗" not in ann and "0 of 2" in bob
    assert "double(x) is 2x; equation (0.1)." in bob, "what was checked"
    assert 'return</span> <span class="n">x</span><span class="o">**' in bob


def test_a_page_names_nobody_else_nothing_hidden_and_no_path(graded):
    feedback(LAB, graded)
    for student, others in (("ann", ("bob", "mallory")), ("mallory", ("ann", "bob"))):
        text = page_of(graded, student)
        assert not any(re.search(rf"\b{name}\b", text) for name in others)
        for hidden in ("student.call", "REFERENCE", "not for students", str(graded), sys.prefix):
            assert hidden not in text
    assert "…/site-packages/torch/x.py" in page_of(graded, "mallory")


def test_nothing_in_a_page_runs_or_is_fetched(graded):
    feedback(LAB, graded)
    for student in ("ann", "bob", "mallory"):
        text = page_of(graded, student)
        assert_nothing_runs(text)
        assert POLICY in text and "script-src 'none'" in POLICY and "default-src 'none'" in POLICY
    assert page_of(graded, "mallory").count("<img") == 1  # the one true PNG
    assert "Graded without a sandbox" in page_of(graded, "mallory")
    assert "\x1b" not in page_of(graded, "mallory")


def test_a_refused_submission_says_why_and_shows_no_notebook(course):
    reason = "the notebook is corrupt: not JSON"
    checks = [
        c | {"points": 0.0, "messages": [f"✗ {reason}"], "known_mistake": None} for c in result("cy").checks
    ]
    record(course, result("cy", error=reason, score=0.0, checks=checks), notebook(course, {}))
    feedback(LAB, course)
    assert f"Not graded, because</strong> {reason}" in page_of(course, "cy")
    assert "Your notebook" not in page_of(course, "cy") and "0 <small>of 7" in page_of(course, "cy")


def test_what_broke_in_our_own_check_is_not_told_to_students(course):
    error = "cell double ended the kernel; double_test: KeyError: 'hidden; words'"
    record(course, result("cy", {"double_test": 0.0}, error=error), notebook(course, {}))
    feedback(LAB, course)
    assert "cell double ended the kernel" in page_of(course, "cy") and "hidden" not in page_of(course, "cy")


def test_a_human_may_overrule_a_check(course):
    record(course, result("cy", {"double_test": 0.0}), notebook(course, {}))
    by_hand(course, "cy", "double_test", 1.5)
    feedback(LAB, course)
    assert "3.5 <small>of 7" in page_of(course, "cy") and "The check gave 0; a person" in page_of(
        course, "cy"
    )


def test_nothing_graded_or_an_unknown_student_is_said(course):
    with pytest.raises(ValueError, match="run: ganedu grade mini"):
        feedback(LAB, course)
    record(course, result("ann"))
    with pytest.raises(ValueError, match="no grade of mini for zoe; graded: ann"):
        feedback(LAB, course, students=["zoe"])
    assert not (course / "feedback").exists()


@pytest.mark.parametrize("known", [True, False], ids=["graded by ganedu", "by nbgrader's own command"])
def test_nbgraders_generate_feedback_writes_our_page(graded, known):
    if not known:
        (graded / ".ganedu" / "results" / LAB / "mallory.json").unlink()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_feedback", LAB, "--student", "mallory"],
        cwd=graded, env={**os.environ, "PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert_nothing_runs(page_of(graded, "mallory"))
    assert "4 <small>of 7" in page_of(graded, "mallory") and "✓ 2x" in page_of(graded, "mallory")


def test_a_result_that_nbgrader_has_overtaken_is_not_shown(graded):
    """Formgrader can grade a later submission by itself: then the notebook says what it earned."""
    path = graded / "autograded" / "ann" / LAB / f"{LAB}.ipynb"
    later = nbformat.read(path, as_version=4)
    next(c for c in later.cells if c.id == "double-test").outputs[1].data["text/plain"] = "1"
    nbformat.write(later, path)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", "generate_feedback", LAB, "--student", "ann"]
    assert subprocess.run(command, cwd=graded, env=env, capture_output=True).returncode == 0
    assert "3 <small>of 7" in page_of(graded, "ann")


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\frac{a}{b}", "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"),
        (r"\tfrac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        ("x_t^2", "<msubsup><mi>x</mi><mi>t</mi><mn>2</mn></msubsup>"),
        (r"\mathbb{R}^d", "<mi>ℝ</mi>"),
        (r"\text{if } x", "<mtext>if </mtext>"),
        ("z' < 1", "<mo>&lt;</mo>"),
    ],
)
def test_formulas_become_mathml(tex, part):
    assert part in formula(tex, block=False)


@pytest.mark.parametrize(
    "tex", [r"\href{x}{y}", "{", "}", "x^", r"\frac{1", r"\left", "a & b", "{" * 5000, "\x00<"]
)
def test_a_formula_that_cannot_be_read_is_shown_as_it_was_typed(tex):
    assert formula(tex, block=False).startswith("<code class='tex'>") and "<script" not in formula(
        tex, block=False
    )


def test_every_formula_of_the_labs_can_be_drawn():
    root = Path(__file__).parents[2] / "labs"
    for path in root.glob("*/*.ipynb"):
        text = "\n".join(
            prose.markdown(c.source) for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"
        )
        assert "class='tex'" not in text and "<math" in text


def test_paths_are_reduced_to_what_says_something():
    assert without_paths(f"in {PACKAGES}/torch/a.py, line 3") == "in …/site-packages/torch/a.py, line 3"
    home = "/".join(["", "home", "ann"])
    assert without_paths(f"open('{home}/course/x.txt')") == "open('…/x.txt')"
    assert without_paths("a / b, 1/2, https://x.org/home/a") == "a / b, 1/2, https://x.org/home/a"
