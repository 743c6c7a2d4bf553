"""Outputs of other tools, impossible values, outcomes of tests, and references of SARIF."""

from __future__ import annotations

import json

import pytest

from bbmeasure import adapters
from bbmeasure.errors import ParseError

FOREIGN = {
    "stylelint": [{"source": "a.css", "warnings": [{"line": 1, "rule": "n", "severity": "error"}]}],
    "eslint": [{"filePath": "a.js", "messages": [{"ruleId": "n", "severity": 2}]}],
    "ruff": [{"code": "E501", "filename": "a.py", "location": {"row": 1}}],
    "shellcheck": [{"file": "a.sh", "level": "info", "code": 2086, "line": 1}],
    "pylint": [{"type": "error", "path": "a.py", "symbol": "n", "line": 1}],
    "mypy": {"file": "a.py", "line": 1, "severity": "error", "code": "n", "message": "m"},
    "error": {"error": "no such file"},
    "objects": [{"name": "n", "version": "1.2"}],
    "npm audit": {"auditReportVersion": 2, "vulnerabilities": {}},
}
JSON_LINTERS = ["eslint", "mypy", "pylint", "ruff", "shellcheck", "sarif"]


@pytest.mark.parametrize("document", FOREIGN)
@pytest.mark.parametrize("name", JSON_LINTERS)
def test_json_of_another_tool_is_refused(name, document):
    """Each linter parses its own document, and refuses those of other tools."""
    if document == name:
        assert len(adapters.find(name).issues(json.dumps(FOREIGN[document]))) == 1
        return
    with pytest.raises(ParseError, match="expected"):
        adapters.find(name).issues(json.dumps(FOREIGN[document]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cppcheck", "<results><result name='n'/></results>"),
        ("cppcheck", "<results version='2'><errors><error id='n'/></errors></results>"),
        ("github-action-benchmark", '[{"name": "n", "value": 3}]'),
        ("github-action-benchmark", '[{"name": "n", "unit": "s", "result": 3}]'),
        ("cobertura", '<coverage line-rate="7" branch-rate="0.5"/>'),
        ("cobertura", '<coverage line-rate="-0.1"/>'),
        ("cobertura", '<coverage line-rate="0.5" lines-valid="10" lines-covered="11"/>'),
        ("cobertura", '<coverage line-rate="0.5" branches-valid="-2" branches-covered="-3" branch-rate="0"/>'),
        ("coverage", '{"totals": {"percent_covered": 150, "covered_lines": 1, "num_statements": 2}}'),
        ("coverage", '{"totals": {"percent_covered": 50, "covered_lines": 3, "num_statements": 2}}'),
    ],
)
def test_impossible_documents_are_refused(name, text):
    """A document without what its format requires, or with an impossible coverage, is a ParseError."""
    with pytest.raises(ParseError, match="expected"):
        adapters.find(name).parse(text)


def values(name, text):
    """The values of the records by name and tags."""
    found = adapters.find(name).parse(text if isinstance(text, str) else json.dumps(text))
    return {(record.name, *record.tags.values()) if record.tags else record.name: record.value for record in found}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('line-rate="0.25" branch-rate="NaN"', {"coverage_lines": 0.25}),
        ('line-rate="0,25" branch-rate="1,000"', {"coverage_lines": 0.25, "coverage_branches": 1}),
        ('line-rate="0.25" lines-valid="" lines-covered="3"', {"coverage_lines": 0.25}),
        ('line-rate="n/a" branch-rate="0.5"', {"coverage_branches": 0.5}),
        ('line-rate="NaN" lines-valid="4" lines-covered="1"', {"coverage_lines": 0.25, "coverage_missing_lines": 3}),
    ],
)
def test_an_odd_rate_does_not_lose_the_others(attributes, expected):
    """What is not a number is left out, a decimal comma is parsed, and the other values are kept."""
    assert values("cobertura", f"<coverage {attributes}/>") == expected


