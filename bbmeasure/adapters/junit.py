"""JUnit XML, of most test runners: number, outcome and duration of tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Optional

from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import decimal
from bbmeasure.adapters._xml import read
from bbmeasure.errors import ParseError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.units import excerpt

#: Tests failed: 1 of pytest, Jest, googletest, Maven and most others, 8 of CTest, 100 of cargo-nextest, 101 of
#: ``cargo test``.
MEASURED_STATUSES = frozenset([1, 8, 100, 101])

_DIRECTIONS: Mapping[str, Direction] = {"tests": HIGHER, "failures": LOWER, "errors": LOWER, "skipped": LOWER}
#: The outcomes from the least to the worst.
_WORSE = ("", "skipped", "failures", "errors")
#: The outcome of each element within a test case; those of a retry that passed (``flakyFailure``) are none.
_CHILDREN = {
    "failure": "failures",
    "error": "errors",
    **dict.fromkeys(["skipped", "skip", "disabled", "ignored", "notrun"], "skipped"),
}
#: The outcomes of the attributes ``status`` and ``result``, in lower case without blanks, ``-`` and ``_``.
_STATUSES = {
    **dict.fromkeys(["fail", "failed", "failure", "ko"], "failures"),
    **dict.fromkeys(["error", "errored", "broken", "timeout", "timedout", "crash", "crashed", "aborted"], "errors"),
    **dict.fromkeys(["skip", "skipped", "disabled", "ignored", "ignore", "pending", "suppressed"], "skipped"),
    **dict.fromkeys(["notrun", "notexecuted", "inconclusive", "excluded", "todo"], "skipped"),
}
#: The outcomes of the attributes of a test case.
_OUTCOMES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(["status", "result"], _STATUSES),
    **dict.fromkeys(["skipped", "disabled", "ignored"], {"true": "skipped"}),
    "executed": {"false": "skipped"},
    "success": {"false": "failures"},
}
#: The elements of a suite that are no test cases.
_ABOUT_A_SUITE = frozenset(["testsuites", "properties", "property", "system-out", "system-err"])
#: The attributes of a suite that count tests that did not run.
_SKIPPED = ("skipped", "skips", "skip", "ignored", "disabled")


def parse(text: str) -> list[Record]:
    """``junit_tests``, ``junit_failures``, ``junit_errors``, ``junit_skipped``, and ``junit_time``, the total time.

    Counts test cases, as tools disagree on the attributes of a suite, which are used only for a suite without test
    cases.  The worst outcome of a test case counts, of its children and its ``status``.  A failure or error of a suite
    counts beside those of its test cases.  The time of a suite is used if its test cases have none.  A total without
    any time, or with a time that is not a number, is left out.  There is no standard; the closest are
    https://github.com/testmoapp/junitxml, and
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
    times = root.all_times()
    if times:
        records.add("junit_time", math.fsum(times), unit="s", better=LOWER)
    return records.listed


class _Suite:
    """A suite, or the document as a whole, with its test cases by outcome."""

    def __init__(self, attributes: Mapping[str, str], depth: int = -1, around: Optional[_Suite] = None) -> None:
        self.around = around
        #: Whether it or a suite within it has a test case; or that, or an attribute that counts them.
        self.has_cases = self.is_counted = False
        self.depth = depth
        self.suites: list[_Suite] = []
        self.cases: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.times: list[str] = []
        self.describe(attributes)

    def describe(self, attributes: Mapping[str, str]) -> None:
        """Set the attributes."""
        self.attributes = attributes
        if "tests" in attributes:
            self.note(has_case=False)

    def note(self, *, has_case: bool) -> None:
        """Note a test case, or an attribute that counts them, in the suite and those around it."""
        suite: Optional[_Suite] = self
        while suite is not None and not (suite.has_cases if has_case else suite.is_counted):
            suite.is_counted = True
            suite.has_cases |= has_case
            suite = suite.around

    @property
    def _is_summary(self) -> bool:
        """Whether its attributes are used: it has no test cases, and if it is the document, no suite has a count."""
        is_last = self.depth >= 0 or not any(suite.is_counted for suite in self.suites)
        return "tests" in self.attributes and not self.has_cases and is_last

    def outcomes(self) -> Iterator[tuple[str, float]]:
        """Each count of the suite and the suites within it."""
        if self._is_summary:
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

    def all_times(self) -> list[float]:
        """The times of the test cases and of the suites within it, else its own; NaN for one that is not a number."""
        own = [_seconds(time) for time in [self.attributes.get("time", "")] if time.strip()]
        if self._is_summary:
            return own if _count(self.attributes["tests"]) else []
        times = [_seconds(time) for time in self.times if time.strip()]
        for suite in self.suites:
            times += suite.all_times()
        return times or (own if self.has_cases else [])


