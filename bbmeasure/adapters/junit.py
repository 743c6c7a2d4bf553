"""JUnit XML, of most test runners: number, outcome and duration of tests."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bbmeasure import units
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._xml import elements
from bbmeasure.errors import UnitError
from bbmeasure.records import Direction, Kind, Record

#: The outcome for each element within a testcase.
_OUTCOMES = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_DIRECTIONS: Mapping[str, Direction] = {"tests": HIGHER, "failures": LOWER, "errors": LOWER, "skipped": LOWER}


def parse(text: str) -> list[Record]:
    """``junit_tests``, ``junit_failures``, ``junit_errors``, ``junit_skipped``, and ``junit_time``, the total time.

    Counts test cases, as tools disagree on the attributes of a suite; the attributes of the outermost suites are summed
    only for a file without test cases.  There is no standard; the closest are
    https://github.com/testmoapp/junitxml, and
    https://github.com/apache/maven-surefire/blob/master/maven-surefire-plugin/src/site/resources/xsd/surefire-test-report.xsd
    """
    if not text.strip():
        return []
    cases, suites = _Tally(), _Tally()
    outermost = 0
    for element in elements("junit", text, ("testsuites", "testsuite")):
        outermost = 1 if element.name == "testsuites" else outermost
        if element.name == "testcase":
            cases.begin(element.attributes)
        elif element.name == "testsuite" and element.depth <= outermost:
            suites.add_suite(element.attributes)
        elif element.name in _OUTCOMES:
            cases.end(_OUTCOMES[element.name])
    tally = suites if suites.counts["tests"] and not cases.counts["tests"] else cases
    records = Records()
    for what, count in tally.counts.items():
        records.add(f"junit_{what}", count, kind=Kind.COUNT, better=_DIRECTIONS[what])
    records.add("junit_time", math.fsum(tally.times), unit="s", better=LOWER)
    return records.listed


class _Tally:
    """Counts of tests by outcome, and their times."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = dict.fromkeys(_DIRECTIONS, 0)
        self.times: list[float] = []
        self._is_open = False

    def begin(self, attributes: Mapping[str, str]) -> None:
        """Add a test case; the status ``notrun`` of googletest is a skipped one."""
        self.counts["tests"] += 1
        self._is_open = True
        self.times.append(_seconds(attributes))
        if attributes.get("status") == "notrun":
            self.end("skipped")

    def end(self, outcome: str) -> None:
        """Set the outcome of the test case; the first one counts."""
        if self._is_open:
            self.counts[outcome] += 1
            self._is_open = False

    def add_suite(self, attributes: Mapping[str, str]) -> None:
        """Add the counts in the attributes of a suite."""
        for what in self.counts:
            self.counts[what] += _number(attributes.get(what, ""))
        self.times.append(_seconds(attributes))


def _seconds(attributes: Mapping[str, str]) -> float:
    """The time of a test, 0 where there is none; some tools write a comma as thousands separator."""
    return _number(attributes.get("time", "").replace(",", ""))


def _number(text: str) -> float:
    """Parse a non-negative number; 0 where it is invalid."""
    try:
        return max(0.0, units.read_number(text))
    except UnitError:
        return 0.0
