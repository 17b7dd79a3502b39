# chainmend. `make demo` and `make test` work on a bare machine with Python 3.11+ and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Programs of the environment (deepspeed, ninja) are found first; nothing is looked up on a hub by the tests.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: setup demo test test-fast bench gpu gpu-quick table cuts study docs lint clean

setup: $(VENV)/.installed

# Where there is no GPU, a CPU build of torch is asked for first: the default build brings gigabytes of CUDA. pip must be able to
# find one; TORCH_INDEX=URL names an index of CPU builds (pytorch.org says which) where the configured ones have none.
$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@if ! command -v nvidia-smi >/dev/null 2>&1; then \
	  $(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints-cpu.txt torch || \
	  echo "make setup: pip found no CPU build of torch and takes the default one; TORCH_INDEX=URL names where CPU builds are"; \
	fi
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: setup
	$(RUN) deepspeed launch/train.py recipe=lora_recovery.yaml

# Both tiers go side by side on the cores; the slow one keeps together what looks at the same runs (tests/conftest.py).
test: test-fast
	$(RUN) OMP_NUM_THREADS=1 python -m pytest -m slow -n 2 --dist loadfile

test-fast: setup
	$(RUN) OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist worksteal

bench: setup
	$(RUN) python -m tests.bench.sweep
	$(RUN) python -m tests.bench.middle
	$(RUN) python -m tests.bench.training embedded full
	$(RUN) python -m tests.bench.training embedded lora
	$(RUN) python -m tests.bench.training qwen3 full
	$(RUN) python -m tests.bench.training qwen3 lora
	$(RUN) python -m tests.bench.distilling
	$(RUN) python -m tests.bench.startup
	$(RUN) python -m tests.bench.scaling
	$(RUN) python -m tests.bench.coverage
	$(RUN) python -m tests.bench.streaming
	$(RUN) python -m tests.bench.decontamination
	$(RUN) python -m tests.bench.preparing
	$(RUN) python -m tests.bench.packing
	$(RUN) python -m tests.bench.logging_steps
	$(RUN) python -m tests.bench.memory_estimate
	$(RUN) python -m tests.bench.knapsack
	$(RUN) python -m tests.bench.comparing

# On a machine with a GPU: tests and benchmarks, written to docs/gpu.md. Nothing is installed: the Python of the environment where
# there is one, else the one that PYTHON names (make gpu PYTHON=python3), with its packages installed or on PYTHONPATH.
GPU_PYTHON = $(if $(filter command line,$(origin PYTHON)),$(PYTHON),$(firstword $(wildcard $(BIN)/python) $(PYTHON)))
ON_GPU = PYTHONPATH="$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" HF_HUB_OFFLINE=1 WANDB_MODE=offline $(GPU_PYTHON) -m tests.bench.gpu

gpu:
	$(ON_GPU)

gpu-quick:
	$(ON_GPU) quick

table: setup
	$(RUN) bash tests/bench/table.sh

# The table and the figure of pruning methods in docs/pruning.md.
cuts: setup
	$(RUN) python -m train.cuts recipe=full_recovery.yaml out=runs/cuts page=docs/pruning.md

# Remedies side by side on the CPUs, ending in runs/study/study.html; the same command resumes it.
study: setup
	$(RUN) python -m train.study recipe=study.yaml out=runs/study

# The site in site/, from README.md, docs/ and the recipe schema. A broken link or a request to another host is an error.
docs: $(VENV)/.docs-installed
	$(RUN) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

lint: setup
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build site *.egg-info
