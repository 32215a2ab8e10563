# Everything happens in .venv, which the first run sets up and later runs reuse. The packages to
# install are read from pyproject.toml: this file lists none. fastmlp is installed in editable mode:
# Python files are used in place, and the extension modules are rebuilt only when their sources
# change.
#
#   make test PYTHON=python3.12       another interpreter (if .venv exists, after `make clean`)
#   make test ARGS="-k partial_fit"   arguments for pytest; without ARGS, the whole suite runs in a
#                                     process for each core. `make bench` and `make demo` pass ARGS
#                                     to bench/fit.py and bench/demo.py; with ARGS, `make bench`
#                                     runs bench/fit.py only

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
SOURCES := pyproject.toml setup.py $(wildcard csrc/*.c csrc/*.h fastmlp/_core/*.pyx fastmlp/_core/*.pxd)

.PHONY: help demo test bench lint format clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo    train on digits beside scikit-learn's MLP; a table and digits_loss.png"
	@echo "make test    run the test suite"
	@echo "make bench   measure fit, predict and more beside scikit-learn, PyTorch, JAX, ONNX Runtime"
	@echo "make lint    check Python, Cython and C sources;  make format  rewrites them"
	@echo "make clean   remove what was built, and .venv"

demo: $(VENV)/built $(VENV)/extra-demo
	@$(BIN)/python bench/demo.py $(ARGS)

test: $(VENV)/built $(VENV)/extra-test
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --maxprocesses 8 --dist worksteal)

bench: $(VENV)/built $(VENV)/extra-bench
	@$(BIN)/python bench/fit.py $(ARGS)
ifndef ARGS
	@$(BIN)/python bench/fit.py sparse lbfgs
	@$(BIN)/python bench/predict.py
	@$(BIN)/python bench/usage.py
	@$(BIN)/python bench/sweep.py
endif

lint: $(VENV)/extra-lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PATH="$(abspath $(BIN)):$$PATH" cython-lint fastmlp
	@$(BIN)/clang-format --dry-run --Werror csrc/*.c csrc/*.h

format: $(VENV)/extra-lint
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i csrc/*.c csrc/*.h

clean:
	rm -rf $(VENV) build dist *.egg-info fastmlp/_core/*.so fastmlp/_core/*.c
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: a virtual environment, the packages of one extra, the package itself.

$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found. Name a Python 3.11 or newer:" \
	    "make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON"
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/extra-%: pyproject.toml | $(VENV)/made
	@echo "Installing what '$*' needs"
	@$(BIN)/python -c "$$REQUIREMENTS" $* >$(VENV)/$*.txt
	@$(PIP) install --requirement $(VENV)/$*.txt
	@touch $@

$(VENV)/built: $(SOURCES) | $(VENV)/made
	@echo "Building fastmlp"
	@$(BIN)/python -c "$$REQUIREMENTS" build >$(VENV)/build.txt
	@$(PIP) install --requirement $(VENV)/build.txt
	@$(PIP) install --no-build-isolation --editable .
	@touch $@

define CHECK_PYTHON
import os, sys
if sys.version_info < (3, 11):
    sys.exit("fastmlp needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: "
             "make demo PYTHON=python3.12" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("$(PYTHON) cannot make virtual environments: install its venv package "
             "(Debian, Ubuntu: python3-venv)")
import shlex, shutil, sysconfig
compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
if not shutil.which(shlex.split(compiler)[0]):
    sys.exit("No C compiler: '%s' was not found. Install gcc or clang, or name one: "
             "CC=clang make demo" % compiler)
if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
    sys.exit("Python.h was not found: install the headers of $(PYTHON) "
             "(Debian, Ubuntu: python3-dev)")
endef
export CHECK_PYTHON

define REQUIREMENTS
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    pyproject = tomllib.load(file)
extras = pyproject["project"]["optional-dependencies"]
lists = {"build": pyproject["build-system"]["requires"], **extras}
print(*lists[sys.argv[1]], sep="\n")
endef
export REQUIREMENTS