def test_negative_measurements_are_left_out():
    """A negative duration is left out, and the other benchmarks are kept."""
    results = [{"command": "bad", "median": -1}, {"command": "good", "median": 2, "times": [2, -3, 4]}]
    assert values("hyperfine", {"results": results}) == {"good": 2}
    (good,) = adapters.find("hyperfine").parse(json.dumps({"results": results}))
    assert good.samples == (2, 4)


def test_hyperfine_uses_the_runs_that_succeeded():
    """Runs with another exit status than 0 are left out, and a command of which all failed has no record."""
    some = {"command": "some", "median": 9, "user": 9, "times": [9, 1, 3], "exit_codes": [1, 0, 0]}
    none = {"command": "none", "median": 9, "user": 9, "times": [9, 9], "exit_codes": [None, 127]}
    good = {"command": "good", "median": 2, "user": 1, "times": [2, 2], "exit_codes": [0, 0]}
    assert values("hyperfine", {"results": [some, none, good]}) == {"some": 2, "good": 2, "good_user": 1}


@pytest.mark.parametrize(
    ("name", "output", "why"),
    [
        ("mypy", "usage: mypy [-h]\nmypy: error: unrecognized arguments: --n\n", "line 2: .*mypy itself failed"),
        ("mypy", "n.py:1: error: INTERNAL ERROR -- Please try using mypy master\n", "line 1: .*mypy itself failed"),
        ("checkstyle", "<checkstyle><file name='n'><exception/></file></checkstyle>", "exception in 'n'"),
        ("pylint", '{"messages": [], "statistics": {"modulesLinted": 0}}', "modulesLinted is 0"),
    ],
)
def test_a_linter_that_failed_or_checked_nothing(name, output, why):
    """It is neither 0 issues nor one."""
    with pytest.raises(ParseError, match=why):
        adapters.find(name).parse(output)


def test_eslint_with_metadata():
    """The results of ``json-with-metadata`` are counted; another object with results is refused."""
    results = [{"filePath": "n.js", "messages": [{"ruleId": "n"}]}]
    assert values("eslint", {"results": results, "metadata": {"rulesMeta": {}}})["eslint"] == 1
    with pytest.raises(ParseError, match="results: expected a list, got an object"):
        adapters.find("eslint").parse(json.dumps({"results": results}))


GOOD = {
    "hyperfine": {"command": "good", "median": 2, "times": [2, 2]},
    "pytest-benchmark": {"fullname": "good", "stats": {"median": 2}},
    "google-benchmark": {"name": "good", "real_time": 2, "cpu_time": 2, "time_unit": "s"},
    "github-action-benchmark": {"name": "good", "unit": "s", "value": 2},
}
ODD = [
    ("hyperfine", {"median": None}),
    ("hyperfine", {"median": "2"}),
    ("hyperfine", {"command": ["odd"]}),
    ("hyperfine", {"parameters": {"n": 3}}),
    ("pytest-benchmark", {"stats": None}),
    ("pytest-benchmark", {"stats": {"median": None}}),
    ("pytest-benchmark", {"stats": {"median": 1, "data": "1"}}),
    ("google-benchmark", {"real_time": None}),
    ("google-benchmark", {"time_unit": "fortnights"}),
    ("github-action-benchmark", {"value": None}),
    ("github-action-benchmark", {"value": "soon"}),
]


@pytest.mark.parametrize(("name", "odd"), ODD)
def test_one_invalid_benchmark_is_left_out(name, odd):
    """The other benchmarks are kept; if there are no others, it is a ParseError."""
    key = "results" if name == "hyperfine" else "benchmarks"
    good = GOOD[name]

    def document(*benchmarks):
        return json.dumps(list(benchmarks) if name.startswith("github") else {key: benchmarks})

    other = {**good, **({"fullname": "odd"} if name == "pytest-benchmark" else {"name": "odd"}), **odd}
    found = values(name, document(other, good, other))
    assert found["good"] == 2
    assert "odd" not in found
    with pytest.raises(ParseError, match="expected"):
        adapters.find(name).parse(document(other))


