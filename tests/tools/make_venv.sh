#!/bin/sh
# Make or refresh the virtual environment $VENV from $PYTHON, with this checkout and its extras $1 installed in it.
#
# make runs this where $VENV/.ready-VERSION-EXTRAS is missing, or older than what is installed by: setup.cfg,
# pyproject.toml, setup.py or constraints.txt.
set -eu

VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}
EXTRAS=${1:-test,docs}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null || fail "no program $PYTHON: Python 3.9 or newer is needed; name it with PYTHON=..."

got=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "$PYTHON does not run"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    fail "$PYTHON is Python $got: 3.9 or newer is needed; name another with PYTHON=..."

# Debian packs venv's second half, ensurepip, apart from Python itself.
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "python$got-venv"
    else
        fail "$PYTHON cannot make virtual environments; on Debian and Ubuntu run: sudo apt-get install python$got-venv"
    fi
fi

# A copied checkout or an upgraded system leaves an environment that does not start, or is of another Python.
here=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
if [ "$here" != "$got" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "Making the virtual environment $VENV with Python $got ..."
    "$PYTHON" -m venv --clear "$VENV"
fi

echo "Installing into $VENV (some minutes the first time) ..."
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --constraint tests/tools/constraints.txt \
    --editable ".[$EXTRAS]"
touch "$VENV/.ready-$got-$EXTRAS"
