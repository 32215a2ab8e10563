"""Builds the compiled core. Everything else about the package is in pyproject.toml."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = ["kernels", "panels", "dataset", "prediction", "workspace", "engine"]
C_FILES = {
    "kernels": ["isa_generic.c", "isa_avx2.c", "isa_avx512.c", "dispatch.c"],
    "engine": ["optimizers.c"],
}


def openmp_flags():
    """Compile and link flags for OpenMP; none if the compiler lacks it or if FASTMLP_OPENMP=0."""
    if os.environ.get("FASTMLP_OPENMP", "1") == "0":
        return [], []
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "openmp.c")
        source.write_text("#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }\n")
        for flags in (["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"]):
            command = [*compiler.split(), str(source), "-o", str(Path(folder, "openmp")), *flags]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return [flag for flag in flags if flag != "-lomp"], flags[-1:]
    print("fastmlp: this compiler has no OpenMP; building for one thread", file=sys.stderr)
    return [], []


compile_openmp, link_openmp = openmp_flags()
compile_args = [
    # these let the compiler vectorize the loops, without the rest of fast-math
    "-std=gnu11",
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    # errors if a kernel's body or Cython declaration differs from csrc/kernel_list.h
    "-Werror=incompatible-pointer-types",
    "-Werror=int-conversion",
    "-Werror=switch",  # an optimizer that optimizers.c leaves out
    *compile_openmp,
]
headers = sorted(map(str, Path("csrc").glob("*.h")))


def module(name):
    """The extension module fastmlp._core.`name`, with the C files that only it needs."""
    return Extension(
        f"fastmlp._core.{name}",
        sources=[f"fastmlp/_core/{name}.pyx", *(f"csrc/{c}" for c in C_FILES.get(name, ()))],
        depends=headers,
        include_dirs=["csrc"],
        extra_compile_args=compile_args,
        extra_link_args=link_openmp,
    )


setup(
    ext_modules=cythonize(
        [module(name) for name in MODULES],
        language_level=3,
        compiler_directives={
            "cdivision": True,
            "freethreading_compatible": True,
        },
    )
)
