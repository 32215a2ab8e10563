"""Which module may import which other modules and packages (docs/architecture.md)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, CSRC = ROOT / "fastmlp", ROOT / "csrc"
pytestmark = pytest.mark.skipif(not CSRC.exists(), reason="needs the sources beside the tests")

# From the top down; a module may import only the modules after it.
ORDER = [
    *("__init__", "_mlp", "_optimizer", "inspection", "inspection.trace"),
    *("_estimators.tabular", "_estimators.tabular_base", "_estimators.bagging"),
    *("_estimators.tabular_docs", "_estimators.embeddings"),
    *("_estimators.classifier", "_estimators.regressor", "_estimators.base"),
    "_estimators.labels",
    *("_estimators.prediction", "_estimators.scoring", "_estimators.advice"),
    *("_estimators.parameters", "_estimators.hints", "_estimators.callers"),
    "_estimators.constraints",
    *("_estimators.losses", "_estimators.docs"),
    *("_inputs.encoder", "_inputs.tables", "_inputs.frames", "_inputs.categories"),
    *("_inputs.dates", "_inputs.numeric", "_inputs.scaling", "_inputs.objects", "_inputs.column"),
    *("_training.stochastic", "_training.lbfgs", "_training.baseline", "_training.settings"),
    "_training.progress",
    *("_training.validation", "_training.history", "_training.monitor", "_training.optimizer"),
    "_training.schedules",
    *("_network.ensemble", "_network.network", "_network.layer", "_network.threads"),
    *("_network.initialization", "_network.conversion", "_network.plan", "_network.parameters"),
    *("_network.architecture", "_network.columns"),
    *("_core", "csrc"),
]
CORE = [
    *("__init__", "engine", "workspace", "prediction", "teams", "passes", "pacing", "updates"),
    *("gradients", "batch_normalization", "backward", "forward", "embeddings", "panels"),
    *("network", "dataset", "kernels", "team"),
]
ANYWHERE = {"_version"}  # text only: every module may import it
EMPTY = {"_estimators", "_inputs", "_training", "_network"}  # their __init__ is a docstring
# Packages outside of Python's own library -> the modules that may import them.
OUTSIDE = {
    "numpy": set(ORDER),
    "scipy": {
        *("_estimators.prediction", "_estimators.advice", "_training.lbfgs"),
        *("_training.baseline", "_core"),
    },
    "scipy.optimize": {"_training.lbfgs"},
    "sklearn": {
        *(name for name in ORDER if name.startswith("_estimators.")),
        *("_training.stochastic", "_training.lbfgs", "_training.validation"),
        "_training.baseline",
        "_network.initialization",
        *("_inputs.encoder", "_inputs.tables", "_inputs.scaling"),
    },
    "pyarrow": {"_inputs.frames"},  # where a user's column is of that library
    "joblib": {"_network.threads"},
    "cython": {"_core"},
}


def python_imports(path):
    """Modules that a .py file imports, also inside functions, absolute."""
    package = ["fastmlp", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def cython_imports(path):
    """The same of a .pyx or .pxd, by its lines."""
    text = path.read_text()
    yield from re.findall(r"^\s*(?:from|import|cimport)\s+([\w.]+)", text, re.M)
    pairs = re.findall(r"^\s*from\s+(\.?[\w.]*)\s+c?import\s+\(?([\w., ]+)", text, re.M)
    for module, names in pairs:
        base = module.replace(".", "fastmlp.", 1) if module[:1] == "." else module
        yield from (f"{base.rstrip('.')}.{name.strip()}" for name in names.split(","))


def module_of(path):
    """The name of a file's module within the package; all of the core is one."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "_core":
        return "_core"
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts)


