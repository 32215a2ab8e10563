"""Files and functions stay short enough to be read at once."""

import ast
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES, FUNCTION_LINES = 600, 80
PYTHON = sorted([*ROOT.glob("fastmlp/**/*.py"), *ROOT.glob("bench/*.py")])
CYTHON = sorted(ROOT.glob("fastmlp/_core/*.p[yx][xd]"))
C = sorted(ROOT.glob("csrc/*.[ch]"))
pytestmark = pytest.mark.skipif(not C, reason="needs the sources beside the tests")


def python_functions(text):
    """Name and lines of the body of each function; its docstring does not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            body = node.body[is_text:]
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0


def c_functions(text):
    """The same of functions at the left margin, and of macros of several lines."""
    start, lines = None, text.splitlines()
    for number, line in enumerate(lines):
        if line.endswith("{") and line[0] not in " }":
            start = number
        elif line.startswith("}") and start is not None:
            yield lines[start], number - start - 1
            start = None
    for continued, group in itertools.groupby(lines, lambda line: line.endswith("\\")):
        if continued:
            first, *others = group
            yield first, len(others) + 1


def cython_functions(text):
    """The same of Cython: up to the next line that is indented no more than the signature."""
    name, length, left = None, 0, 0
    for line in [*re.sub(r'""".*?"""', "", text, flags=re.S).splitlines(), "end"]:
        code = line.lstrip()
        if name and code and len(line) - len(code) <= left and code[0] != ")":
            yield name, length
            name = None
        length += bool(code)
        if re.match(r"(def|cdef|cpdef) [^=]*\(", code) and "struct" not in code:
            name, length, left = code, 0, len(line) - len(code)


FUNCTIONS = {".py": python_functions, ".pyx": cython_functions, ".pxd": cython_functions}


@pytest.mark.parametrize("path", [*PYTHON, *CYTHON, *C], ids=lambda path: path.name)
def test_no_file_and_no_function_is_long(path):
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES
    for name, length in FUNCTIONS.get(path.suffix, c_functions)(text):
        assert length <= FUNCTION_LINES, f"{name} has {length} lines"


def test_lengths_are_seen():
    code = 'def f(x):\n    """Text.\n    """\n    y = x\n\n    return y\n'
    assert list(python_functions(code)) == [("f", 3)]
    code = "cdef inline int f(\n    int x,\n) nogil:\n    return x\n\ncdef int g(x):\n    pass\n"
    assert list(cython_functions(code)) == [("cdef inline int f(", 3), ("cdef int g(x):", 1)]
    code = "static int f(void) {\n    int x = 0;\n    return x;\n}\n#define A(x) \\\n    (x)\n"
    assert list(c_functions(code)) == [("static int f(void) {", 2), ("#define A(x) \\", 1)]
