"""Examples in docstrings: who copies one gets names that exist, and what it says comes out.

Those of ``ganedu.grading`` are left out: they stand in a hidden test, which is handed a ``student``.
"""

import ast
import builtins
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import ganedu

LEFT_OUT = ("ganedu.grading", "ganedu.__main__")


def examples(module: str) -> list[doctest.DocTest]:
    """Of a module, each to be run in a namespace of its own with nothing in it."""
    found = doctest.DocTestFinder().find(importlib.import_module(module), globs={})
    return [test for test in found if test.examples]


def modules() -> list[str]:
    """Those with an example, found without importing them."""
    found = pkgutil.walk_packages(ganedu.__path__, "ganedu.")
    names = [m.name for m in found if not m.name.startswith(LEFT_OUT)]
    return [name for name in names if ">>> " in source(name)]


def source(module: str) -> str:
    return Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")


def unknown_names(code: str) -> set[str]:
    """What ``code`` uses but neither imports nor binds anywhere."""
    nodes = list(ast.walk(ast.parse(code)))
    bound = {alias.asname or alias.name for node in nodes for alias in getattr(node, "names", [])}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return {name.id for name in names} - bound - set(dir(builtins))


def test_unknown_names_are_found():
    assert unknown_names("import math\nfor k in range(3): print(math.sin(k * x))") == {"x"}
    assert unknown_names("from a import b as c\nd = lambda e: c(e, f)\ndef g(h): return h") == {"f"}


@pytest.mark.parametrize("module", modules())
def test_an_example_brings_its_names(module):
    """What it imports is there, and so is all else that it uses."""
    tests = examples(module)
    assert tests, "there is a >>> that belongs to no docstring"
    for test in tests:
        code = "".join(example.source for example in test.examples)
        assert not unknown_names(code), test.name
        imports = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), test.name, "exec"), {})


@pytest.mark.parametrize("module", modules())
def test_what_an_example_says_comes_out(module, tmp_path, monkeypatch):
    """Those that say nothing train for minutes, or draw from a GAN."""
    monkeypatch.chdir(tmp_path)
    for test in examples(module):
        if any(example.want for example in test.examples):
            assert doctest.DocTestRunner().run(test).failed == 0, test.name
