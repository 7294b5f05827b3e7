# Every target makes what it needs; the first needs Python 3.11 or later, make, and a package registry.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
EXAMPLE := src/downslope/examples/houses.csv
OUT := out

# Imports are slow where bytecode is not kept: it is compiled at installation, and written where it may be.
unexport PYTHONDONTWRITEBYTECODE
export UV_LINK_MODE ?= copy
# Trust the certificates that the machine trusts; older versions of uv know the second name.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-quick lint docs bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(STAMP)  ## run the main job: a formula, a table, a curve through it, a picture
	$(BIN)/downslope descend "f(x) = x² - 4x + 5" --start x=0 --learning-rate 0.1 --steps 200
	$(BIN)/downslope descend "Loss(w) = mean((price - w×size)²)" --data $(EXAMPLE) --start w=0 --learning-rate 0.00001 --steps 100
	$(BIN)/downslope fit coffee.csv "temperature = room + excess × e^(-k×minutes)" --plot $(OUT)/coffee.png
	$(BIN)/downslope draw "f(x, y) = x² + 2y²" --start x=4,y=3 --learning-rate 0.1 --steps 20 --plot $(OUT)/valley.png

test: $(STAMP)  ## run every test
	$(BIN)/python -m pytest -n 2

test-quick: $(STAMP)  ## run the tests that take under five minutes
	$(BIN)/python -m pytest -n 2 -m "not slow"

lint: $(STAMP)  ## check style, types and structure
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

docs: $(STAMP)  ## build the site into site/
	$(BIN)/mkdocs build --strict

bench: $(STAMP)  ## run the benchmarks; peers that are not there are left out, and said so
	-$(UV) pip install --quiet --python $(BIN)/python $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) "torch==2.13.*" lmfit keras wandb
	$(BIN)/python benchmarks/loops.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/start_up.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/fits.py tests/data/nist_nonlinear_regression.json --page docs/benchmarks.md
	$(BIN)/python benchmarks/ensembles.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/global_search.py tests/data/functions.json --page docs/benchmarks.md
	$(BIN)/python benchmarks/training.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/watching.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/lab.py --page docs/benchmarks.md

clean:  ## remove everything that was made
	rm -rf $(VENV) .tools $(OUT) site dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# uv: the one on the path, else one from PyPI in .tools, in an environment of its own where Python can make one.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)

$(STAMP): pyproject.toml uv.lock | $(UV)
	@echo "making the environment in $(VENV)"
	@$(UV) sync --frozen --compile-bytecode --python $(PYTHON) --quiet
	@$(BIN)/python -m compileall -q src
	@touch $@

.tools/bin/uv:
	@echo "fetching uv $(UV_VERSION) into .tools"
	@$(PYTHON) -m venv .tools 2>/dev/null && .tools/bin/python -m pip install --quiet "uv==$(UV_VERSION)" \
	  || { rm -rf .tools && $(PYTHON) -m pip install --quiet --target .tools/lib "uv==$(UV_VERSION)" \
	       && mkdir -p .tools/bin && ln -s ../lib/bin/uv $@; }
