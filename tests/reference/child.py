"""Run a piece of Python in a fresh interpreter, as some promises need."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def run_python(code, timeout=60, **environment):
    """Completed process of `python -c code`, with tests/ on its path.

    A value of None takes the variable out of the environment.
    """
    # as this process found fastmlp: installed, or beside the tests
    path = [str(TESTS), *(p for p in sys.path if p)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={k: v for k, v in variables.items() if v is not None},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output_of(code, **environment):
    """What `code` prints; an assertion with its stderr where it fails."""
    done = run_python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
