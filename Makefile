# One door for every task; `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIPENV_VERSION := 2026.10.3
UNIT := tests/unit
LOCAL := tests/local
SERVICES := tests/services
TWO := -q -n 2 --dist loadfile  # they wait more than they work; what a file starts is started once
NOT_HERE := not slow and not browser and not registry and not docker and not ceph and not nginx and not kubernetes and not workloads and not groovy and not jenkins and not compose and not ansible and not bundle and not prometheus and not ray

.DEFAULT_GOAL := help
.PHONY: help setup demo down clean test test-unit test-local test-services test-story test-models test-ansible test-bundle test-all test-tiers check lock

help:  ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/ready  ## Make the stack's own environment in .venv from Pipfile.lock

$(VENV)/ready: Pipfile.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) PIPENV_VERBOSITY=-1 $(BIN)/python -m pipenv sync --categories "packages dev-packages embedded"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup  ## Set everything up and take a real model the whole way
	$(BIN)/sacristy demo

down: setup  ## Stop everything that runs
	$(BIN)/sacristy down

clean:  ## Stop everything and leave no trace: data, environments and all
	@if [ -x $(BIN)/sacristy ]; then $(BIN)/sacristy down; fi
	rm -rf .sacristy .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis sacristy.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

test: test-unit check test-local test-models test-services test-story  ## Run the tests that need only what the demo needs

check: setup  ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-unit: setup  ## Unit tests: no service
	$(BIN)/pytest -q -n 2 --dist worksteal -p no:schemathesis $(UNIT)  # its plugin takes a second in each process

test-local: setup  ## With real git, real processes and this disk; no service
	$(BIN)/pytest -q -n 2 $(LOCAL)

test-models: setup  ## Each model's own tests, in its own environment
	$(BIN)/sacristy env test

test-services: setup  ## Against the real MongoDB, Gunicorn, supervisor
	$(BIN)/pytest $(TWO) -m "$(NOT_HERE)" $(SERVICES)

test-story: setup  ## The stories: the demo itself, and the broken deploy
	$(BIN)/pytest $(TWO) -m "$(NOT_HERE)" tests/e2e

test-all: test test-tiers  ## Also the tiers that need system packages

test-ansible: setup  ## deploy/ansible on a host with systemd, in a container: ten minutes, not part of the others
	$(BIN)/pytest -q -m ansible tests

test-bundle: setup  ## The composed stack on a host without a network, out of a bundle: half an hour, not part of the others
	$(BIN)/pytest -q -m bundle tests/e2e/test_bundle_story.py tests/e2e/test_bundled_stack.py tests/e2e/test_compose_story.py

test-tiers: setup  ## Only those tiers; what they need is installed where that may be done
	$(BIN)/python tests/all_tiers.py

lock: setup  ## Resolve every Pipfile.lock anew
	$(BIN)/sacristy env lock
