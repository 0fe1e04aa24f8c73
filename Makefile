# Two commands are enough on a fresh machine: `make demo` and `make test`. Each makes what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-for-use
DEV := $(VENV)/.ready-for-tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check soak lab bench docs venv dev debian clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

demo: $(READY) ## the main job in a sandbox: two sites, six nodes, no servers, no hosts, no root
	@$(BIN)/python examples/demo.py

test: $(DEV) debian ## every lane, two at a time (tests/lanes.toml)
	@$(BIN)/python tests/lanes.py

check: $(DEV) ## the quick loop: static checks, unit, property and golden tests
	@$(BIN)/python tests/lanes.py static unit property

soak: $(DEV) debian ## make soak LANE=NAME: what is longer; writes docs/evidence/NAME.json
	@$(BIN)/python tests/soak.py $(LANE)

lab: $(DEV) debian ## real systemd hosts by hand: make lab ARGS="up 3"
	@$(BIN)/python -m tests.lab $(ARGS)

bench: $(DEV) ## the benchmark table, as ratios in one run
	@$(BIN)/python benchmarks/run.py $(ARGS)

docs: $(DEV) ## makes the generated parts of docs/ anew
	@$(BIN)/python docs/generate.py

venv: $(READY)
dev: $(DEV)

$(READY): pyproject.toml constraints.txt
	@echo "making $(VENV) (a minute or two)"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { echo "is python3-venv there? apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install -q -c constraints.txt -e .
	@$(BIN)/python -m compileall -q fleet
	@touch $@

$(DEV): $(READY)
	@$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

# Debian packages that the lab lanes need. As root they are installed; else the lanes that lack them say so.
debian:
	@missing=$$(for p in $$(cat tests/debian-packages.txt); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing:" $$missing; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

clean: ## removes what the other targets made
	rm -rf $(VENV) .work .mypy_cache .ruff_cache .hypothesis