def test_a_null_among_measurements_is_left_out():
    """JSON writers that have no NaN write null."""
    document = {"results": [{"command": "n", "median": 2, "times": [1, None, 3], "memory_usage_byte": [None]}]}
    (record,) = adapters.find("hyperfine").parse(json.dumps(document))
    assert (record.value, record.samples) == (2, (1, 3))


@pytest.mark.parametrize("odd", [{"num_branches": None}, {"covered_branches": "4"}, {"percent_covered": None}])
def test_one_odd_total_of_coverage_is_left_out(odd):
    """The other totals are kept."""
    totals = {"percent_covered": 50, "num_statements": 4, "covered_lines": 2, "num_branches": 2, "covered_branches": 1}
    whole = values("coverage", {"totals": totals})
    found = values("coverage", {"totals": {**totals, **odd}})
    assert found["coverage_lines"] == 0.5
    assert len(found) < len(whole)
    with pytest.raises(ParseError, match="expected"):
        adapters.find("coverage").parse(json.dumps({"totals": odd}))


def levels(run, **document):
    """The levels of the results of a run of SARIF."""
    text = json.dumps({"version": "2.1.0", "runs": [run], **document})
    return [issue.category for issue in adapters.find("sarif").issues(text)]


RULES = [
    {"id": "N1", "guid": "AB", "defaultConfiguration": {"level": "error"}},
    {"id": "N1/n", "defaultConfiguration": {"level": "note"}},
    {"id": "N2"},
]
EXTENSION = {"name": "more", "rules": [{"id": "M1", "defaultConfiguration": {"level": "Error"}}]}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"ruleIndex": 1}, "note"),
        ({"ruleIndex": 1, "ruleId": "N1"}, "note"),
        ({"ruleIndex": -1, "ruleId": "N1"}, "error"),
        ({"ruleIndex": 99, "ruleId": "N1"}, "error"),
        ({"rule": {"index": 0}}, "error"),
        ({"rule": {"guid": "ab"}}, "error"),
        ({"rule": {"index": 0, "toolComponent": {"index": 0}}}, "error"),
        ({"rule": {"id": "M1", "toolComponent": {"name": "more"}}}, "error"),
        ({"ruleId": "N1/other/deeper"}, "error"),
        ({"ruleId": "N1/n/deeper"}, "note"),
        ({"ruleId": "N3"}, "warning"),
        ({"ruleId": "N1", "level": "Note", "kind": "FAIL"}, "note"),
        ({"ruleId": "N2"}, "note"),
        ({"ruleId": "N2", "provenance": {"invocationIndex": 0}}, "note"),
        ({"ruleId": "N1", "provenance": {"invocationIndex": 7}}, "error"),
    ],
)
def test_sarif_references_to_rules(result, expected):
    """A rule is found by index, GUID and ID, in the driver or an extension, with the overrides of the invocation."""
    override = {"descriptor": {"id": "N2"}, "configuration": {"level": "note"}}
    run = {
        "tool": {"driver": {"rules": RULES}, "extensions": [EXTENSION]},
        "invocations": [{"executionSuccessful": True, "ruleConfigurationOverrides": [override]}],
    }
    assert levels({**run, "results": [result]}) == [expected]


@pytest.mark.parametrize("kind", ["Pass", "NOTAPPLICABLE", "informational", "open", "review"])
def test_sarif_results_that_are_no_failures(kind):
    """A result of another kind than fail is not counted, in any case."""
    assert levels({"results": [{"kind": kind}, {"suppressions": [{"status": "Accepted"}]}]}) == []


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0", "2.0.0-csd.2.beta.2019-01-24", "", None])
def test_other_versions_of_sarif_are_refused(version):
    """SARIF 1.0.0 and the drafts of 2.0.0 are ParseErrors with their version."""
    with pytest.raises(ParseError, match="expected 2.1.0"):
        levels({"results": [{}]}, version=version)


