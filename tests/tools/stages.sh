#!/bin/sh
# Run the tests and checks in their order: `all`, `quick`, `soak`, or one stage by its name.
#
# The first red stage ends the run; what was run, and how long it took, is said at the end either way.
set -u

VENV=${VENV:-.venv}
BIN=$VENV/bin
report=''
begun=$(date +%s)

finish() {
    printf '\n%sin all %d s\n' "$report" $(($(date +%s) - begun))
    exit "$1"
}

trap 'finish 130' INT TERM

stage() {
    name=$1
    shift
    printf '\n==== %s\n' "$name"
    started=$(date +%s)
    "$@"
    status=$?
    took=$(($(date +%s) - started))
    if [ "$status" = 0 ]; then
        report="$report$(printf '%-24s passed %5d s' "$name" "$took")
"
    else
        report="$report$(printf '%-24s FAILED %5d s (exit status %d)' "$name" "$took" "$status")
"
        finish "$status"
    fi
}

run_pytest() {
    "$BIN/python" -m pytest "$@"
}

# A folder of tests that holds none would pass as well as a good one: pytest's own exit status 5 tells them apart.
folder() {
    name=$1
    shift
    stage "tests/$name" run_pytest "tests/$name" "$@"
}

lint() {
    "$BIN/ruff" check . && "$BIN/ruff" format --check .
}

shell_lint() {
    shellcheck --severity=warning tests/tools/*.sh .ci/run
}

docs() {
    "$BIN/python" -m sphinx -W -n --keep-going -q -b html docs docs/_build/html &&
        echo "docs/_build/html/index.html"
}

page() {
    if [ -z "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ]; then
        npm ci --ignore-scripts --no-audit --no-fund || return
        touch node_modules/.package-lock.json
    fi
    npm run build && npm test
}

www() {
    if ! [ -f www/package.json ]; then
        echo "No web page to build: there is no www/package.json."
    elif ! command -v npm >/dev/null || ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
        echo "The web page is not built: it needs npm and Node.js 20 or newer; the rest works without it."
    else
        (cd www && page)
    fi
}

# What a stage costs decides its place: the quick ones first.
quick() {
    stage ruff lint
    stage mypy "$BIN/mypy"
    stage import-linter "$BIN/lint-imports"
}

case $1 in
quick)
    stage 'Debian packages' sh tests/tools/debian_packages.sh
    quick
    folder unit -m 'not soak and not slow'
    ;;
all)
    # The same examples each time: a commit is not red for what another one left.  `quick` and `soak` look for new ones.
    export CI=1
    stage 'Debian packages' sh tests/tools/debian_packages.sh
    stage www www
    quick
    stage shellcheck shell_lint
    folder unit
    # Buildbot's test kit brings its own reactor's rules: never in one process with pytest-twisted.
    folder steps -p no:twisted
    folder e2e
    folder faults
    folder browser
    stage docs docs
    ;;
soak)
    stage 'Debian packages' sh tests/tools/debian_packages.sh
    stage 'fuzzing' run_pytest tests/unit -m fuzz --hypothesis-profile=soak --timeout=3600
    stage 'atheris' "$BIN/python" -m pip install -qq --disable-pip-version-check --editable '.[soak]'
    stage 'adapters, fuzzed' "$BIN/python" -m tests.fuzz.adapters --seconds "${SECONDS_EACH:-60}"
    stage 'kit and wire, fuzzed' "$BIN/python" -m tests.fuzz.programs --seconds "${SECONDS_EACH:-60}"
    stage 'long tests' run_pytest tests -m soak --timeout=3600 --ignore=tests/steps
    ;;
docs) stage docs docs ;;
www) stage www www ;;
*)
    echo "$0: expected all, quick, soak, docs or www, got $1" >&2
    exit 2
    ;;
esac
finish 0
