# Everything runs inside .venv, which `make setup` makes and every other target makes if it is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# glibc gives large freed blocks back to the system at once and faults them in again; on a CPU that can cost
# more than the arithmetic. These two keep the memory (measured: see LOG.md).
KEEP_MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000

.PHONY: setup demo test test-faults check lint types bench study clean

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt $(wildcard src/interlace/ops/cpu/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(KEEP_MEMORY) $(BIN)/interlace demo

# Two workers of one thread each; the first file's tests wait for a process of their own (tests/conftest.py).
test: setup
	$(KEEP_MEMORY) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not faults" \
		--numprocesses 2 --dist loadfile --no-loadscope-reorder

# Kills at every file operation, full disks, clusters that lose a node: all that docs/reliability.md promises.
test-faults: setup
	$(KEEP_MEMORY) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults

lint: setup
	$(BIN)/ruff check src tests benchmarks examples experiments
	$(BIN)/ruff format --check src tests benchmarks examples experiments

types: setup
	$(BIN)/mypy

check: lint types test

bench: setup
	$(KEEP_MEMORY) $(BIN)/python benchmarks/op.py
	$(KEEP_MEMORY) $(BIN)/python benchmarks/forms.py
	$(KEEP_MEMORY) $(BIN)/python benchmarks/network.py --i3d
	$(KEEP_MEMORY) $(BIN)/python benchmarks/memory.py
	$(KEEP_MEMORY) $(BIN)/python benchmarks/scaling.py
	$(KEEP_MEMORY) $(BIN)/python benchmarks/audiovisual.py
	$(KEEP_MEMORY) $(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/pipeline.py stages
	$(BIN)/python benchmarks/tables.py --write README.md

# `make study NAME=quick`, or NAME=... of `python experiments/study.py --list`; goes on where it was.
study: setup
	$(BIN)/python experiments/study.py $(NAME)

clean:
	rm -rf $(VENV) demo runs .pytest_cache .mypy_cache .ruff_cache
