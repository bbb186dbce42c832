# Every target is complete from a fresh clone: it installs what it needs into .venv and the state folder, nothing system-wide.
SHELL := /bin/bash
PYTHON ?= $(shell tools/python.sh)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ropewalk-setup

.PHONY: help setup demo test check bench simulate soak format uninstall

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with the ropewalk command and the developers' tools

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml tools/setup.sh tools/python.sh tools/kubectl.py
	@tools/setup.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: setup ## Run the lecture's task on Fargate, for real, and fetch a page from it
	@tools/as-root.sh "make demo starts containers, namespaces and nftables rules of its own" $(BIN)/python -m demo.webapp

test: setup ## The whole suite: unit, contract, simulation and, as root, real containers
	@tools/test.sh "$(BIN)"

check: setup ## Lint, format, types, import contracts
	$(BIN)/ruff check src tests bench demo tools
	$(BIN)/ruff format --check src tests bench demo tools
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Apply the formatter and the safe lint fixes
	$(BIN)/ruff format src tests bench demo tools
	$(BIN)/ruff check --fix src tests bench demo tools

bench: setup ## Measure, as ratios taken side by side in one run
	@tools/as-root.sh "make bench times real containers" $(BIN)/python -m bench

SEEDS ?= 2000
simulate: setup ## Controllers and agents in virtual time with seeded faults (SEEDS=…)
	ROPEWALK_SEEDS=$(SEEDS) $(BIN)/python -m pytest tests/simulation

soak: setup ## What runs with real periods, for hours
	$(BIN)/python -m pytest tests/soak

uninstall: ## Stop everything and remove all that set-up and use have made
	@tools/uninstall.sh "$(BIN)"
