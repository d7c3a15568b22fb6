# Everything a person types. The work is done by .ci/setup, pytest and the `xunlou` command.
#
#   make demo ARGS="--speed 60"      options for the demo
#   make test ARGS="tests/unit -x"   options for pytest

SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=
# Set PYTHON to choose the interpreter; otherwise the first suitable one (3.11 to 3.13) is taken.
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs lock clean simulate faults bench screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@$(if $(wildcard tests/bench),echo '  make bench       Measure; not part of the tests')
	@echo '  Options:  make demo ARGS="--speed 60"   make test ARGS="tests/unit -x"'

setup: ## Make .venv from requirements.lock (quick when nothing changed)
	@.ci/setup venv

demo: ## Run the whole chain on this machine, with a simulated community
	@.ci/setup demo
	@$(BIN)/xunlou demo $(ARGS)

# What runs with the real clock, as the whole product does, waits more than it works: three houses
# side by side. One that is broken on purpose has the machine to itself. All other tests share the
# cores.
PERSONS = tests/browser/test_persons.py
CONFORMANCE = tests/integration/test_conformance.py
MANY = tests/integration/test_many_servers.py
POSTGRES = tests/faults/test_postgresql.py
WHOLE = tests/e2e $(PERSONS) $(CONFORMANCE) $(MANY) $(POSTGRES)
BROKEN = tests/faults --ignore $(POSTGRES)
# In this order: the longest files first, so that no core waits for one of them in the end.
SHARED = tests/browser tests/simulation tests/integration tests/unit tests/docs \
  --ignore $(PERSONS) --ignore $(CONFORMANCE) --ignore $(MANY)
# One more than there are cores: much of a test's time is waiting for sockets.
WORKERS = $(shell expr $$(nproc) + 1)

test: ## Run the tests (as root on Debian this installs Mosquitto and Chromium)
	@.ci/setup test
ifdef ARGS
	@TMPDIR=$$(.ci/scratch) $(BIN)/python -m pytest $(ARGS)
else
	@failed=; TMPDIR=$$(.ci/scratch); export TMPDIR; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(SHARED) || failed=1; \
	$(BIN)/python -m pytest -n 3 --dist loadfile $(WHOLE) || failed=1; \
	$(BIN)/python -m pytest $(BROKEN) || failed=1; \
	test -z "$$failed"
endif

check: setup ## Lint, types, imports, known weaknesses, true documentation, the core's every branch
	@failed=; run() { echo "--- $$*"; "$(BIN)/$$@" || failed="$$failed $$1"; }; \
	run ruff check .; \
	run mypy; \
	run lint-imports; \
	run python .ci/audit.py; \
	run python -m pytest -q tests/docs; \
	run python -m pytest -q tests/unit/core -k 'not every_sample_resident' --cov=server.core --cov-branch \
	  --cov-report=term-missing:skip-covered --cov-fail-under=100; \
	test -z "$$failed" || { echo "make check failed:$$failed"; exit 1; }

docs: setup ## Write the generated parts of docs/ anew
	@$(BIN)/python tests/docs/settings_table.py
	@$(BIN)/python tests/docs/messages_page.py
	@$(BIN)/python tests/docs/metrics_table.py

lock: ## Write requirements.lock anew (needs uv)
	@command -v uv >/dev/null || { echo "uv is not installed; see docs/adr/0005-lock-file.md"; exit 1; }
	uv pip compile pyproject.toml --group demo --group dev --python-version 3.11 --universal \
	  --generate-hashes --no-strip-extras --no-header --no-emit-index-url --no-annotate -o requirements.lock

simulate: setup ## Live through many days that no run has seen before (ten minutes)
	@SIM_LONG=1 $(BIN)/python -m pytest -q tests/simulation/test_simulation.py -k nobody_has_seen

faults: setup ## Break two parts at a time, at moments that no run has had before (fifteen minutes)
	@.ci/setup test
	@FAULTS_LONG=1 FAULTS_SEED=$${FAULTS_SEED:-$$(date +%s)} TMPDIR=$$(.ci/scratch) \
	  $(BIN)/python -m pytest -q tests/faults

bench: setup ## Measure; one JSON line each (docs/performance.md)
	@$(BIN)/python -m tests.bench.sos
	@$(BIN)/python -m tests.bench.ingest
	@$(BIN)/python -m tests.bench.kept
	@$(BIN)/python -m tests.bench.wall
	@$(BIN)/python -m tests.bench.detection
	@$(BIN)/python -m tests.bench.fleet
	@$(BIN)/python -m tests.bench.fleet 10000 tls
	@$(BIN)/python -m tests.bench.sim_fleet
	@$(BIN)/python -m tests.bench.register

screenshots: setup ## Take the pictures of docs/screens.md anew (two minutes)
	@$(BIN)/python -m tests.screens $(ARGS)

clean: ## Remove what can be made again; never data/
	rm -rf .venv .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
