# `make demo` and `make test` each set up .venv with all they need, and run. `make help` lists the rest.
# Another Python: make test PYTHON=python3.12. More or fewer processes for the tests: make test WORKERS=8.

PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
# One thread a process: the arrays are small, and the tests run in several processes at once.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Two targets at once (make -j demo test) would set up .venv at the same time.
.NOTPARALLEL:
.PHONY: help demo test lint types imports unit bench docs format clean
help:
	@echo "make demo    train on few and many tasks; a table, figures and a report in results/demo"
	@echo "make test    formatting, lint, types, import rules, tests"
	@echo "make lint    all of that but the tests"
	@echo "make bench   speed against the bounds, single-threaded"
	@echo "make docs    the site of the documentation, in site/"
	@echo "make format  let ruff format and mend the code"
	@echo "make clean   remove .venv, caches and builds"

# Set up again when, and only when, what is to be installed may have changed. A stamp is written last: a broken-off
# set-up is taken up again by the next make. The demo needs half of what the tests need, so it does not wait for it.
.venv/.demo: EXTRAS := studies
.venv/.dev: EXTRAS := dev
.venv/.demo .venv/.dev: pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "There is no $(PYTHON) on the PATH; name a Python of 3.10 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1), but 3.10 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(INSTALL) hatchling
	$(INSTALL) --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@ $(if $(filter %.dev,$@),.venv/.demo)

demo: .venv/.demo
	$(ONE_THREAD) $(BIN)/mtrnn study run examples/01_demo.toml --out results/demo

# What fails fastest comes first.
test: lint unit

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

unit: lint
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

# Without the checks of shapes and types, which cost time at each call.
bench: .venv/.dev
	$(ONE_THREAD) $(BIN)/pytest -o addopts= tests/benchmarks

# A link that leads nowhere fails it.
docs: .venv/.dev
	$(BIN)/mkdocs build --quiet --strict
	@echo "the site is site/index.html"

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
