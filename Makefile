# Everything a person runs here.  The first command makes the virtual environment; no other set-up is needed.
#
#   make demo            a real master and worker measure this project's own last commits (ARGS=--once: then stop)
#   make test            everything that CI runs
#   make check           the quick part of it, for every edit
#
# `make help` lists the rest.  PYTHON= chooses the interpreter, 3.9 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ARGS ?=
export VENV PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check soak docs www bench clean distclean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(READY): setup.cfg pyproject.toml $(wildcard setup.py) tests/tools/make_venv.sh
	@sh tests/tools/make_venv.sh

## make demo [ARGS=--once]   build this project's last commits on a real master and worker, measured
demo: $(READY)
	@exec $(BIN)/bbmeasure demo $(ARGS)

## make test                 every test and check (at most 15 minutes)
test: $(READY)
	@exec sh tests/tools/stages.sh all

## make check                ruff, mypy, import floors, quick unit tests (about a minute)
check: $(READY)
	@exec sh tests/tools/stages.sh quick

## make soak                 long faults and fuzzing, by hand
soak: $(READY)
	@exec sh tests/tools/stages.sh soak

## make docs                 the documentation, into docs/_build/html
docs: $(READY)
	@exec sh tests/tools/stages.sh docs

## make www                  the web page, from www/ (needs npm)
www:
	@exec sh tests/tools/stages.sh www

## make bench [ARGS=...]     this project beside its peers, as ratios
bench: $(READY)
	@exec $(BIN)/python -m benchmarks $(ARGS)

## make clean                remove what was built; distclean: the virtual environment and node_modules too
clean:
	rm -rf build dist docs/_build .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf bbmeasure/master/www/static _trial_temp* tests.*/
	find bbmeasure steps scripts tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) bbmeasure.egg-info www/node_modules
