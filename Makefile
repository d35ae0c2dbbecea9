# The verbs of this project. `make demo` needs only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.DEFAULT_GOAL := help
.PHONY: help install dev demo test unit sim check proto scheme bench clean apt

help: ## Show the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(RUNTIME): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "triplane needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=…" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(DEV): $(RUNTIME)
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

install: $(RUNTIME) ## Create .venv with the triplane command

dev: $(DEV) ## Add what tests and checks need

demo: $(RUNTIME) ## Start an HA control plane, cut off its leader, prove that no update was lost (KEEP=1 leaves it running)
	@$(BIN)/triplane demo $(if $(KEEP),--keep) $(DEMO_ARGS)

test: $(DEV) apt ## Run the tests
	$(BIN)/python -m pytest -m "not serial" -n 2 -q $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m serial -q $(PYTEST_ARGS)

unit: $(DEV) ## Run the tests that need no process, port or file system
	$(BIN)/python -m pytest tests/unit -n 2 -q

sim: $(DEV) ## Simulated clusters under faults (SEEDS=, DURATION= seconds, FIRST=, MUTANTS=1 looks for planted bugs)
	$(BIN)/python -m chaos.sim $(if $(MUTANTS),--mutants) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(DURATION),--duration $(DURATION)) $(if $(FIRST),--first $(FIRST))

check: $(DEV) ## Lint, types, import rules, tidiness
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest tests/tidy -q

apt: ## Install the real clients and servers that tests compare with (Debian, as root or with sudo)
	@tools/install-test-peers

proto: $(DEV) ## Generate wire types from proto/
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=. --pyi_out=. \
	  proto/etcdclient/pb/*.proto proto/raftstore/pb/*.proto

scheme: $(DEV) ## Generate the table of built-in resources from lightkube-models
	$(BIN)/python tools/generate_scheme.py

bench: $(DEV) apt ## Measure beside Debian's etcd, in alternation (BENCH_ARGS="--rounds 3 --seconds 4")
	$(BIN)/python -m bench.store $(BENCH_ARGS)

clean: ## Remove what the verbs made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
