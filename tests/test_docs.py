"""Examples in docstrings, in the README and in docs/ run as they are printed."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.neural_network

import fastmlp

README = Path(__file__).parent.parent / "README.md"
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
MODULES = [
    "fastmlp",
    *(found.name for found in pkgutil.walk_packages(fastmlp.__path__, "fastmlp.")),
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUBLIC = [
    *(fastmlp.MLPClassifier, fastmlp.MLPRegressor),
    *(fastmlp.TabularClassifier, fastmlp.TabularRegressor),
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


def test_the_estimators_have_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for cls in PUBLIC:
        assert any(test.examples for test in finder.find(cls, cls.__name__))


def examples(page):
    if not page.exists():
        return []
    return re.findall(r"```(?:python|pycon)\n(.*?)```", page.read_text(), re.S)


@pytest.mark.skipif(not README.exists(), reason="needs the README beside the tests")
def test_readme_has_examples():
    assert examples(README)


@pytest.mark.parametrize(
    "page, number", [(page, n) for page in PAGES for n in range(len(examples(page)))]
)
def test_examples_of_pages(page, number, tmp_path):
    text, before = examples(page)[number], os.getcwd()
    os.chdir(tmp_path)  # an example may write a file
    try:
        if ">>>" in text:
            parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
            test = parser.get_doctest(text, {}, f"{page.name} example {number}", page.name, 0)
            assert runner.run(test).failed == 0
        else:
            exec(compile(text, f"{page.name} example {number}", "exec"), {})
    finally:
        os.chdir(before)


def counterpart(cls):
    """The class that has what the README and the examples need not explain."""
    return getattr(sklearn.neural_network, cls.__name__, None) or cls.__mro__[2]


@pytest.mark.skipif(not README.exists(), reason="needs the README beside the tests")
@pytest.mark.parametrize("cls", PUBLIC)
def test_readme_names_every_parameter_that_scikit_learn_lacks(cls):
    text = README.read_text()
    table = text[text.index("## What it can do") : text.index("## Speed")]
    for name in set(cls().get_params()) - set(counterpart(cls)().get_params()):
        assert f"`{name}`" in table, name


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_parameter_and_attribute_is_documented(cls):
    text = inspect.getdoc(cls)
    for name in cls().get_params():
        assert re.search(rf"^ *{name} : ", text, re.M), name
    X, y = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]
    variants = [{}, {"solver": "lbfgs"}, {"normalization": "batch"}]
    for params in variants if "solver" in cls().get_params() else [{}]:
        model = cls(max_iter=2, **params).fit(X, y)
        for name in vars(model):
            if name.endswith("_") and not name.startswith("_"):
                assert re.search(rf"^ *(\w+, )*{name}(, \w+)* : ", text, re.M), name


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_public_method_is_documented(cls):
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if not name.startswith("_") and hasattr(type(found), "__get__"):  # not a plain value
            assert inspect.getdoc(getattr(cls, name)), name


@pytest.mark.parametrize("cls", PUBLIC)
def test_methods_that_scikit_learn_lacks_have_an_example(cls):
    own = {*dir(cls)} - {*dir(counterpart(cls))}
    own = {name for name in own if hasattr(type(inspect.getattr_static(cls, name)), "__get__")}
    for name in (name for name in own if not name.startswith("_")):
        assert ">>>" in inspect.getdoc(inspect.getattr_static(cls, name)), name