def modules():
    """Module -> all that it imports."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found.setdefault(module_of(path), set()).update(python_imports(path))
    for path in sorted(PACKAGE.rglob("*.p[yx][xd]")):
        found.setdefault(module_of(path), set()).update(cython_imports(path))
    return found


def core_modules():
    """The same of the modules in _core; a .pyx and the .pxd beside it are one."""
    found = {"__init__": set(python_imports(PACKAGE / "_core" / "__init__.py"))}
    for path in sorted((PACKAGE / "_core").glob("[a-z]*.p[yx][xd]")):
        found.setdefault(path.stem, set()).update(cython_imports(path))
    return found


def own_parts(imports):
    """The modules of the package among the imports, as far as ORDER lists them."""
    names = [i.removeprefix("fastmlp.") for i in imports if i.startswith("fastmlp.")]
    beginnings = {name.rsplit(".", n)[0] for name in names for n in range(name.count(".") + 1)}
    return beginnings & set(ORDER)


def test_every_module_has_its_place():
    """A new module must be added to the list above and to the docs."""
    assert set(modules()) == {*ORDER, *ANYWHERE, *EMPTY} - {"csrc"}


def test_imports_go_down_only():
    found = modules()
    for place, name in enumerate(ORDER[:-1]):
        inside = own_parts(found[name])
        assert inside <= set(ORDER[place:]), f"{name} imports upwards: {inside}"
    for name in ANYWHERE | EMPTY:
        assert not own_parts(found[name])


def test_imports_in_the_core_go_down_only():
    """This holds for cimports as for imports."""
    found = core_modules()
    assert set(found) == set(CORE)
    for place, name in enumerate(CORE):
        inside = {i.split(".")[2] for i in found[name] if i.startswith("fastmlp._core.")}
        assert inside <= set(CORE[place:]), f"{name} imports upwards: {inside}"
    assert "kernels" in {i.split(".")[2] for i in found["passes"] if i.startswith("fastmlp._core.")}


def test_the_walk_sees_the_imports_it_should():
    """So that a changed spelling of imports does not blind the tests above."""
    found = modules()
    assert {"_estimators.classifier", "_network.threads"} <= own_parts(found["__init__"])
    base = own_parts(found["_estimators.base"])
    assert {"_training.stochastic", "_network.network", "_core"} <= base
    assert {"_core", "_network.layer"} <= own_parts(found["_network.network"])
    assert "numpy" in found["_core"]


def test_nothing_below_the_estimators_is_given_one():
    """Calls go down as well as imports: training and networks are given values and callables."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if module_of(path).split(".")[0] in ("_training", "_network"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = {getattr(node, field, None) for field in ("arg", "attr", "id")}
                assert names.isdisjoint({"est", "estimator"}), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("package", OUTSIDE)
def test_who_imports_other_packages(package):
    users = {
        name
        for name, imports in modules().items()
        if any(i == package or i.startswith(package + ".") for i in imports)
    }
    assert users <= OUTSIDE[package]


def test_no_package_beyond_these_is_imported():
    import sys

    known = {*sys.stdlib_module_names, *OUTSIDE, "fastmlp", "libc", "cpython", "openmp"}
    for name, imports in modules().items():
        roots = {i.split(".")[0] for i in imports if i and i[0] != "."}
        assert roots <= known, name


def test_csrc_knows_no_python_no_openmp_and_no_allocation():
    """Except team.h, which no other file of csrc/ includes."""
    allowed = {"stddef.h", "stdint.h", "math.h", "float.h", "string.h"}
    allowed |= {"immintrin.h", "xmmintrin.h"}  # the processor's, not the system's
    own = {p.name for p in CSRC.iterdir()}
    for path in sorted(set(CSRC.glob("*.[ch]")) - {CSRC / "team.h"}):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)
        included = set(re.findall(r'#\s*include\s*[<"]([^>"]+)', text))
        assert included <= (allowed | own) - {"team.h"}, path.name
        words = r"\b(malloc|calloc|realloc|free|alloca|printf|fopen|exit|abort|omp_\w+)\s*\("
        assert not re.findall(words, text), path.name
        assert not re.findall(r"#\s*pragma\s+omp", text), path.name


def test_only_core_knows_openmp():
    for path in sorted(PACKAGE.rglob("*.py")):
        assert not re.search(r"\bprange\b|\bomp_", path.read_text()), path.name


def regions(text):
    """Arguments of every call of parallel() and prange() that opens a region."""
    text = re.sub(r"#[^\n]*", "", text)
    for match in re.finditer(r"\b(parallel|prange)\(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if match[1] == "parallel" or not inside_parallel(text[: match.start()]):
            yield text[match.end() : end - 1]


def inside_parallel(before):
    """Whether a block above, on the way out by indentation, is `with parallel(`."""
    *lines, line = before.expandtabs().splitlines()
    indent = len(line) - len(line.lstrip())
    for line in reversed(lines):
        left = len(line) - len(line.lstrip())
        if line.strip() and left < indent:
            indent = left
            if re.search(r"\bparallel\(", line):
                return True
    return False


def test_every_parallel_region_says_how_many_threads():
    """Without num_threads a region takes, or worse sets, the process's number."""
    found = []
    for path in sorted(PACKAGE.rglob("*.p[yx][xd]")):
        text = path.read_text()
        found += regions(text)
        assert "omp_set_num_threads" not in text, path.name
    assert found
    for arguments in found:
        assert "num_threads=" in arguments.replace(" ", ""), arguments


def test_nothing_is_built_for_the_builders_processor_or_with_fast_math():
    for name in ("setup.py", "pyproject.toml", "Makefile"):
        text = re.sub(r"#[^\n]*", "", (ROOT / name).read_text())
        assert not re.search(r"-march=native|-ffast-math|-Ofast|-mtune=native", text), name
