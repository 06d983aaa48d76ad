# Needs make and Python 3.11 or newer. Choose another interpreter with: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)
INPUTS := setup.py pyproject.toml constraints.txt

# Folders here carry short names such as datasets/: keep the working directory off sys.path.
export PYTHONSAFEPATH := 1
# Tests start a hundred processes: let the first compile what the others import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow bench zoo clean

demo: $(VENV)/installed
	$(BIN)/graphnas demo

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal

test-slow: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m "slow and not download and not gpu" --timeout 3600

bench: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py

zoo: $(VENV)/installed
	$(BIN)/graphnas models build --board docs/leaderboard/results

clean:
	rm -rf $(VENV) build dist graphnas.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "graphnas needs Python 3.11 or newer; $(PYTHON) is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first: it is the largest download, and what follows then finds it in place.
$(VENV)/installed: $(INPUTS) | $(BIN)/python
	$(PIP) install "$(TORCH)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install -c constraints.txt -e ".[dev,nasbench201]"
	@touch $@
