#!/bin/sh
# Run tests and checks in their order: `all`, `check`, `soak`, `matrix`, `release`, one stage by its name, or `only` what
# $T names.  `folder NAME OPTION...` runs the tests in tests/NAME and nothing before them, `matrix ARGUMENT...` is
# tests/matrix.py.
#
#
# The first stage that fails ends the run; the summary lists each stage that ran, with its seconds.
# Tests run in $JOBS processes, by default one for each processor; those that start programs in half as many again, and
# those that wait for servers in twice as many.  Their files are in memory unless TMPDIR names a folder or there is too
# little of it: on a disk, tests wait at each commit of a journal and of Buildbot's database.
set -u

# Without bytecode each process of pytest rewrites every test module, and each master compiles bbmeasure.
unset PYTHONDONTWRITEBYTECODE

VENV=${VENV:-.venv}
BIN=$VENV/bin
JOBS=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
STARTING_JOBS=$((JOBS + JOBS / 2))
WAITING_JOBS=$((JOBS * 2))
report=''
checking=''
begun=$(date +%s)
memory=''
# Megabytes that must be free for the files of tests: seven times what they take.
MEMORY_MB=2048

# A failed test's files stay, as pytest names them.
finish() {
    if [ -n "$checking" ]; then
        kill "$checking" 2>/dev/null
        rm -f "$checks"
    fi
    printf '\n%sin all %d s\n' "$report" $(($(date +%s) - begun))
    if [ "$1" = 0 ]; then
        rm -rf "$memory"
    elif [ -n "$memory" ] && ! rmdir "$memory" 2>/dev/null; then
        printf 'the files of the tests: %s\n' "$memory"
    fi
    exit "$1"
}

trap 'finish 130' INT TERM

# Servers of databases run as users of their own, who search the folder and do not list it.
use_memory() {
    free=$(df --output=avail --block-size=M /dev/shm 2>/dev/null | tr -dc '0-9')
    if [ -z "${TMPDIR:-}" ] && [ "${free:-0}" -ge "$MEMORY_MB" ] && memory=$(mktemp -d /dev/shm/bbm.XXXX); then
        chmod 711 "$memory"
        trap 'rmdir "$memory" 2>/dev/null' EXIT
        export TMPDIR="$memory"
    fi
}

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

# The options of pytest for a folder, or for what lies in it, in $2 processes where that is given.
#
# A module runs in one process, which shares masters, servers and archives among its tests.
# Buildbot's test kit and pytest-twisted each want the reactor for themselves: never both in one process.
# Without a reorder modules run in the order of their conftest.py, the longest first.
options() {
    case $1 in
    tests/steps*) echo "-n ${2:-$STARTING_JOBS} -p no:twisted --dist=loadfile --no-loadscope-reorder" ;;
    tests/e2e* | tests/attacks* | tests/faults* | tests/browser* | tests/eight*)
        echo "-n ${2:-$WAITING_JOBS} --dist=loadfile --no-loadscope-reorder"
        ;;
    *) echo "-n ${2:-$STARTING_JOBS} --dist=loadfile --no-loadscope-reorder" ;;
    esac
}

# Exit status 5 of pytest, no tests, fails a folder as any other does.
folder() {
    name=$1
    shift
    # shellcheck disable=SC2046  # several words
    stage "tests/$name" run_pytest "tests/$name" $(options "tests/$name") "$@"
}

# A file, a folder or a node id; a folder in several processes.
only() {
    jobs=0
    [ ! -d "$1" ] || jobs=''
    # shellcheck disable=SC2046
    stage "$1" run_pytest "$1" $(options "$1" $jobs)
}

# Several folders in one process would mix the runners, so that `tests` itself is not one to name.
check_path() {
    case ${1%/} in
    tests | .)
        echo "T=$1: expected a file, a folder below tests/ such as tests/unit, or a test's node id" >&2
        exit 2
        ;;
    esac
}

