# Two commands set up everything: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LEUKOSCOPE := $(BIN)/leukoscope

.DEFAULT_GOAL := help
.PHONY: help venv demo studies release-model test test-cluster check-bare docs bench bench-peers chaos fuzz load archive constraints clean

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

venv: $(VENV)/installed  ## Make the environment, pinned by constraints.txt.

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "leukoscope needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: venv  ## The whole job on phantom cells, from pictures to report (8 minutes).
	rm -rf demo
	$(LEUKOSCOPE) phantom demo/cells --subjects 40 --cells 800
	$(LEUKOSCOPE) manifest demo/cells -o demo/cells.csv
	$(LEUKOSCOPE) prepare demo/cells.csv -o demo/store --size 64
	$(LEUKOSCOPE) compare demo/store -o demo/compare --recipe demo
	$(LEUKOSCOPE) report demo/compare

STUDIES := leakage people batch-size learning-rate validation-gap depth gradient-flow

studies: venv  ## The quick form of every study that needs no candidates, on phantom cells (13 minutes).
	rm -rf build/studies
	$(LEUKOSCOPE) phantom build/studies/cells --subjects 40 --cells 800
	$(LEUKOSCOPE) manifest build/studies/cells -o build/studies/cells.csv
	$(LEUKOSCOPE) prepare build/studies/cells.csv -o build/studies/store --size 64
	for study in $(STUDIES); do $(LEUKOSCOPE) study $$study build/studies/store -o build/studies/$$study --quick || exit 1; done

RELEASE := build/release

release-model: venv  ## The model for new people: folds under recipe modern, of CELLS=<pictures> (an hour).
	@test -e "$(CELLS)" || { echo 'whose cells? make release-model CELLS=<folder of labelled pictures>'; exit 2; }
	$(LEUKOSCOPE) manifest "$(CELLS)" -o $(RELEASE)/asked.csv
	# After an interruption the store is kept; prepare refuses to put other cells in its place.
	cmp -s $(RELEASE)/asked.csv $(RELEASE)/cells.csv || { $(LEUKOSCOPE) prepare $(RELEASE)/asked.csv --allow-outside -o $(RELEASE)/store --size 64 && cp $(RELEASE)/asked.csv $(RELEASE)/cells.csv; }
	$(LEUKOSCOPE) compare $(RELEASE)/store -o $(RELEASE)/compare --models resnet18 --recipe modern --folds 5
	$(LEUKOSCOPE) report $(RELEASE)/compare
	rm -rf $(RELEASE)/bundle
	$(LEUKOSCOPE) export $(RELEASE)/compare -o $(RELEASE)/bundle

test: venv  ## Style, types, directions between rooms, behaviour (10 minutes).
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive src --configfile pyproject.toml
	$(BIN)/python -m pip check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-cluster: venv  ## Runs and archives on a Ray cluster of this machine, nodes of which are killed (2 minutes).
	OMP_NUM_THREADS=1 $(BIN)/pytest -m cluster tests/studies/test_spread.py tests/inference/test_archive.py

docs: venv  ## Build the documentation site in build/docs.
	# The variable keeps the theme from advertising its successor.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'documentation: build/docs/index.html'

BARE := build/bare

check-bare: venv  ## Predict where torch is not installed: the same calls, byte for byte (2 minutes).
	rm -rf $(BARE) build/lib
	$(PYTHON) -m venv $(BARE)/venv
	$(BARE)/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-predict.txt
	$(BARE)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps .
	$(BARE)/venv/bin/python -c 'import torch' 2>&1 | grep "No module named 'torch'"
	$(LEUKOSCOPE) phantom $(BARE)/cells --subjects 12 --cells 60
	$(LEUKOSCOPE) manifest $(BARE)/cells -o $(BARE)/cells.csv
	$(LEUKOSCOPE) prepare $(BARE)/cells.csv -o $(BARE)/store --size 32
	$(LEUKOSCOPE) train $(BARE)/store -o $(BARE)/run --set epochs=1 --set batch_size=8
	$(LEUKOSCOPE) export $(BARE)/run -o $(BARE)/bundle
	$(LEUKOSCOPE) predict $(BARE)/bundle $(BARE)/cells.csv -o $(BARE)/whole.csv --engine fp32
	$(BARE)/venv/bin/leukoscope predict $(BARE)/bundle $(BARE)/cells.csv -o $(BARE)/bare.csv --engine fp32
	cmp $(BARE)/whole.csv $(BARE)/bare.csv

bench: venv  ## Measure preparation, loading and training; write benchmarks/results/.
	for claim in benchmarks/bench_*.py; do $(BIN)/python $$claim || exit 1; done

bench-peers: .venv-peers/installed  ## Train and predict beside the usual tools, in an environment of their own (hours).
	for claim in check_torchvision peers_prediction peers_training; do .venv-peers/bin/python benchmarks/$$claim.py || exit 1; done

.venv-peers/installed: benchmarks/requirements-peers.txt pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $< -e .
	touch $@

chaos: venv  ## Kill training, preparing and comparing at 50 moments, and go on (10 minutes).
	$(BIN)/python reliability/chaos.py 50

fuzz: venv  ## Read 10,000 damaged files of every kind; any table, and whatever may be asked of the API (30 minutes).
	$(BIN)/python reliability/fuzz.py 10000
	$(BIN)/pytest --hypothesis-profile=long tests/cells/test_any_table.py tests/serving/test_openapi.py

LOAD := build/load
ARCHIVE := build/archive

load: $(LOAD)/bundle/bundle.json  ## 200 clients at once for 5 minutes, beside predict.
	$(BIN)/python reliability/load.py $(LOAD)/bundle $(LOAD)/cells

archive: $(ARCHIVE)/bundle/bundle.json  ## 100,000 cells through an object store and a cluster, a node of which is killed (20 minutes).
	$(BIN)/python reliability/archive.py $(ARCHIVE)/bundle $(ARCHIVE)/cells

$(LOAD)/bundle/bundle.json: SIZE := 224
$(ARCHIVE)/bundle/bundle.json: SIZE := 64

# ResNet-18, trained on enough phantom cells that its integers call as it does.
$(LOAD)/bundle/bundle.json $(ARCHIVE)/bundle/bundle.json: build/%/bundle/bundle.json: $(VENV)/installed
	rm -rf build/$*
	$(LEUKOSCOPE) phantom build/$*/cells --subjects 20 --cells 2500
	$(LEUKOSCOPE) manifest build/$*/cells -o build/$*/cells.csv
	$(LEUKOSCOPE) prepare build/$*/cells.csv -o build/$*/store --size $(SIZE) --split lab
	$(LEUKOSCOPE) train build/$*/store -o build/$*/run --recipe demo --set epochs=6 --set schedule=cosine
	$(LEUKOSCOPE) export build/$*/run -o build/$*/bundle

constraints:  ## Pin today's versions anew.
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet torch==2.13.0 -e '.[dev]'
	(sed -n 1p constraints.txt; build/constraints/bin/python -m pip list --format=freeze --exclude leukoscope --exclude pip --exclude setuptools | sed 's/+cpu//') > constraints.new
	mv constraints.new constraints.txt

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) .venv-peers build demo
