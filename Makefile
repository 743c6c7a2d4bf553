# Everything a person runs here.  The first command makes the virtual environment; no other set-up is needed.
#
#   make demo            a real master and worker measure this project's own last commits (ARGS=--once: then stop)
#   make test            everything that CI runs
#   make check           the quick part of it, for every edit
#
# `make help` lists the rest.  PYTHON= chooses the interpreter, 3.9 or newer; JOBS= how many processes run tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
READY := $(VENV)/.ready-$(VERSION)
ARGS ?=
T ?=
export VENV PYTHON T
STAGES := sh tests/tools/stages.sh

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-eight test-matrix check lint unit steps e2e attacks faults browser soak docs www release bench clean distclean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# A target installs the extras that it needs, by the end of the stamp's name.
$(READY)-%: setup.cfg pyproject.toml $(wildcard setup.py) tests/tools/make_venv.sh tests/tools/constraints.txt
	@sh tests/tools/make_venv.sh $*

# The whole environment.
$(READY): $(READY)-test,docs
	@touch $@

## make demo [ARGS=--once]   build this project's last commits on a real master and worker, measured
demo: $(READY)-test,docs
	@exec $(BIN)/bbmeasure demo $(ARGS)

## make test                 every test and check (about fifteen minutes on two processors)
## make test T=PATH          one file, folder or test: make test T=tests/unit/test_units.py
test: $(READY)-test,docs
	@exec $(STAGES) $(if $(T),only,all)

## make check                lint and quick unit tests (about a minute); needs no browser and no database
check: $(READY)-lint,unit
	@exec $(STAGES) check

## make lint                 ruff, mypy, import-linter
lint: $(READY)-lint,unit
	@exec $(STAGES) lint

## make unit                 all unit tests; needs InfluxDB and VictoriaMetrics
unit: $(READY)-lint,unit
	@exec $(STAGES) unit

## make steps                tests with Buildbot's own test kit
steps: $(READY)-lint,unit
	@exec $(STAGES) steps

## make e2e                  real masters, workers, databases and web servers
## make attacks              hostile builds, users and clients
## make faults               servers, masters and disks that fail
## make browser              the web page in a browser
e2e attacks faults browser: $(READY)-test,docs
	@exec $(STAGES) $@

## make test-eight           the distribution for Buildbot 0.8 in eight/; PYTHON27= names a Python 2.7
test-eight: $(READY)-test,docs
	@exec $(STAGES) eight

## make test-matrix [ARGS=...] each release of Buildbot on each Python, and a table; ARGS="--brief 4.0 4.2-3.13"
test-matrix: $(READY)-test,docs
	@exec $(STAGES) matrix $(ARGS)

## make soak [SEED=NUMBER]   long faults, fuzzing, attacks with another seed each time; by hand
soak: $(READY)-test,docs
	@exec $(STAGES) soak

## make docs                 the documentation, into docs/_build/html
docs: $(READY)-test,docs
	@exec $(STAGES) docs

## make www                  the web page, from www/ (needs npm)
www:
	@exec $(STAGES) www

## make release              build, check and install the archives of a release, in dist/ (needs npm)
release: $(READY)-test,docs,release
	@exec $(STAGES) release

## make bench [ARGS=...]     this project beside its peers; ARGS=--list lists the benchmarks
bench: $(READY)-test,docs
	@exec $(BIN)/python -m benchmarks $(ARGS)

## make clean                remove what was built
clean:
	rm -rf build dist docs/_build .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf bbmeasure/master/www/static _trial_temp* tests.*/
	find eight -name '*.pyc' -delete
	find bbmeasure steps scripts tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

## make distclean            the same, and the virtual environment and node_modules
distclean: clean
	rm -rf $(VENV) .venv-eight bbmeasure.egg-info eight/bbmeasure_eight.egg-info www/node_modules
