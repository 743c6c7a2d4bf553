"""Run the tools and keep what they say: ``python tests/tool_output/record.py [ADAPTER...]``.

The examples are copied into a folder whose name gives nothing away (``/build``; ``--folder`` names another), every
tool runs there, and its output goes to ``ADAPTER/VERSION/CASE.EXT`` beside this script.  ``truncated`` is the first two
thirds of ``many``.  What the recording machine is called is blanked.  README.rst says which tools this needs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUFF = "ruff check --isolated --no-cache --select=E,F,W,B,C4,I,UP,S"
PYLINT = "pylint --rcfile=/dev/null"
MYPY = "mypy --strict --no-color-output --cache-dir=/dev/null --config-file="
ESLINT = "node_modules/.bin/eslint"
PYTEST = "python -m pytest -q -p no:cacheprovider"
CPPCHECK = "cppcheck --quiet --enable=warning,style,performance,portability --xml"
CC_FLAGS = "-Wall -Wextra -c"
SARIF = "-f node_modules/@microsoft/eslint-formatter-sarif/sarif.js"
JAVA = "checkstyle -c checkstyle.xml -f xml"
JEST = "echo '{}' > jest.config.json; node_modules/.bin/jest --silent --reporters=jest-junit --rootDir=."


@dataclass(frozen=True)
class Recipe:
    """How one program's output for one adapter is made.

    ``version`` is a command that prints the version somewhere, ``cases`` a shell command for each case; its standard
    output is kept, or ``output`` where it writes a file.  ``program`` names the folder where it is not the adapter's.
    """

    adapter: str
    version: str
    ext: str
    cases: Mapping[str, str]
    program: str = ""
    output: str = ""


def each(command: str, ext: str, **others: str) -> dict[str, str]:
    """``command`` on zero, one, many and broken files of the type ``ext``; ``{}`` in it stands for them."""
    many = f"many.{ext} others.{ext}" if (HERE / "examples" / f"others.{ext}.txt").exists() else f"many.{ext}"
    files = {"zero": f"zero.{ext}", "one": f"one.{ext}", "many": many, "failed": f"broken.{ext}"}
    return {**{case: command.replace("{}", named) for case, named in files.items()}, **others}


def java(case: str) -> str:
    """The checkstyle command for one class."""
    return f"{JAVA} {case}.java"


def linked(linker: str) -> dict[str, str]:
    """The commands that link programs with undefined and multiply defined symbols."""
    link = f"gcc -fuse-ld={linker} {{}} -o linked 2>&1"
    return {
        "zero": link.replace("{}", "link_zero.c"),
        "failed": link.replace("{}", "link_main.c link_other.c -lnothere"),
        "many": link.replace("{}", "link_main.c link_zero_b.c"),
        "debug": link.replace("{}", "-g link_main.c link_zero_b.c"),
    }


RECIPES = (
    Recipe(
        "pylint", "pylint --version", "json", each(f"{PYLINT} -f json2 {{}}", "py", missing=f"{PYLINT} -f json2 no.py")
    ),
    Recipe("ruff", "ruff --version", "json", each(f"{RUFF} --output-format=json {{}}", "py")),
    Recipe("ruff", "ruff --version", "jsonl", {"many_lines": f"{RUFF} --output-format=json-lines many.py others.py"}),
    Recipe(
        "flake8",
        "flake8 --version",
        "txt",
        each("flake8 --isolated {}", "py", statistics="flake8 --isolated --count --statistics --show-source many.py"),
    ),
    Recipe(
        "mypy",
        "mypy --version",
        "jsonl",
        each(f"{MYPY} --output=json {{}}", "py", one=f"{MYPY} --output=json one_type.py"),
    ),
    Recipe(
        "mypy",
        "mypy --version",
        "txt",
        each(f"{MYPY} {{}}", "py", one=f"{MYPY} one_type.py", pretty=f"{MYPY} --pretty many.py others.py"),
        program="text",
    ),
    Recipe("eslint", f"{ESLINT} --version", "json", each(f"{ESLINT} -f json {{}}", "js")),
    Recipe("shellcheck", "shellcheck --version", "json", each("shellcheck -f json {}", "sh")),
    Recipe(
        "shellcheck",
        "shellcheck --version",
        "json",
        {"many_json1": "shellcheck -f json1 many.sh one.sh", "missing": "shellcheck -f json1 no.sh"},
    ),
    Recipe(
        "cppcheck",
        "cppcheck --version",
        "xml",
        each(f"{CPPCHECK} {{}} 2>&1", "c", all="cppcheck --enable=all --xml many.c others.c 2>&1"),
    ),
    Recipe("cppcheck", "cppcheck --version", "txt", {"no_file": "cppcheck --enable=all --xml no.c 2>&1"}),
    Recipe(
        "checkstyle",
        "checkstyle --version",
        "xml",
        {
            "zero": java("Zero"),
            "one": java("One"),
            "many": f"{JAVA} Many.java One.java",
            "failed": f"{JAVA} Broken.java 2>&1",
        },
    ),
    Recipe(
        "checkstyle",
        "shellcheck --version",
        "xml",
        {"many": "shellcheck -f checkstyle many.sh one.sh zero.sh"},
        program="shellcheck",
    ),
    Recipe(
        "checkstyle",
        "npm ls eslint-formatter-checkstyle",
        "xml",
        {"many": f"{ESLINT} -f checkstyle many.js zero.js", "failed": f"{ESLINT} -f checkstyle broken.js"},
        program="eslint-formatter-checkstyle",
    ),
    Recipe("sarif", "ruff --version", "sarif", each(f"{RUFF} --output-format=sarif {{}}", "py"), program="ruff"),
    Recipe(
        "sarif",
        "npm ls @microsoft/eslint-formatter-sarif",
        "sarif",
        {
            "zero": f"{ESLINT} {SARIF} zero.js",
            "many": f"{ESLINT} {SARIF} many.js",
            "failed": f"{ESLINT} {SARIF} broken.js",
        },
        program="eslint-formatter-sarif",
    ),
    Recipe("gcc", "gcc --version", "txt", each(f"gcc {CC_FLAGS} {{}} 2>&1", "c")),
    Recipe(
        "gcc", "gcc --version", "log", {"coloured": f"gcc -fdiagnostics-color=always {CC_FLAGS} many.c others.c 2>&1"}
    ),
    Recipe("gcc", "ld.bfd --version", "txt", linked("bfd"), program="ld"),
    Recipe("gcc", "ld.gold --version | head -c 60", "txt", linked("gold"), program="gold"),
    Recipe("gcc", "ld.lld --version", "txt", linked("lld"), program="lld"),
    Recipe("gcc", "mold --version", "txt", linked("mold"), program="mold"),
    Recipe("clang", "clang --version", "txt", each(f"clang {CC_FLAGS} {{}} 2>&1", "c")),
    Recipe(
        "clang", "clang --version", "log", {"coloured": f"clang -fcolor-diagnostics {CC_FLAGS} many.c others.c 2>&1"}
    ),
    Recipe(
        "pytest-benchmark",
        'python -c "import pytest_benchmark; print(pytest_benchmark.__version__)"',
        "json",
        {
            case: f"{PYTEST} --benchmark-json=out test_{case}.py {'-k nothing' if case == 'zero' else ''}"
            for case in ("zero", "one", "many", "failed")
        },
        output="out",
    ),
    Recipe(
        "hyperfine",
        "hyperfine --version",
        "json",
        {
            "zero": "hyperfine -N --runs 2 false --export-json out",
            "one": "hyperfine -N --runs 1 true --export-json out",
            "many": "hyperfine -N --runs 5 -n 'é \"q\"' 'sleep 0.01' -n b 'sleep 0.02' 'true c' --export-json out",
            "parameters": "hyperfine -N --runs 2 -n nap -L n 1,2 -L builder x 'sleep 0.0{n}' --export-json out",
            "failed": "hyperfine -N -i --runs 3 false true --export-json out",
        },
        output="out",
    ),
    Recipe(
        "google-benchmark",
        "dpkg-query -W libbenchmark-dev",
        "json",
        {
            case: "g++ -O1 bench.cc -o bench -lbenchmark -lpthread"
            f" && ./bench --benchmark_min_time=0.002 --benchmark_format=json --benchmark_filter='{matching}' {options}"
            for case, matching, options in (
                ("zero", "Nothing", ""),
                ("one", "BM_Fill/64", ""),
                ("many", "Fill|Counters|Repeated|Threads|Complexity", ""),
                ("failed", "Fails|Fill/64", ""),
                ("aggregates", "BM_Repeated", "--benchmark_report_aggregates_only=true"),
            )
        },
    ),
    Recipe(
        "junit",
        "pytest --version",
        "xml",
        {case: f"{PYTEST} --junit-xml=out junit_{case}.py" for case in ("zero", "one", "many", "failed")},
        program="pytest",
        output="out",
    ),
    Recipe(
        "junit",
        "dpkg-query -W libgtest-dev",
        "xml",
        {"failed": "g++ gtest.cc -o gtest -lgtest -lgtest_main -lpthread && ./gtest --gtest_output=xml:out"},
        program="googletest",
        output="out",
    ),
    Recipe("junit", "npm ls jest-junit", "xml", {"failed": JEST}, program="jest-junit", output="junit.xml"),
    Recipe(
        "junit",
        "node --version",
        "xml",
        {"failed": "node --test --test-reporter=junit --test-reporter-destination=out sum.node.mjs"},
        program="node",
        output="out",
    ),
    Recipe(
        "junit",
        "ruff --version",
        "xml",
        {"zero": f"{RUFF} --output-format=junit zero.py", "many": f"{RUFF} --output-format=junit many.py"},
        program="ruff",
    ),
    Recipe(
        "coverage",
        "coverage --version",
        "json",
        {
            **{
                case: f"coverage run --branch {named} && coverage json -o - --include={named}"
                for case, named in (("zero", "cov_zero.py"), ("one", "cov_one.py"), ("many", "cov_many.py"))
            },
            "lines_only": "coverage run cov_many.py && coverage json -o - --pretty-print",
            "failed": "coverage erase; coverage json -o -",
        },
    ),
    Recipe(
        "cobertura",
        "coverage --version",
        "xml",
        {
            **{
                case: f"coverage run --branch {named} && coverage xml -o - --include={named}"
                for case, named in (("zero", "cov_zero.py"), ("one", "cov_one.py"), ("many", "cov_many.py"))
            },
            "failed": "coverage erase; coverage xml -o -",
        },
        program="coverage",
    ),
    Recipe(
        "cobertura",
        "gcovr --version",
        "xml",
        {"many": "gcc --coverage cov.c -o cov && ./cov; gcovr --cobertura --cobertura-pretty -f cov.c"},
        program="gcovr",
    ),
    Recipe(
        "time",
        "dpkg-query -W time",
        "txt",
        {
            "zero": "true",
            "one": "env time -v true 2>&1 >/dev/null",
            "many": "{ env time -v sleep 0.05; env time -v sh -c 'dd if=/dev/zero bs=1M count=2 >/dev/null'; } 2>&1",
            "failed": "env time -v sh -c 'exit 3' 2>&1",
            "signal": "env time -v sh -c 'kill -9 $$' 2>&1",
            "not_found": "env time -v no-such-program 2>&1",
        },
    ),
    Recipe(
        "ninja",
        "ninja --version",
        "log",
        {
            "zero": "rm -f .ninja_log one.o; ninja nothing",
            "one": "rm -f .ninja_log one.o; ninja one",
            "many": "rm -f .ninja_log *.o *.stamp; ninja all",
            "failed": "rm -f .ninja_log *.o; ninja failing",
            "rebuilt": "rm -f .ninja_log *.o *.stamp; ninja all && touch one.c && ninja all",
        },
        output=".ninja_log",
    ),
    Recipe(
        "teamcity",
        "npm ls eslint-formatter-teamcity",
        "txt",
        each(f"{ESLINT} -f teamcity {{}}", "js"),
        program="eslint-formatter-teamcity",
    ),
    Recipe(
        "teamcity",
        "pip show teamcity-messages",
        "txt",
        {"one": f"{PYLINT} --output-format=teamcity.pylint_reporter.TeamCityReporter --reports=y many.py"},
        program="teamcity-messages",
    ),
)

BLANKED = (
    (re.compile(rf"{re.escape(tempfile.gettempdir())}/(cc\w{{6}})"), r"/build/\1"),
    (re.compile(r"/[^\s()'\"]*/node_modules/"), "node_modules/"),
    (re.compile(r'"(node|host_name)": "[^"]*"'), r'"\1": "worker"'),
    (re.compile(r'\bhostname="[^"]*"'), 'hostname="worker"'),
    (re.compile(r'"(release|brand_raw|vendor_id_raw|python_compiler)": "[^"]*"'), r'"\1": "?"'),
    (re.compile(r'"flags": \[[^\]]*\]'), '"flags": []'),
    (re.compile(r'"commit_info": \{[^}]*\}'), '"commit_info": {}'),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "2026-01-02T03:04:05"),
)


def version_of(recipe: Recipe, folder: Path) -> str:
    """The first thing in the version command's output that looks like a version."""
    said = run(recipe.version, folder)
    found = re.search(r"\d+\.\d+(?:\.\d+)?", said.rsplit("@", 1)[-1] if recipe.version.startswith("npm") else said)
    if found is None:
        raise SystemExit(f"{recipe.version}: {said!r}: expected a version")
    return f"{recipe.program}-{found[0]}" if recipe.program else found[0]


