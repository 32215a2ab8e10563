"""The environment of a measurement, and the memory that a process has used."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def n_cores():
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def memory():
    """Return the bytes of memory that this process holds, and reset peak_memory() if possible."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as clear_refs:
        clear_refs.write("5")  # resets the peak
    return _status("VmRSS") or peak_memory()


def peak_memory():
    """Return the maximum number of bytes of memory that this process has held.

    On Linux this is not ru_maxrss, because a child's ru_maxrss starts at its parent's peak.
    """
    peak = _status("VmHWM")
    if peak is None:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024
    return peak


def _status(name):
    """Return the bytes in a line of Linux's /proc/self/status, or None on other systems."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return None


def threads_environment(n_threads):
    """Return os.environ for a process whose BLAS and OpenMP use `n_threads` threads."""
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"
    return {**os.environ, **dict.fromkeys(names, str(n_threads))}


def fma_ceiling(dtype, n_threads):
    """Measure GFLOP/s of FMA instructions alone, on `n_threads` threads."""
    from fastmlp import _core

    return _core.fma_ceiling(_core.isa(), dtype, n_threads)


def environment(peers=()):
    """Return processor, versions (including `peers`), commit and date as a dict for JSON."""
    import numpy
    import scipy
    import sklearn
    from threadpoolctl import threadpool_info

    import fastmlp

    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    blas = [pool for pool in blas if "numpy" in pool["filepath"]] or blas  # SciPy has its own
    return {
        "processor": _processor(),
        "cores": n_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
        "blas": "; ".join(
            f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
            for pool in blas
        ),
        "fastmlp": fastmlp.show_config(),
        **{peer: importlib.metadata.version(peer) for peer in peers},
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
    }


def _processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def _commit():
    """Return the short hash of the commit, with a + if files differ from it; None outside git."""
    commit = _output("git", "rev-parse", "--short", "HEAD")
    if not commit:
        return None
    changed = _output("git", "status", "--porcelain", "--", ".", ":!README.md", ":!bench/results")
    return commit + ("+" if changed else "")


def _output(*command):
    try:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
