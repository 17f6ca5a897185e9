# A fresh machine needs python3 >= 3.11 (with venv) and make. Everything else goes into .venv.
PYTHON    ?= python3
VENV      ?= .venv
TORCH     ?= .venv-torch
NOTEBOOKS ?= notebooks
OUT       ?= reports
DATA      ?=
BIN       := $(VENV)/bin
READY     := $(VENV)/.ready
REPORT    := $(BIN)/python -m prodgen_jax.cli report --notebooks $(NOTEBOOKS) $(if $(DATA),--data "$(DATA)")
COMPARED  := $(if $(wildcard $(DATA)/prepared.json),$(DATA),$(OUT)/compare/set)
PIP       := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -q
PYTEST    := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Containers often tell Python to keep no bytecode: then each of some hundred processes compiles jax anew, four seconds.
unexport PYTHONDONTWRITEBYTECODE

# uv takes a fifth of pip's time. It is told pip's index; where it cannot be had or does not get through, pip installs.
INDEX = $${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}
define install
{ UV_SYSTEM_CERTS=1 UV_DEFAULT_INDEX="$(INDEX)" $(BIN)/uv pip install -q --python $(BIN)/python $(1) 2>/dev/null; } || $(PIP) $(1)
endef

.DEFAULT_GOAL := help
.PHONY: help report smoke test full quick compare bench lab pins clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  settings: DATA=catalog.csv or a prepared set, OUT=reports, PYTHON=python3.12"

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python >= 3.11 is needed; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@$(PIP) uv || true
	@echo "installing requirements.txt into $(VENV)"
	@$(call install,-r requirements.txt)
	@$(call install,--no-deps -e .)
	@touch $@

report: $(READY) ## run all notebooks and build the site: OUT/html/index.html
	$(REPORT) --out $(OUT)

smoke: $(READY) ## the whole report with tiny settings, a few minutes
	$(REPORT) --out $(OUT)/smoke --smoke

test: $(READY) ## lint, format, notebooks without outputs, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(wildcard $(NOTEBOOKS)/*.ipynb),$(BIN)/nbstripout --keep-id --verify $(NOTEBOOKS)/*.ipynb)
	$(PYTEST) -m "not long"

full: $(READY) ## all tests, the long ones as well
	$(PYTEST)

quick: $(READY) ## the tests without the slow ones
	$(PYTEST) -m "not slow and not long"

compare: $(READY) ## every family within the same minutes, small: OUT/compare/compare.md; DATA= as above
	[ -e $(COMPARED)/prepared.json ] || $(BIN)/prodgen prepare $(or $(DATA),demo:2000) --out $(COMPARED)
	$(BIN)/prodgen compare $(COMPARED) --methods dcgan,vae,ddpm --minutes 1 --seeds 2 -n 500 --out $(OUT)/compare

bench: $(READY) $(TORCH)/.ready ## training steps against PyTorch, in turns -> docs/benchmarks.md (an hour, alone)
	$(BIN)/python benchmarks/speed.py --torch $(TORCH)/bin/python --out docs/benchmarks.md

$(TORCH)/.ready: # an environment of its own; this exact version is the build without CUDA packages
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --disable-pip-version-check -q torch==2.13.0 numpy
	@touch $@

lab: $(READY) ## open the notebooks
	GLIBC_TUNABLES="$${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}" $(BIN)/jupyter lab $(NOTEBOOKS)

pins: $(READY) ## write requirements.txt anew from pyproject.toml (with uv)
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra all --no-emit-package prodgen-jax --no-emit-index-url \
	    --no-annotate --custom-compile-command "make pins" --upgrade -q pyproject.toml -o requirements.txt

clean: ## remove .venv, reports and caches
	rm -rf $(VENV) $(TORCH) $(OUT) build .pytest_cache .ruff_cache *.egg-info
	find prodgen_jax tests -name __pycache__ -prune -exec rm -rf {} +