def run(command: str, folder: Path) -> str:
    """What ``command`` writes to standard output, whatever its exit status."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "JEST_JUNIT_ADD_FILE_ATTRIBUTE": "true"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode("utf-8", "replace")


def record(recipe: Recipe, folder: Path) -> None:
    """Keep every case of a recipe."""
    kept = HERE / recipe.adapter / version_of(recipe, folder)
    kept.mkdir(parents=True, exist_ok=True)
    for case, command in recipe.cases.items():
        produced = folder / recipe.output if recipe.output else None
        if produced is not None and produced.exists():
            produced.unlink()
        text = run(command, folder)
        if produced is not None:
            text = produced.read_text("utf-8") if produced.exists() else ""
        for pattern, blank in BLANKED:
            text = pattern.sub(blank, text)
        (kept / f"{case}.{recipe.ext}").write_text(text, "utf-8")
        if case == "many":
            (kept / f"truncated.{recipe.ext}").write_text(text[: len(text) * 2 // 3], "utf-8")
        print(f"{kept.relative_to(HERE)}/{case}.{recipe.ext}: {len(text)} characters")


def main() -> None:
    """Record the adapters named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER")
    parser.add_argument("--folder", type=Path, default=Path("/build"), help="where the tools run; it is emptied first")
    parser.add_argument("--node-modules", type=Path, help="the node_modules that has the npm tools")
    chosen = parser.parse_args()
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir()
    for example in (HERE / "examples").glob("*.txt"):
        shutil.copy(example, chosen.folder / example.stem)
    if chosen.node_modules:
        (chosen.folder / "node_modules").symlink_to(chosen.node_modules)
    for recipe in RECIPES:
        if not chosen.adapters or recipe.adapter in chosen.adapters:
            record(recipe, chosen.folder)


if __name__ == "__main__":
    main()