def _read(text: str) -> _Suite:
    """The suites of a document within an outermost one."""
    reader = _Reader()
    read("junit", text, ("testsuites", "testsuite"), reader.start)
    return reader.end()


class _Reader:
    """The open suites and test case while a document is read."""

    def __init__(self) -> None:
        self._root = _Suite({})
        self._suites = [self._root]
        self._case: Optional[_Case] = None
        self._unknown = ""

    def start(self, name: str, attributes: Mapping[str, str], depth: int) -> None:
        """Read a start tag."""
        if self._case is not None and (name == "testcase" or depth <= self._case.depth):
            self._case.close()
            self._case = None
        while self._suites[-1].depth >= depth:
            self._suites.pop()
        suite = self._suites[-1]
        if name == "testcase":
            self._case = _Case(attributes, depth, suite)
            if not suite.has_cases:
                suite.note(has_case=True)
        elif name == "testsuite":
            self._suites.append(_Suite(attributes, depth, suite))
            suite.suites.append(self._suites[-1])
        elif depth == 0:
            suite.describe(attributes)
        elif self._case is not None:
            self._case.is_todo |= name == "skipped" and attributes.get("type") == "todo"
            self._case.add(_CHILDREN.get(name, ""))
        elif name in ("failure", "error"):
            suite.own[_CHILDREN[name]] = suite.own.get(_CHILDREN[name], 0) + 1
        elif name not in _ABOUT_A_SUITE:
            self._unknown = self._unknown or name

    def end(self) -> _Suite:
        """The document; ParseError for one whose elements are of another format."""
        if self._case is not None:
            self._case.close()
        if self._unknown and not self._root.is_counted:
            raise ParseError("junit", 0, f"element {excerpt(self._unknown)}: expected testsuite or testcase")
        return self._root


class _Case:
    """A test case that is being read."""

    def __init__(self, attributes: Mapping[str, str], depth: int, suite: _Suite) -> None:
        self.depth = depth
        self._suite = suite
        self._outcome = ""
        #: Whether it may fail, as Node's test runner marks it.
        self.is_todo = False
        suite.times.append(attributes.get("time", ""))
        for key in _OUTCOMES.keys() & attributes:
            word = attributes[key].lower().translate({32: None, 45: None, 95: None})
            self.add(_OUTCOMES[key].get(word, ""))

    def add(self, outcome: str) -> None:
        """Add an outcome; the worst counts."""
        if outcome:
            self._outcome = max(self._outcome, outcome, key=_WORSE.index)

    def close(self) -> None:
        """Count it in its suite."""
        outcome = "skipped" if self.is_todo else self._outcome
        self._suite.cases[outcome] = self._suite.cases.get(outcome, 0) + 1


def _seconds(text: str) -> float:
    """A time; 0 where it is negative, NaN where it is not a number."""
    seconds = decimal(text.strip().removesuffix("s"))
    if seconds is None:
        return math.nan
    return seconds if seconds > 0 else 0.0


def _count(text: str) -> float:
    """A count in an attribute; 0 where it is invalid or negative."""
    return max(0.0, decimal(text) or 0.0)
