PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS ?=

.PHONY: tour test fuzz bench book clean

tour: $(VENV)/.toured
	$(BIN)/python examples/tour.py

# One environment for everything; PEERS=1 adds torch and jax, with which the tests against them run.
test: $(VENV)/.tested $(if $(PEERS),$(VENV)/.peers)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 tests

# The generators of cases at the seams, for FUZZ_MINUTES (10 unless said); what is wrong is saved under tests/found.
fuzz: $(VENV)/.tested
	cd tests && ../$(BIN)/python -m fuzz

bench: $(VENV)/.tested $(VENV)/.peers
	$(BIN)/python bench/run.py

# The worked problems as static HTML: every answer is computed and verified while they are built.
book: $(VENV)/.tested
	$(BIN)/mkdocs build --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e .
	touch $@

$(VENV)/.toured: $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[digits]'
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[test]'
	touch $@

$(VENV)/.peers: $(VENV)/.tested
	$(BIN)/python -m pip install -q torch==2.13.0
	$(BIN)/python -m pip install -q 'jax>=0.4.30' 'autograd>=1.7' micrograd
	touch $@

clean:
	rm -rf $(VENV)
