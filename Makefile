# Needs make, Python 3.11 or newer and a package index, and nothing else. `make help` lists the targets.
# PYTHON=/path/to/python chooses the interpreter; without it the first that fits is taken.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt --editable

# A stamp is named after what was installed: another pyproject.toml or constraints.txt asks for another stamp.
PINS := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
READY := $(VENV)/.ready-$(PINS)
READY_DEV := $(VENV)/.ready-dev-$(PINS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format docs bench constraints docker clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## Set up and play the demo: offline, with emulators of HubSpot and Google
	@$(BIN)/leadup demo

test: lint ## Set up, then check format, lint, types and imports, and run the tests
	$(BIN)/pytest -n logical --dist worksteal -rs

test-slow: $(READY_DEV) ## Run the slow tests: long simulations, fresh installations, containers
	$(BIN)/pytest -n logical --dist worksteal -rs -m slow

lint: $(READY_DEV) ## Check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY_DEV) ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(READY_DEV) ## Write the reference pages and the rules' schema, which are made from the code
	$(BIN)/python -m leadup.cli.reference docs/reference
	$(BIN)/leadup rules schema --to rules/schema/rules.schema.json

bench: $(READY_DEV) ## Run the benchmarks; each prints ratios against a baseline of the same run
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

constraints: ## Resolve all dependencies anew and pin them in constraints.txt
	$(MAKE) clean
	$(MAKE) $(VENV)/.created
	$(PIP) install --quiet --editable '.[all,dev]'
	{ grep '^#' constraints.txt; $(PIP) freeze --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

docker: ## Build the image `leadup`
	docker build --tag leadup .

clean: ## Remove what make made: the environment, caches and built packages
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src connectors tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(READY): | $(VENV)/.created
	@echo "Installing leadup and its libraries into $(VENV); this takes about a minute, once."
	@$(INSTALL) '.[all]'
	@touch $@

$(READY_DEV): | $(VENV)/.created
	@echo "Installing leadup, its libraries and the test tools into $(VENV); this takes about a minute, once."
	@$(INSTALL) '.[all,dev]'
	@touch $@ $(READY)

# A name on the PATH proves little (version managers put shims there), so each candidate is run.
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python)
$(VENV)/.created:
	@for python in $(CANDIDATES); do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv $(VENV) && touch $@; exit; \
	  fi; \
	done; \
	echo "leadup needs Python 3.11 or newer with its venv module; looked for: $(CANDIDATES)." >&2; \
	echo "  What to do: install Python 3.11 (on Debian also python3.11-venv), or say where it is: make PYTHON=/path/to/python3.11" >&2; \
	exit 1
