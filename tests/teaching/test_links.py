"""Links to Colab and Binder: what the one variable gives, read back by other means than they were made."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ganedu.teaching.links import Home, home, parse

ROOT = Path(__file__).parents[2]
NOTEBOOK = "lectures/08_markov_chains.ipynb"


@pytest.mark.parametrize(
    "address, expect",
    [
        ("https://github.com/ada/ganedu", Home("ada", "ganedu", "main")),
        ("https://github.com/ada/ganedu/", Home("ada", "ganedu", "main")),
        ("https://github.com/ada/ganedu.git", Home("ada", "ganedu", "main")),
        ("https://github.com/a-da/my.course/tree/spring_2027", Home("a-da", "my.course", "spring_2027")),
        ("", None),
    ],
)
def test_an_address_of_the_browser_or_of_git_is_understood(address, expect):
    assert parse(address) == expect


@pytest.mark.parametrize(
    "address",
    [
        "ada/ganedu",
        "http://github.com/ada/ganedu",
        "https://github.com/ada",
        "https://github.com.evil.org/ada/ganedu",
        "https://github.com/ada/ganedu/tree/feature/x",
        "https://github.com/ada/ganedu?x",
        "https://gitlab.com/ada/ganedu",
    ],
)
def test_what_is_no_address_on_github_is_refused_with_the_form_that_is_wanted(address):
    with pytest.raises(ValueError, match="repository: got .*, expected https://github.com/OWNER/NAME"):
        parse(address)


def test_links_lead_to_the_notebook_of_the_branch():
    there = Home("ada", "my.course", "spring")
    colab, binder = urlsplit(there.colab(NOTEBOOK)), urlsplit(there.binder(NOTEBOOK))
    assert (colab.scheme, colab.netloc) == ("https", "colab.research.google.com")
    assert colab.path == f"/github/ada/my.course/blob/spring/{NOTEBOOK}" and not colab.query
    assert (binder.scheme, binder.netloc) == ("https", "mybinder.org")
    assert binder.path == "/v2/gh/ada/my.course/spring"
    assert parse_qs(binder.query) == {"urlpath": [f"lab/tree/{NOTEBOOK}"]}
    assert there.requirement() == "ganedu @ git+https://github.com/ada/my.course@spring"


def test_the_variable_of_this_repository_is_empty_or_an_address():
    home(ROOT)


def test_a_course_without_the_variable_has_no_home(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert home(tmp_path) is None
