# Everything here sets itself up in .venv; `make demo` and `make test` are all that a new clone needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
S3 := .venv-s3/.installed
DOCS := .venv-docs/.installed
OLDEST := .venv-oldest/.installed

.PHONY: demo docs test test-oldest fast gputest lint format types mutants simulate killtest nodetest fuzz clean

## A whole sweep of the built-in digits: explore, confirm, test, and the board (about 6 minutes on 2 cores, with the installation).
demo: $(INSTALLED)
	$(BIN)/bissl-ray sweep --dataset digits

## Every test, those that start Ray included (about 45 minutes on 2 cores; the aim is 25).
test: $(INSTALLED)
	-@$(MAKE) --no-print-directory $(S3)  # where it can't be installed, the tests that need it say so and are skipped
	$(BIN)/pytest -n 2 --dist loadfile -m "not ray"
	$(BIN)/pytest -n 2 --dist loadfile -m ray

## The quick ones of those that start no Ray (2 and a half minutes; the aim is 2).
fast: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile -m "not ray and not slow"

## The quick tests and a whole real sweep with the oldest versions that pyproject.toml admits, in an environment of their own
## (8 GB). Outside CI, for the time that it takes.
test-oldest: $(OLDEST)
	.venv-oldest/bin/pytest -n 2 --dist loadfile -m "not ray and not slow"
	.venv-oldest/bin/pytest tests/sweep/test_whole_sweep.py

## The tests that need a CUDA device; WITH=python3.12 takes that Python and what it has installed, and makes no .venv.
gputest: $(if $(WITH),,$(INSTALLED))
	PYTHONPATH="$(CURDIR):$$PYTHONPATH" $(or $(WITH),$(BIN)/python) -m pytest -m gpu $$(grep -rl --include="test_*.py" "^from tests.gpu import" tests)

## The pages as a site in build/site, strictly: a link or an anchor that leads nowhere ends it.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

## Mutation tests of the core, outside CI: COUNT changes drawn by SEED.
COUNT ?= 60
SEED ?= 0
mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutants --count $(COUNT) --seed $(SEED)

## Sweeps in a simulated world, outside CI: COUNT schedules from SEED on; one that fails prints the line that replays it.
simulate: $(INSTALLED)
	$(BIN)/python -m tests.simulation --count $(COUNT) --seed $(SEED)

## Real sweeps whose processes are killed at random moments, outside CI: KILLS of them, half an hour for fifty.
KILLS ?= 50
killtest: $(INSTALLED)
	-@$(MAKE) --no-print-directory $(S3)  # where it can't be installed, the tests that need it say so and are skipped
	$(BIN)/python -m tests.kill --count $(KILLS) --seed $(SEED)

## Real sweeps on a cluster that loses, drains and gains nodes in every step, outside CI: about half an hour on 2 cores.
nodetest: $(INSTALLED)
	$(BIN)/python -m tests.nodes

## Spaces, command lines, storages and checkpoints that were mutated: CASES of them, about half an hour for 10,000; CI runs 250.
CASES ?= 10000
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --count $(CASES) --seed $(SEED)

clean:
	rm -rf .venv .venv-docs .venv-s3 .venv-oldest build dist

$(INSTALLED): constraints.txt
$(OLDEST): tests/oldest/constraints.txt
$(INSTALLED) $(OLDEST): %/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "bissl-ray needs Python 3.11 or newer; found $$($(PYTHON) --version). Say which: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $*
	$*/bin/pip install --quiet --disable-pip-version-check --constraint $(filter %constraints.txt,$^) --editable ".[dev]"
	touch $@

# What makes a site of the pages; no part of the extra `dev`, as only this needs it.
$(DOCS): tests/docs/site/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check --requirement tests/docs/site/requirements.txt
	touch $@

# The S3 of the tests: moto, whose dependencies don't go with ours.
$(S3): tests/s3/requirements.txt
	$(PYTHON) -m venv .venv-s3
	.venv-s3/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/s3/requirements.txt
	.venv-s3/bin/pip check --disable-pip-version-check
	touch $@
