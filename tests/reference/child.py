"""Run a piece of Python in a fresh interpreter, as some tests need."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def variables(changes):
    """The environment of a child process; a value of None removes the variable."""
    # the child must find the same fastmlp as this process: installed, or beside the tests
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
    """What `code` prints. Fails with the child's stderr if the code fails.

    The same code runs only once in the same environment; tests share the output.
    """
    key = code, *sorted(variables(environment).items())
    if key not in PRINTED:
        done = run_python(code, **environment)
        assert done.returncode == 0, done.stderr
        PRINTED[key] = done.stdout.strip()
    return PRINTED[key]
