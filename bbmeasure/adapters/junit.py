"""JUnit XML, as most test runners write it: how many tests there were, how they ended, how long they took."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bbmeasure import units
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._xml import elements
from bbmeasure.errors import UnitError
from bbmeasure.records import Direction, Kind, Record

#: What an element inside a testcase says of how it ended.
_ENDINGS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_DIRECTIONS: Mapping[str, Direction] = {"tests": HIGHER, "failures": LOWER, "errors": LOWER, "skipped": LOWER}


def parse(text: str) -> list[Record]:
    """``junit_tests``, ``junit_failures``, ``junit_errors``, ``junit_skipped``, and ``junit_time``, their time in all.

    Test cases are counted one by one, since tools disagree on what the attributes of a suite count; only where a file
    has no test case are its outermost suites' attributes summed up.  There is no standard; the nearest to one:
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
        elif element.name in _ENDINGS:
            cases.end(_ENDINGS[element.name])
    tally = suites if suites.counts["tests"] and not cases.counts["tests"] else cases
    kept = Records()
    for what, count in tally.counts.items():
        kept.add(f"junit_{what}", count, kind=Kind.COUNT, better=_DIRECTIONS[what])
    kept.add("junit_time", math.fsum(tally.times), unit="s", better=LOWER)
    return kept.listed


class _Tally:
    """Counts of tests by how they ended, and their times."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = dict.fromkeys(_DIRECTIONS, 0)
        self.times: list[float] = []
        self._is_open = False

    def begin(self, attributes: Mapping[str, str]) -> None:
        """Another test case; one that googletest did not run was skipped."""
        self.counts["tests"] += 1
        self._is_open = True
        self.times.append(_seconds(attributes))
        if attributes.get("status") == "notrun":
            self.end("skipped")

    def end(self, ending: str) -> None:
        """How the test case ended; only the first word counts."""
        if self._is_open:
            self.counts[ending] += 1
            self._is_open = False

    def add_suite(self, attributes: Mapping[str, str]) -> None:
        """The counts that a suite gives of itself."""
        for what in self.counts:
            self.counts[what] += _number(attributes.get(what, ""))
        self.times.append(_seconds(attributes))


def _seconds(attributes: Mapping[str, str]) -> float:
    """The time of a test, 0 where it has none; some tools write thousands with a comma."""
    return _number(attributes.get("time", "").replace(",", ""))


def _number(text: str) -> float:
    """``text`` as a number that is not negative, 0 where it is none."""
    try:
        return max(0.0, units.read_number(text))
    except UnitError:
        return 0.0
