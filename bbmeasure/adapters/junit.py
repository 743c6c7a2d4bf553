"""JUnit XML, of most test runners: number, outcome and duration of tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Optional

from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import decimal
from bbmeasure.adapters._xml import Element, elements
from bbmeasure.records import Direction, Kind, Record

#: Tests failed: 1 of pytest, Jest, googletest, Maven and most others, 8 of CTest, 100 of cargo-nextest.
MEASURED_STATUSES = frozenset([1, 8, 100])

_DIRECTIONS: Mapping[str, Direction] = {"tests": HIGHER, "failures": LOWER, "errors": LOWER, "skipped": LOWER}
#: The outcomes from the least to the worst.
_WORSE = ("", "skipped", "failures", "errors")
#: The outcome of each element within a test case; those of a retry that passed (``flakyFailure``) are none.
_CHILDREN = {
    "failure": "failures",
    "error": "errors",
    "skipped": "skipped",
    "disabled": "skipped",
    "ignored": "skipped",
}
#: The outcome of the values of the attributes ``status`` and ``result``, in lower case without blanks, ``-`` and ``_``.
_STATUSES = {
    **dict.fromkeys(["fail", "failed", "failure"], "failures"),
    **dict.fromkeys(["error", "errored", "broken"], "errors"),
    **dict.fromkeys(["skip", "skipped", "disabled", "ignored", "ignore", "pending", "suppressed"], "skipped"),
    **dict.fromkeys(["notrun", "notexecuted", "inconclusive", "excluded"], "skipped"),
}
#: The attributes of a suite that count tests that did not run.
_SKIPPED = ("skipped", "skips", "skip", "ignored", "disabled")


def parse(text: str) -> list[Record]:
    """``junit_tests``, ``junit_failures``, ``junit_errors``, ``junit_skipped``, and ``junit_time``, the total time.

    Counts test cases, as tools disagree on the attributes of a suite, which are used only for a suite without test
    cases.  The worst outcome of a test case counts, of its children and its ``status``.  A failure or error of a suite
    counts beside those of its test cases.  A total with a time that is not a number is left out.  There is no standard;
    the closest are https://github.com/testmoapp/junitxml, and
    https://github.com/apache/maven-surefire/blob/master/maven-surefire-plugin/src/site/resources/xsd/surefire-test-report.xsd
    """
    if not text.strip():
        return []
    root = _read(text)
    counts: dict[str, float] = dict.fromkeys(_DIRECTIONS, 0)
    for what, count in root.outcomes():
        counts[what] += count
    records = Records()
    for what, count in counts.items():
        records.add(f"junit_{what}", count, kind=Kind.COUNT, better=_DIRECTIONS[what])
    records.add("junit_time", root.time(), unit="s", better=LOWER)
    return records.listed


class _Suite:
    """A suite, or the document as a whole, with its test cases by outcome."""

    def __init__(self, element: Optional[Element]) -> None:
        self.attributes: Mapping[str, str] = element.attributes if element else {}
        self.depth = element.depth if element else -1
        self.suites: list[_Suite] = []
        self.cases: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.times: list[str] = []

    @property
    def has_cases(self) -> bool:
        """Whether it or a suite within it has a test case."""
        return bool(self.cases) or any(suite.has_cases for suite in self.suites)

    def outcomes(self) -> Iterator[tuple[str, float]]:
        """Each count of the suite and the suites within it."""
        if self.depth >= 0 and not self.has_cases and "tests" in self.attributes:
            yield from self._attributed()
            return
        for outcome, count in self.cases.items():
            yield "tests", count
            if outcome:
                yield outcome, count
        yield from self.own.items()
        for suite in self.suites:
            yield from suite.outcomes()

    def _attributed(self) -> Iterator[tuple[str, float]]:
        """The counts in the attributes of a suite without test cases, at least its own failures and errors."""
        yield "tests", _count(self.attributes.get("tests", ""))
        yield "skipped", sum(_count(self.attributes.get(key, "")) for key in _SKIPPED)
        for what in ("failures", "errors"):
            yield what, max(_count(self.attributes.get(what, "")), self.own.get(what, 0))

    def time(self) -> float:
        """The total of the test cases, else of the suites without any; NaN where one of them is not a number."""
        return math.fsum(self._all_times())

    def _all_times(self) -> Iterator[float]:
        if self.depth >= 0 and not self.has_cases and _count(self.attributes.get("tests", "")):
            yield _seconds(self.attributes.get("time", ""))
        yield from map(_seconds, self.times)
        for suite in self.suites if self.has_cases or self.depth < 0 else ():
            yield from suite._all_times()


def _read(text: str) -> _Suite:
    """The suites of a document within an outermost one."""
    root = _Suite(None)
    open_suites = [root]
    case: Optional[_Case] = None
    for element in elements("junit", text, ("testsuites", "testsuite")):
        if case is not None and element.depth <= case.depth:
            case.close()
            case = None
        while open_suites[-1].depth >= element.depth:
            open_suites.pop()
        suite = open_suites[-1]
        if element.name == "testcase":
            case = _Case(element, suite, case)
        elif element.name == "testsuite":
            open_suites.append(_Suite(element))
            suite.suites.append(open_suites[-1])
        elif element.name in _CHILDREN and case is not None:
            case.add(_CHILDREN[element.name])
        elif element.name in ("failure", "error"):
            outcome = _CHILDREN[element.name]
            suite.own[outcome] = suite.own.get(outcome, 0) + 1
    if case is not None:
        case.close()
    return root


class _Case:
    """A test case that is being read."""

    def __init__(self, element: Element, suite: _Suite, outer: Optional[_Case]) -> None:
        if outer is not None:
            outer.close()
        self.depth = element.depth
        self._suite = suite
        self._outcome = ""
        suite.times.append(element.attributes.get("time", ""))
        for key in ("status", "result"):
            word = element.attributes.get(key, "").lower().translate({32: None, 45: None, 95: None})
            self.add(_STATUSES.get(word, ""))

    def add(self, outcome: str) -> None:
        """Add an outcome; the worst counts."""
        self._outcome = max(self._outcome, outcome, key=_WORSE.index)

    def close(self) -> None:
        """Count it in its suite."""
        self._suite.cases[self._outcome] = self._suite.cases.get(self._outcome, 0) + 1


def _seconds(text: str) -> float:
    """A time; 0 where it is missing or negative, NaN where it is not a number."""
    if not text.strip():
        return 0.0
    seconds = decimal(text.strip().removesuffix("s"))
    return math.nan if seconds is None else max(0.0, seconds)


def _count(text: str) -> float:
    """A count in an attribute; 0 where it is invalid or negative."""
    return max(0.0, decimal(text) or 0.0)