ruff() {
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
    npm run build && npm run lint && npm test
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

packages() {
    stage 'Debian packages' sh tests/tools/debian_packages.sh "$1"
}

lint() {
    stage ruff ruff
    stage mypy "$BIN/mypy"
    stage import-linter "$BIN/lint-imports"
}

# What uses one processor, or waits for downloads, begins in the background, as the page's tests alone use more.
begin_checks() {
    checks=$(mktemp)
    sh "$0" checks >"$checks" 2>&1 &
    checking=$!
}

# Print the output of these checks when they have ended, and add their stages to the report.
end_checks() {
    wait "$checking"
    status=$?
    checking=''
    cat "$checks"
    report="$report$(grep -E '^.{24} (passed|FAILED) +[0-9]+ s' "$checks")
"
    rm -f "$checks"
    [ "$status" = 0 ] || finish "$status"
}

# Name the Python of Buildbot Eight's environment, which is made if it is missing, for tests/eight.
eight_python() {
    stage 'Buildbot Eight' sh tests/tools/eight.sh environment
    BBMEASURE_EIGHT_PYTHON=$(pwd)/$(sh tests/tools/eight.sh environment)
    export BBMEASURE_EIGHT_PYTHON
}

# The distribution for Buildbot Eight, on the Python 2.7 of tests/tools/eight.sh: `required`, or `optional`.
eight() {
    if ! sh tests/tools/eight.sh find >/dev/null; then
        report="$report$(printf '%-24s NOT RUN: no Python 2.7 was found' tests/eight)
"
        [ "$1" = optional ] || finish 1
        return
    fi
    eight_python
    BBMEASURE_VECTORS=$(mktemp)
    export BBMEASURE_VECTORS
    stage 'vectors' "$BIN/python" -m tests.eight.vectors "$BBMEASURE_VECTORS"
    stage 'eight/tests, Python 2.7' "$BBMEASURE_EIGHT_PYTHON" -m pytest -q -c eight/setup.cfg eight/tests
    rm -f "$BBMEASURE_VECTORS"
    folder eight
}

# The archives of a release, and the tests of archives with them.
release() {
    rm -rf build dist
    stage archives env BBMEASURE_PAGE=require "$BIN/python" -m build
    stage twine "$BIN/python" -m twine check --strict dist/*
    BBMEASURE_DIST=$(pwd)/dist
    export BBMEASURE_DIST
    stage content run_pytest tests/unit/test_packaging.py
    stage installation run_pytest tests/e2e/test_release.py
    ls -l dist
}

[ "$1" = soak ] || use_memory
case $1 in
check)
    packages check
    lint
    folder unit -m 'not soak and not slow and not server' --hypothesis-profile=quick
    ;;
all)
    # The same examples each time: a commit does not fail for what another one left.  `check` and `soak` look for new
    # ones.
    export CI=1
    packages all
    begin_checks
    stage www www
    end_checks
    for name in unit steps e2e; do
        folder "$name"
    done
    # together, as each has modules for a few processes only
    # shellcheck disable=SC2046
    stage 'attacks and faults' run_pytest tests/attacks tests/faults $(options tests/attacks)
    folder browser
    eight optional
    ;;
checks)
    lint
    stage shellcheck shell_lint
    stage docs docs
    ! sh tests/tools/eight.sh find >/dev/null 2>&1 || stage 'environment of Eight' sh tests/tools/eight.sh environment
    ;;
unit)
    packages unit
    folder unit
    ;;
steps) folder steps ;;
folder)
    shift
    folder "$@"
    ;;
matrix)
    shift
    packages all
    stage www www
    stage 'matrix' "$BIN/python" -m tests.matrix "$@"
    ;;
e2e | attacks | faults | browser)
    packages all
    stage www www
    folder "$1"
    ;;
eight)
    packages all
    stage www www
    eight required
    ;;
only)
    check_path "$T"
    case $T in
    tests/unit*) packages unit ;;
    tests/steps*) ;;
    tests/eight*) packages all && stage www www && eight_python ;;
    *) packages all && stage www www ;;
    esac
    only "$T"
    ;;
soak)
    packages soak
    stage 'fuzzing' run_pytest tests/unit -m fuzz --hypothesis-profile=soak --timeout=3600
    stage 'atheris' "$BIN/python" -m pip install -qq --disable-pip-version-check --editable '.[soak]'
    stage 'adapters, fuzzed' "$BIN/python" -m tests.fuzz.adapters --seconds "${SECONDS_EACH:-60}"
    stage 'kit and wire, fuzzed' "$BIN/python" -m tests.fuzz.programs --seconds "${SECONDS_EACH:-60}"
    stage 'long tests' run_pytest tests -m soak --timeout=3600 --ignore=tests/steps
    # Each run has a seed of its own, which pytest prints; SEED= repeats one.
    export BBMEASURE_ATTACK_SEED="${SEED:-$(date +%s)}"
    stage "attacks, seed $BBMEASURE_ATTACK_SEED" run_pytest tests/attacks --timeout=3600
    ;;
lint) lint ;;
docs) stage docs docs ;;
release) release ;;
www) stage www www ;;
*)
    echo "$0: expected all, check, lint, unit, steps, e2e, attacks, faults, browser, eight, matrix, only, soak, docs," \
        "release or www, got $1" >&2
    exit 2
    ;;
esac
finish 0
