"""Recorded outputs yield the expected records."""

from __future__ import annotations

import json
import re

import pytest

from bbmeasure import adapters
from bbmeasure.adapters import lint
from tests.tool_output import cases

CASES = cases.discover()
#: Where this machine, or whoever recorded, could show through.
PATHS = re.compile(r"/(?:work|root|home|tmp|opt|Users)/")


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_recorded_output_yields_the_expected_records(case):
    """The records of a recorded output, or the line of its error, are as expected."""
    assert cases.outcome(case.adapter, case.text) == json.loads(case.expected.read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_line_ends_of_windows(case):
    """Lines that end with CRLF have the same records, or an error in the same line."""
    text = case.text.replace("\r\n", "\n")
    assert cases.outcome(case.adapter, text.replace("\n", "\r\n")) == cases.outcome(case.adapter, text)


@pytest.mark.parametrize("name", adapters.names())
def test_every_adapter_has_its_five_cases(name):
    """Each adapter has a recorded output with none, one and many items, of a failure, and a truncated one."""
    assert {"zero", "one", "many", "failed", "truncated"} <= {case.name for case in cases.discover(name)}


@pytest.mark.parametrize("name", adapters.names())
def test_the_case_many_has_more_records(name):
    """The case ``many`` of each adapter has more or larger records than the case ``zero``."""

    def total(case):
        return sum(record["value"] for record in json.loads(case.expected.read_text("utf-8"))["records"])

    by_name = {case.name: case for case in cases.discover(name) if "records" in case.expected.read_text("utf-8")}
    assert total(by_name["many"]) > 0
    assert total(by_name["many"]) != total(by_name["zero"])


@pytest.mark.parametrize("name", adapters.linters())
def test_parse_of_a_linter_counts_its_issues(name):
    """``parse`` of a linter returns the records of its issues, and none for an empty output."""
    for case in cases.discover(name):
        if "error" not in json.loads(case.expected.read_text("utf-8")):
            adapter = adapters.find(name)
            issues = adapter.issues(case.text)
            expected = lint.records(name, issues, categories=adapter.categories) if case.text.strip() else []
            assert adapter.parse(case.text) == expected
            assert expected == [] or expected[0].value == len(issues)


def test_no_expectation_is_left_without_its_output():
    """Every expectation has an output beside it."""
    assert {case.expected for case in CASES} == set(cases.FOLDER.glob("*/*/*.expected.json"))


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_no_recorded_output_contains_local_paths(case):
    """No recorded output contains a path of the machine where it was recorded."""
    assert PATHS.findall(case.text) == []
