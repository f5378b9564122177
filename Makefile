# Everything from a bare clone. Needed beforehand: Python 3.11 (or 3.12) with venv, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV ?= .venv
PORT ?= 8000
# PyTorch's own index of CPU builds. On Linux, the package registry has the CUDA build, which is several GB larger.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ARGS ?=

TORCH := $(shell sed -n 's/^cpu = \["\(torch==[^"]*\)".*/\1/p' pyproject.toml)
# The packages of the extra `docs` alone: the site is built from the sources, without importing them.
DOCS := $(shell sed -n 's/^docs = \[\(.*\)\]/\1/p' pyproject.toml | tr ',' ' ')
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH_INSTALL := pip install --no-deps --retries 1 --timeout 10 --extra-index-url $(TORCH_INDEX) $(TORCH)
# The whole suite must reach the coverage that pyproject.toml asks for; a part of it cannot.
COVERAGE := $(if $(ARGS),,--cov --cov-report=term:skip-covered)
# Two processes, each with whole files, because most tests of services and browsers wait more than they compute. Each computes in one
# thread: threads of two processes that wait for each other on two cores take several times as long.
WORKERS := $(if $(ARGS),,-n 2 --dist loadfile)
THREADS := $(if $(ARGS),,OMP_NUM_THREADS=1)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve test faults check format openapi docs structure lock audit sbom wheel test-oldest test-newest bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

serve: $(VENV)/.runtime ## install what serving needs, serve the bundled release on $$PORT (8000); ARGS adds flags
	exec $(BIN)/segsort serve --port $(PORT) $(ARGS)

test: $(VENV)/.test ## run all tests and check their coverage; ARGS="-k name" runs some, without coverage
	$(THREADS) $(BIN)/python -m pytest $(COVERAGE) $(WORKERS) $(ARGS)

faults: $(VENV)/.test ## break the code in known ways, one at a time, and see that a test fails; ARGS=flip picks by name
	$(BIN)/python -m tests.deliberate_faults $(if $(ARGS),"$(ARGS)")

check: $(VENV)/.check $(VENV)/.typescript ## check format, lint, types, import rules, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/node tools/typescript/node_modules/typescript/bin/tsc --project tools/typescript
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[bf]*.yml

format: $(VENV)/.check ## format the sources and apply the linter's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.test ## rewrite docs/openapi.json and the page's types from the routes
	$(BIN)/python -m tools.openapi

docs: $(VENV)/.docs ## build the documentation as a website in site/; a broken link or a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

structure: $(VENV)/.check ## print rooms, floors, arrows and circles of service; ARGS="segsort.loops --git COMMIT"
	$(BIN)/python -m tools.structure $(or $(ARGS),service)

lock: $(VENV)/.check ## rewrite requirements/*.txt; ARGS=--upgrade takes the newest versions
	$(BIN)/python -m tools.lock $(ARGS)

audit: $(VENV)/.check ## look for known vulnerabilities of the locked packages; ARGS="--flavour slim" for one image
	$(BIN)/python -m tools.audit $(ARGS)

sbom: $(VENV)/.test ## write an SBOM (CycloneDX) of each container image into dist
	$(BIN)/python -m tools.sbom $(ARGS)

wheel: $(VENV)/.test ## build the wheels of service, client and integrations into dist, and use them in new environments
	$(PIP) wheel --no-deps --wheel-dir dist . ./client $(patsubst %/pyproject.toml,./%,$(wildcard integrations/*/pyproject.toml))
	$(BIN)/python -m pytest tests/packaging/test_wheel.py tests/packaging/test_client.py $(ARGS)

test-oldest: ## run the tests with the oldest direct dependencies that pyproject.toml allows; ARGS picks tests
test-newest: ## run the tests with the newest versions of all dependencies; ARGS picks tests
test-oldest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-oldest test-newest: test-%: $(VENV)/.check
	$(PYTHON) -m venv --clear $(VENV)-$*
	$(VENV)-$*/bin/python -m $(TORCH_INSTALL)
	$(BIN)/uv pip install --python $(VENV)-$*/bin/python --resolution $(RESOLUTION) -e '.[cpu,test]' -e client
	$(VENV)-$*/bin/python -m pytest $(ARGS)

bench: $(VENV)/.bench ## run the benchmarks; JSON goes to out/benchmarks
	$(BIN)/python -m benchmarks.pixel_sorting
	$(BIN)/python -m benchmarks.retrieval
	$(BIN)/python -m benchmarks.live_index
	$(BIN)/python -m benchmarks.latency

clean: ## remove the environments and all caches
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest .venv-napari .venv-fiftyone tools/typescript/node_modules build dist site *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that the environment holds what pyproject.toml asked for when the stamp was made.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# PyTorch is installed alone and without dependencies, so that nothing else is ever looked up on its index. If that index
# does not answer, pip warns, gives up after one retry, and takes the version from the package registry.
$(VENV)/.torch: pyproject.toml | $(BIN)/python
	$(BIN)/python -m $(TORCH_INSTALL)
	touch $@

$(VENV)/.runtime: $(VENV)/.torch
	$(PIP) install -e '.[cpu]'
	touch $@

$(VENV)/.test: $(VENV)/.torch client/pyproject.toml
	$(PIP) install -e '.[cpu,test]' -e client
	touch $@ $(VENV)/.runtime $(VENV)/.docs

$(VENV)/.check: $(VENV)/.torch client/pyproject.toml
	$(PIP) install -e '.[cpu,test,dev]' -e client
	touch $@ $(VENV)/.test $(VENV)/.runtime $(VENV)/.docs

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install $(DOCS)
	touch $@

# The TypeScript compiler checks the types of the page's scripts. Node.js comes with the extra `dev`.
$(VENV)/.typescript: tools/typescript/package-lock.json $(VENV)/.check
	cd tools/typescript && PATH="$(abspath $(BIN)):$$PATH" npm ci --no-audit --no-fund --ignore-scripts
	touch $@

$(VENV)/.bench: $(VENV)/.torch client/pyproject.toml
	$(PIP) install -e '.[cpu,bench]' -e client
	touch $@ $(VENV)/.runtime
