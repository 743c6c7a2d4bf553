"""JUnit XML of many test runners: outcomes, times, and suites without test cases."""

from __future__ import annotations

import pytest

from bbmeasure import adapters
from bbmeasure.errors import ParseError


def values(text):
    """The values of a document by series."""
    return {record.name: record.value for record in adapters.find("junit").parse(text)}


JUNIT = [
    # children and attributes of a test case; failures, errors, skipped
    ("<failure/><error/>", "", (0, 1, 0)),
    ("<system-out/><skipped/><failure/>", "", (1, 0, 0)),
    ("<properties><property/></properties><failure/><failure/>", "", (1, 0, 0)),
    ("<skipped/>", "status='failed'", (1, 0, 0)),
    ("", "status='Disabled'", (0, 0, 1)),
    ("", "status='not-run'", (0, 0, 1)),
    ("", "status='run' result='suppressed'", (0, 0, 1)),
    ("", "result='errored'", (0, 1, 0)),
    ("", "status='passed'", (0, 0, 0)),
    ("<flakyFailure/><rerunFailure/>", "", (0, 0, 0)),
    ("<disabled/>", "", (0, 0, 1)),
    ("<skip/>", "", (0, 0, 1)),
    ("<skipped type='todo'/><failure/>", "", (0, 0, 1)),
    ("", "status='TIMEOUT'", (0, 1, 0)),
    ("", "skipped='True'", (0, 0, 1)),
    ("", "skipped='false'", (0, 0, 0)),
    ("", "executed='False'", (0, 0, 1)),
    ("", "result='Success' success='False'", (1, 0, 0)),
]


@pytest.mark.parametrize(("children", "attributes", "expected"), JUNIT)
def test_the_worst_outcome_of_a_test_counts(children, attributes, expected):
    """The worst of the children and attributes is the outcome of a test case, in any order."""
    found = values(f"<testsuite><testcase {attributes}>{children}</testcase><testcase/></testsuite>")
    assert tuple(found[f"junit_{what}"] for what in ("failures", "errors", "skipped")) == expected
    assert found["junit_tests"] == 2


def test_suites_without_test_cases_count_beside_others():
    """A suite that could not start counts by its attributes, and a suite's own error in addition to its test cases."""
    text = """<testsuites>
<testsuite tests="3" errors="2" skips="1" disabled="1" time="1.5"><error/></testsuite>
<testsuite tests="9" failures="9"><testcase time="2"/><testcase><failure/></testcase><failure/></testsuite>
<testsuite tests="9"><testsuite tests="2"/><testsuite><testcase/></testsuite></testsuite></testsuites>"""
    assert values(text) == {
        "junit_tests": 3 + 2 + 2 + 1,
        "junit_failures": 2,
        "junit_errors": 2,
        "junit_skipped": 2,
        "junit_time": 3.5,
    }


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("61,5", 61.5),
        ("0,123", 0.123),
        ("1,234", 1234),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("12,3456", 12.3456),
        ("2s", 2),
        ("-1", 0),
        ("", 0),
        ("1,2,3", None),
        ("soon", None),
    ],
)
def test_times_with_a_comma(time, seconds):
    """A comma is a decimal comma unless three digits follow; a total with another text is left out."""
    found = values(f'<testsuite><testcase time="{time}"/><testcase time="1"/></testsuite>')
    assert found.get("junit_time") == (None if seconds is None else pytest.approx(seconds + 1))


@pytest.mark.parametrize(
    ("suites", "seconds"),
    [
        ("<testsuite><testcase/><testcase time=''/></testsuite>", None),
        ("<testsuite tests='2'/>", None),
        ("<testsuite tests='0' time='3'/>", None),
        ("<testsuite time='3'><testcase/><testcase/></testsuite>", 3),
        (
            "<testsuite><testcase time='1'/><testcase/></testsuite><testsuite time='2'><testcase/></testsuite>",
            3,
        ),
        ("<testsuite><testcase time='0'/></testsuite>", 0),
    ],
)
def test_the_total_time_without_times_is_left_out(suites, seconds):
    """The time of a suite is used if its test cases have none; without any time there is no total."""
    assert values(f"<testsuites>{suites}</testsuites>").get("junit_time") == seconds


def test_the_document_counts_if_its_suites_do_not():
    """Attributes of the root are used if there are no test cases, and no suite has a count."""
    root = "<testsuites tests='4' failures='1' disabled='2' time='8'>"
    counts = {"junit_tests": 4, "junit_failures": 1, "junit_errors": 0, "junit_skipped": 2, "junit_time": 8}
    for suites in ("", "<testsuite name='n'/>"):
        assert values(f"{root}{suites}</testsuites>") == counts
    assert values(f"{root}<testsuite tests='1' time='2'/></testsuites>")["junit_tests"] == 1


@pytest.mark.parametrize("content", ["<n/>", "<test name='n'/>", "<testsuite><test/></testsuite>", "<suite/>"])
def test_suites_of_another_format_are_refused(content):
    """A document with other elements and without test cases is a ParseError; an empty one has no tests."""
    with pytest.raises(ParseError, match="expected testsuite or testcase"):
        adapters.find("junit").parse(f"<testsuites>{content}</testsuites>")
    empty = "<testsuites><testsuite><properties><property/></properties></testsuite></testsuites>"
    assert values(empty)["junit_tests"] == 0
