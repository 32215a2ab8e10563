"""Run a piece of Python in a fresh interpreter, as some promises need."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def variables(changes):
    """The environment of a child; a value of None takes the variable out."""
    # as this process found fastmlp: installed, or beside the tests
    path = [str(TESTS), *(p for p in sys.path if p)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(path), **changes}
    return {name: value for name, value in found.items() if value is not None}


def run_python(code, timeout=60, **environment):
    """Completed process of `python -c code`, with tests/ on its path."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=variables(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


PRINTED = {}  # (code, environment) -> what it printed


def output_of(code, **environment):
    """What `code` prints; an assertion with its stderr where it fails.

    The same code runs once in the same environment: tests share what it printed.
    """
    key = code, *sorted(variables(environment).items())
    if key not in PRINTED:
        done = run_python(code, **environment)
        assert done.returncode == 0, done.stderr
        PRINTED[key] = done.stdout.strip()
    return PRINTED[key]
