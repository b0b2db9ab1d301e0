# The commands that people and CI use. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests that share costly fixtures lie in one file, so a file stays in one process.
PARALLEL := --numprocesses=logical --dist=loadfile
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo demo-network lessons test test-fast check format bench site clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(VENV)/core ## only install, into .venv

demo: $(VENV)/core ## install, run the default experiment, say where the report is
	$(BIN)/secure-fl run

demo-network: $(VENV)/core ## gateway, key authority and three banks as processes over TLS 1.3, on real transactions
	$(BIN)/python examples/network/demo.py

lessons: $(VENV)/lessons ## eleven lessons in JupyterLab; what you write stays in lessons/
	$(BIN)/secure-fl lesson build --to lessons
	JUPYTER_PATH=$(CURDIR)/lessons/.jupyter $(BIN)/jupyter lab lessons \
		--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate

test: $(VENV)/test ## every test that CI runs
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(VENV)/test ## the part of it that takes under two minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

check: $(VENV)/test ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/test ## put the code into the form that `make check` asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/test ## the benchmark table, then the ratios that must hold
	$(BIN)/secure-fl bench --banks 3,10 --parameters 10369,1000000
	$(BIN)/python -m pytest benchmarks -s

site: $(VENV)/test ## this documentation as pages that are read from disk: build/site/index.html
	$(BIN)/python -m docs.site $(if $(wildcard build/lessons),--lessons build/lessons)

clean: ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks build

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'error: Python 3.11 or newer is needed; say which with make PYTHON=/path/to/python3.11' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/core: $(VENV)/python pyproject.toml constraints.txt
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(PIP) -e .
	@touch $@

$(VENV)/lessons: $(VENV)/core
	$(PIP) -e '.[lessons]'
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) -e '.[test,docs,flower,explain]'
	@touch $@
