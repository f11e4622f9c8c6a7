# Every target sets up what it needs in .venv first; a second run installs nothing again.
# Needed: Python 3.11 or newer, make, pip. `make PYTHON=python3.12 test` chooses an interpreter.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SEED := lbbench/scenarios/seed
DEMO := results/demo
FIGURES := results/benchmarks
STUDIES := ewma-herding local-or-cluster scale-out
LEAGUE := results/league
DEMO_BALANCERS := round_robin,random,least_conn,chash,ewma

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test long lint format bench tables league studies $(STUDIES) live pictures install clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(INSTALLED) ## a node's iptables-save and an access log: import, compare, tables
	@mkdir -p $(DEMO)
	@rm -f $(DEMO)/seed.yaml $(DEMO)/seed.trace.csv.gz
	@echo; echo "== 1. the rules of a node: who is reachable, where, with what probability"
	$(BIN)/lbbench import iptables $(SEED)/iptables-save.rules -o $(DEMO)/seed.yaml
	@echo; echo "== 2. the ingress controller's log: which pods, what they took, who asked"
	$(BIN)/lbbench import access-log $(SEED)/access.log --into $(DEMO)/seed.yaml
	@echo; echo "== 3. the same traffic through five balancers, on that cluster at load 0.8"
	@echo "   (eight logged requests are a handful, too few for a rate: utilisation 0.8 is set)"
	$(BIN)/lbbench compare $(DEMO)/seed.yaml --balancers $(DEMO_BALANCERS) --out $(DEMO) \
		--set traffic.utilisation=0.8 --set run.requests=1000000
	@echo; echo "The scenario and the results are in $(DEMO)/, summed up in report.html. Go on with:"
	@echo "  $(BIN)/lbbench run $(DEMO)/seed.yaml --set stages.ingress.balancer=ewma"

test: $(INSTALLED) ## the tests, those over a minute left out
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -p no:benchmark

long: $(INSTALLED) ## the long tests alone
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -p no:benchmark -m long

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## benchmarks and ratios to C; figures in results/benchmarks/
	$(BIN)/python -m pytest --benchmark -q --benchmark-json=$(FIGURES)/latest.json
	-$(BIN)/python -m benchmarks.ratios --json $(FIGURES)/ratios.json

tables: $(INSTALLED) ## the tables of speed from the kept figures in results/benchmarks/
	$(BIN)/python -m benchmarks.tables $(wildcard $(FIGURES)/baseline*.json) \
		--into docs/how-to/speed-and-memory.md

league: $(INSTALLED) ## every balancer at the league's jobs; tables, charts, what `lbbench balancers` tells
	$(BIN)/lbbench compare --all --out $(LEAGUE)
	$(BIN)/python -m benchmarks.league $(LEAGUE)
	$(BIN)/python -m benchmarks.tables $(LEAGUE)/league.json --into README.md
	$(BIN)/python -m docs.generate

studies: $(STUDIES) ## the studies of results/: sweeps, reports, figures, tables (or one: make scale-out)

$(STUDIES): $(INSTALLED)
	@set -e; for study in results/$@/*.yaml; do base=$${study%.yaml}; \
		$(BIN)/lbbench sweep $$study --out $$base.sqlite; \
		$(BIN)/lbbench report $$base.sqlite -o $$base.html --svg $$base-charts; \
		$(BIN)/lbbench export $$base.sqlite -o $$base.parquet; done
	@mv results/$@/study.html results/$@/report.html
	$(BIN)/python -m benchmarks.shipped results/$@

live: $(INSTALLED) ## real rules, nginx and HAProxy on this machine (root); results/mine/live-*/
	$(BIN)/python -m benchmarks.reality --out results/mine/live-$$(date +%Y%m%d-%H%M%S)

pictures: $(INSTALLED) ## the pictures of the documentation, from two shipped scenarios
	@set -e; for name in aks-ingress local-or-cluster; do \
		$(BIN)/lbbench run $$name --quiet --out $(DEMO)/$$name; \
		$(BIN)/lbbench report $(DEMO)/$$name --svg $(DEMO)/$$name; done
	@cp $(DEMO)/aks-ingress/shares-per-stage.svg docs/pictures/aks-ingress-shares-per-stage.svg
	@cp $(DEMO)/aks-ingress/latency-percentiles.svg docs/pictures/aks-ingress-latency-percentiles.svg
	@cp $(DEMO)/local-or-cluster/shares-per-stage.svg \
		docs/pictures/local-or-cluster-shares-per-stage.svg

install: $(INSTALLED) ## only set up .venv

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer found: install one, or name it with" \
		"make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --without-pip $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 && pip="$(BIN)/python -m pip" \
		|| pip="$(PYTHON) -m pip --python $(BIN)/python"; \
		$$pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

clean: ## remove .venv, caches and the demo's output
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info
