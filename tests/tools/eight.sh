#!/bin/sh
# The Python 2.7 that tests the distribution in eight/: `find` prints its path, `environment` makes and prints the Python
# of the virtual environment $VENV_EIGHT, with Buildbot 0.8.14 and this checkout's eight/ installed in it.
#
# PYTHON27= names the Python; else it is the first of `python2.7` on the path and pyenv's versions that runs.
set -eu

VENV_EIGHT=${VENV_EIGHT:-.venv-eight}

is_python27() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON27:-}" ]; then
        is_python27 "$PYTHON27" && echo "$PYTHON27" && return
        echo "PYTHON27=$PYTHON27: expected a Python 2.7" >&2
        return 2
    fi
    for python in python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        is_python27 "$python" && command -v "$python" && return
    done
    echo "No Python 2.7 here. pyenv builds one (pyenv install 2.7.18), and Debian 11 has one (apt-get install" >&2
    echo "python2.7); PYTHON27=/path/to/python2.7 names one in another place." >&2
    return 1
}

make_environment() {
    ready="$VENV_EIGHT/.ready"
    if ! is_python27 "$VENV_EIGHT/bin/python" || [ -z "$(find "$ready" -newer eight/setup.cfg 2>/dev/null)" ]; then
        echo "Making the virtual environment $VENV_EIGHT with $1 (some minutes the first time) ..." >&2
        rm -rf "$VENV_EIGHT"
        "$1" -m pip install -q --target "$VENV_EIGHT/virtualenv" 'virtualenv<20.22' >&2 ||
            { echo "$1 has no pip: expected a Python 2.7 with pip, such as pyenv's" >&2; return 2; }
        PYTHONPATH="$VENV_EIGHT/virtualenv" "$1" -m virtualenv -q "$VENV_EIGHT" >&2
        (cd eight && "../$VENV_EIGHT/bin/python" -m pip install -q -e '.[test]') >&2
        touch "$ready"
    fi
    echo "$VENV_EIGHT/bin/python"
}

case ${1:-} in
find) find_python ;;
environment)
    python=$(find_python)
    make_environment "$python"
    ;;
*)
    echo "$0: expected find or environment, got ${1:-nothing}" >&2
    exit 2
    ;;
esac