def test_sarif_without_results_is_refused():
    """Runs without a list of results, as of a tool that could not start, are a ParseError."""
    with pytest.raises(ParseError, match="results: expected a list"):
        levels({"tool": {"driver": {}}})
    elsewhere = {"results": [{"location": {"uri": "results.json"}, "itemCount": 3}]}
    with pytest.raises(ParseError, match="results are in files of their own"):
        levels({"results": [], "externalPropertyFileReferences": elsewhere})


@pytest.mark.parametrize(
    ("tool", "unit", "better"),
    [
        ("jmh", "ops/ms", "higher"),
        ("jmh", "ops/us", "higher"),
        ("jmh", "ms/op", "lower"),
        ("cargo", "Melem/s", "higher"),
        ("customSmallerIsBetter", "M rows/s", "higher"),
        ("customSmallerIsBetter", "fps", "higher"),
        ("customSmallerIsBetter", "QPS", "higher"),
        ("customSmallerIsBetter", "retries/ms", "lower"),
        ("jmh", "ops/s", "higher"),
        ("go", "MB/s", "higher"),
        ("go", "MB/sec", "higher"),
        ("customSmallerIsBetter", "iter/sec", "higher"),
        ("customSmallerIsBetter", "errors/s", "lower"),
        ("customBiggerIsBetter", "s", "higher"),
        ("cargo", "ns/iter", "lower"),
        ("unknown", "frames/min", "higher"),
        ("googlecpp", "items/second", "higher"),
    ],
)
def test_a_rate_is_better_higher(tool, unit, better):
    """Work per time is better higher whatever the tool, and the tool has the direction of other units."""
    run = {"tool": tool, "benches": [{"name": "n", "value": 3, "unit": unit}]}
    (record,) = adapters.find("github-action-benchmark").parse(json.dumps({"entries": {"s": [run]}}))
    assert record.better.word == better


def ninja(*steps, base=1_700_000_000_000):
    """A log of steps (start, end, milliseconds from the base to the time of the output)."""
    lines = [f"{start}\t{end}\t{(base + at) * 10**6}\to{n}.o\th{n}" for n, (start, end, at) in enumerate(steps)]
    return "# ninja log v6\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ([(0, 100, 100), (5, 200, 200)], 2),
        ([(0, 100, 100), (5, 200, 60_200)], 1),  # a second build that takes longer
        ([(0, 100, 0), (5, 200, 60_005)], 1),  # the same, with the start of the step recorded
        ([(0, 100, 100), (50, 120, -9_000_000), (120, 200, 200)], 3),  # a copied output keeps its time
        ([(0, 100, 60_100), (0, 90, 120_090), (90, 95, -9_000_000)], 2),
        ([(0, 1000, 5), (990, 1010, 995)], 2),  # coarse clocks
    ],
)
def test_ninja_builds_are_told_apart_by_the_times_of_outputs(steps, count):
    """The last build has the steps whose outputs were written since its start."""
    assert values("ninja", ninja(*steps))["ninja_steps"] == count


def test_ninja_times_in_other_units():
    """Logs of older ninja in seconds, and of Windows in 100 ns since 2000, are parsed."""
    seconds = "# ninja log v5\n0\t900\t1500000001\ta.o\ta\n0\t2500\t1500000063\tb.o\tb\n"
    assert values("ninja", seconds)["ninja_steps"] == 1
    windows = "# ninja log v5\n0\t900\t8000000009000000\ta.o\ta\n0\t2500\t8000000625000000\tb.o\tb\n"
    assert values("ninja", windows)["ninja_steps"] == 1
    unknown = "# ninja log v5\n0\t900\t0\ta.o\ta\n0\t2500\t0\tb.o\tb\n"
    assert values("ninja", unknown)["ninja_steps"] == 2


def test_statuses_of_complete_outputs():
    """The exit statuses with which an output is complete include those of linters that found issues."""
    statuses = {name: adapters.find(name).measured_statuses for name in adapters.names()}
    assert {1, 8} <= statuses["junit"]
    assert statuses["coverage"] == {2}
    assert statuses["pytest-benchmark"] == statuses["ruff"] == {1}
    assert not statuses["hyperfine"] | statuses["ninja"] | statuses["gcc"]
