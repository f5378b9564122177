# Everything from a bare clone. Needed beforehand: Python 3.11 (or 3.12) with venv, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV ?= .venv
PORT ?= 8000
# Where PyTorch publishes its CPU builds; the ordinary build of Linux brings several GB of CUDA along.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ARGS ?=

TORCH := $(shell sed -n 's/^cpu = \["\(torch==[^"]*\)".*/\1/p' pyproject.toml)
# The packages of the extra `docs` alone: the site is built from the sources, without importing them.
DOCS := $(shell sed -n 's/^docs = \[\(.*\)\]/\1/p' pyproject.toml | tr ',' ' ')
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve test check format openapi docs bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

serve: $(VENV)/.runtime ## install what serving needs, serve the bundled release on $$PORT (8000); ARGS adds flags
	exec $(BIN)/segsort serve --port $(PORT) $(ARGS)

test: $(VENV)/.test ## install what the tests need and run them all; ARGS="-k name" picks some
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.check $(VENV)/.typescript ## format, lint, types, import rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/node tools/typescript/node_modules/typescript/bin/tsc --project tools/typescript

format: $(VENV)/.check ## rewrite the sources as `make check` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.test ## rewrite docs/openapi.json as the routes say it is
	$(BIN)/python -m tests.robustness.openapi

docs: $(VENV)/.docs ## build the documentation as a website in site/; a broken link or a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(VENV)/.bench ## run the benchmarks; JSON goes to out/benchmarks
	$(BIN)/python -m benchmarks.pixel_sorting
	$(BIN)/python -m benchmarks.retrieval
	$(BIN)/python -m benchmarks.live_index
	$(BIN)/python -m benchmarks.latency

clean: ## remove the environment and all caches
	rm -rf $(VENV) tools/typescript/node_modules build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that the environment holds what pyproject.toml asked for when the stamp was made.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# One line of its own, without dependencies: should the index not answer, pip warns, gives up after the one retry and takes
# the version from where it is configured to look; everything else never asks that index.
$(VENV)/.torch: pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps --retries 1 --timeout 10 --extra-index-url $(TORCH_INDEX) $(TORCH)
	touch $@

$(VENV)/.runtime: $(VENV)/.torch
	$(PIP) install -e '.[cpu]'
	touch $@

$(VENV)/.test: $(VENV)/.torch
	$(PIP) install -e '.[cpu,train,test,docs]'
	touch $@ $(VENV)/.runtime $(VENV)/.docs

$(VENV)/.check: $(VENV)/.torch
	$(PIP) install -e '.[cpu,train,test,dev,docs]'
	touch $@ $(VENV)/.test $(VENV)/.runtime $(VENV)/.docs

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install $(DOCS)
	touch $@

# The TypeScript compiler checks the types of the page's scripts. Node.js comes with the extra `dev`.
$(VENV)/.typescript: tools/typescript/package-lock.json $(VENV)/.check
	cd tools/typescript && PATH="$(abspath $(BIN)):$$PATH" npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(VENV)/.bench: $(VENV)/.torch
	$(PIP) install -e '.[cpu,bench]'
	touch $@ $(VENV)/.runtime
