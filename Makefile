# Everything runs in .venv, which the first target makes. Start with `make help`.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test unit integration lint types imports schemas docs bench fixture soak constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install the package with all that development needs

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) on the PATH; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $$($(PYTHON) --version) is too old, 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) ## policies decide requests, two versions are compared over traffic, spend is reported as HTML, and a service is asked
	@$(BIN)/python examples/demo/run.py

test: lint types imports unit ## all checks and all tests

unit: $(STAMP) ## the tests alone
	@$(BIN)/python -m pytest -q -n $(WORKERS)

integration: $(STAMP) ## the tests with real proxies, servers and SDKs that have to be installed first
	@COSTLENS_INTEGRATION=1 $(BIN)/python -m pytest -q tests/integration \
	|| { echo "what failed is tried once more: foreign servers may be slow"; \
	     COSTLENS_INTEGRATION=1 $(BIN)/python -m pytest -q --last-failed tests/integration; }

lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

imports: $(STAMP) ## the layers hold
	@$(BIN)/lint-imports --no-cache

schemas: $(STAMP) ## write schemas/ from the document types
	@$(BIN)/costlens-policy schema --write schemas

docs: $(STAMP) ## write the pages of docs/ that are made from the program: commands, exit codes, attributes, documents, api
	@$(BIN)/python -m costlens_policy.cli.reference docs

fixture: $(STAMP) ## 100 calls of $0.18 against $1.00: in sequence, at once, as streams, with a stalled store; ours beside LiteLLM's proxy
	@$(BIN)/python -m benchmarks.fixture

bench: $(STAMP) ## decisions, starts, guarded calls, clients, LiteLLM, the service, ledgers and replay, beside the peers
	@$(BIN)/python -m benchmarks.run

soak: $(STAMP) ## the tests with more and new examples and more kills, then an hour of hostile expressions, one of streams and one of messages
	@HYPOTHESIS_PROFILE=soak COSTLENS_SOAK=1 $(BIN)/python -m pytest -q -n $(WORKERS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@mkdir -p build/fuzz && $(BIN)/python -m tests.fuzz.fuzz_expressions -max_total_time=3600 -max_len=400 build/fuzz tests/fuzz/corpus/expressions
	@mkdir -p build/fuzz-streams && $(BIN)/python -m tests.fuzz.fuzz_streams -max_total_time=3600 build/fuzz-streams tests/fuzz/corpus/streams
	@mkdir -p build/fuzz-messages && $(BIN)/python -m tests.fuzz.fuzz_messages -max_total_time=3600 build/fuzz-messages tests/fuzz/corpus/messages
	@mkdir -p build/fuzz-usages && $(BIN)/python -m tests.fuzz.fuzz_usages -max_total_time=3600 build/fuzz-usages tests/fuzz/corpus/usages

constraints: $(STAMP) ## write constraints.txt from what is installed
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove .venv and everything that tools left behind
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
