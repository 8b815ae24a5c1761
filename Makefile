# Each target makes .venv when it is missing.
PYTHON ?= python3
CORES ?= $(shell nproc)
BIN := .venv/bin

.PHONY: demo demo-cells test test-slow lint docs
.PHONY: bench bench-data bench-training bench-learning-rates bench-conversion bench-report bench-explorer bench-busy
.PHONY: bench-intervals bench-calibration bench-explanation

demo: .venv/installed
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1
	@echo "The report: reports/digits.html"

demo-cells: .venv/installed data/cells/synthetic.json
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile config/cells.yaml
	@echo "The report: reports/cells.html"

data/cells/synthetic.json: | .venv/installed
	$(BIN)/quac synthetic data/cells

test: .venv/installed
	$(BIN)/pytest -n $(CORES) -m "not slow and not gpu"

test-slow: .venv/installed
	$(BIN)/pytest -n $(CORES) -m "slow and not gpu"

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python benchmarks/demo.py

bench-intervals: .venv/installed
	$(BIN)/python benchmarks/intervals.py

bench-data: .venv/installed
	$(BIN)/python benchmarks/data.py

bench-training: .venv/installed
	$(BIN)/python benchmarks/training.py

bench-learning-rates: .venv/installed
	$(BIN)/python benchmarks/learning_rates.py

bench-conversion: .venv/installed
	$(BIN)/python benchmarks/conversion.py

bench-explanation: .venv/installed
	$(BIN)/python benchmarks/explanation.py

bench-report: .venv/installed
	$(BIN)/python benchmarks/report.py

bench-explorer: .venv/installed
	$(BIN)/python benchmarks/explorer.py

bench-busy: .venv/installed
	$(BIN)/python benchmarks/busy_machine.py

bench-calibration: .venv/installed
	$(BIN)/python benchmarks/calibration.py

docs: .venv/installed
	$(BIN)/python -m quac.config.docs > config/README.md
	$(BIN)/snakemake --rulegraph | tred | dot -Tsvg > docs/rules.svg

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@
