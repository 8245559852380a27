# `make quickstart` and `make test` both work from a bare clone. `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup quickstart smoke test garak format reference

# The first of these that is there, runs and is new enough. The pins were found on 3.11.
PYTHON ?= $(or $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done),python3)
BIN := .venv/bin
MODEL := smollm2-135m
INSTALLED := .venv/installed

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(INSTALLED)  ## Make .venv, install pinned dependencies, fetch the embedded model
	@$(BIN)/superalign models pull $(MODEL)

quickstart: setup  ## Take the embedded model through the whole plan (about 5 minutes on 2 cores)
	@echo "== Running plans/quickstart.yaml"
	@$(BIN)/superalign run plans/quickstart.yaml

smoke: setup  ## Three families of planted misalignment in a sealed trial (about 4 minutes)
	@echo "== Running plans/smoke.yaml"
	@$(BIN)/superalign run plans/smoke.yaml

# By worksteal neighbours run in one process, which makes the models that they share once.
test: setup  ## Lint, types, import rules, generated reference, tests
	@echo "== Lint"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@echo "== Types"
	@$(BIN)/mypy
	@echo "== Import rules"
	@$(BIN)/lint-imports --no-logo --no-cache
	@echo "== Generated reference"
	@$(BIN)/python scripts/reference.py --check
	@echo "== Tests"
	@$(BIN)/pytest -n 2 --dist worksteal

# Its pins conflict with ours, and pip takes half an hour to find out which of its packages live together: uv seconds.
garak: setup  ## Test superalign serve against garak, in a Python of its own (2 GB)
	@$(BIN)/python -m venv .venv-garak
	@.venv-garak/bin/python -m pip install -qq --disable-pip-version-check uv $$(grep '^torch==' constraints.txt)
	@.venv-garak/bin/uv pip install --quiet --python .venv-garak/bin/python garak==0.17.1 $$(grep '^torch==' constraints.txt)
	@GARAK_PYTHON=$(CURDIR)/.venv-garak/bin/python $(BIN)/pytest tests/web/test_garak.py

format:  ## Format the code
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

reference:  ## Write docs/reference again from the commands and the plan
	@$(BIN)/python scripts/reference.py

# torch comes first and exactly pinned: a range may pull a newer build with gigabytes of CUDA packages. What Python
# compiles is left to the first import, which takes a tenth of the packages and not a minute.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "superalign needs Python 3.11 or newer, and $(PYTHON) is not. Install one, or: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; \
		exit 2; }
	@echo "== Making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { \
		echo "$(PYTHON) can't make a virtual environment. On Debian: apt-get install python3-venv"; exit 2; }
	@echo "== Installing torch (a few minutes the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile $$(grep '^torch==' constraints.txt)
	@echo "== Installing superalign and its development tools"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --editable '.[dev]' --constraint constraints.txt
	@touch $@
