# make run      set up and train the quick-start suite; interrupted and repeated, it goes on
# make test     set up and run every check, as .ci/run does
# make setup    build .venv with everything
# make fix      format, and fix what can be fixed
# make crash-test   kill runs a hundred times at random and at chosen moments, and check what is left
# make soak     ten minutes of a run with a fault every ten seconds
# make docs     write the README's output and docs/cli.md anew

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 /usr/bin/python3 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet

.PHONY: run test check crash-test soak setup tools fix docs clean

run: $(VENV)/.run
	@$(BIN)/altlas run start quickstart --continue

test: check

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python docs/generate.py --check

crash-test: $(VENV)/.dev
	$(BIN)/python -m tests.crash --kills 100

soak: $(VENV)/.dev
	$(BIN)/python -m tests.crash.soak --minutes 10

setup: $(VENV)/.dev

fix: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV)

# The stamps are made last, so that an interrupted set-up is done again.
$(VENV)/.run: pyproject.toml constraints.txt Makefile
	@sh .ci/tools
	@test -n "$(PYTHON)" || { echo "AltLAS needs Python 3.11 or newer: apt-get install python3 python3-venv" >&2; exit 69; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) -c constraints.txt torch
	$(PIP) -c constraints.txt -e '.[learn]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) -c constraints.txt --group dev
	@touch $@
