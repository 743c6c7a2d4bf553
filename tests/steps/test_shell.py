"""MeasureShellCommand: values on stdout, patterns, parsers and arguments."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from buildbot.config import ConfigErrors
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure import Record, patterns
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure_steps import MeasureShellCommand
from tests.steps.case import StepTestCase

MIB = 1024 * 1024


class TestNumbers(StepTestCase):
    """A number or a text on stdout."""

    @defer.inlineCallbacks
    def test_number_with_unit(self) -> Any:
        """One number with a unit is the step's own value, in the base unit, in the context of its build."""
        yield self.run_measuring("1.5 MiB\n", state="m: 1.5 MiB")
        (point,) = self.captured_points()
        assert (point.series, point.value) == ("m", 1.5 * MIB)
        assert point.build == BuildContext("Builder", "", 13, 92, "m", branch="main")
        assert "1.5 MiB" in self.log()

    @defer.inlineCallbacks
    def test_number_takes_the_steps_unit(self) -> Any:
        """A number without a unit has the unit of the step."""
        yield self.run_measuring("12", unit="ms", better="lower", tags={"a": "b"}, state="m: 12 ms")
        (point,) = self.captured_points()
        assert point.value == 0.012
        assert point.tags == {"a": "b"}
        (info,) = self.successResultOf(state_of(self.master).pipeline.storage.series())
        assert (info.kind, info.unit, info.better) == (Kind.DURATION, "s", Direction.LOWER)

    @defer.inlineCallbacks
    def test_conflicting_unit(self) -> Any:
        """A value in seconds is refused where master.cfg says bytes."""
        yield self.run_measuring("12 s", WARNINGS, unit="bytes")
        assert self.captured_points() == []
        assert "got a value in s, expected one in bytes" in self.log()

    @defer.inlineCallbacks
    def test_number_with_colours(self) -> Any:
        """Terminal control sequences around a number are ignored."""
        yield self.run_measuring("\x1b[31;1m42\x1b[0m\n", state="m: 42")

    @defer.inlineCallbacks
    def test_text(self) -> Any:
        """With ``kind="text"`` stdout is the value, even if it is a number."""
        yield self.run_measuring("12.2\n", kind="text", state="m: 12.2")
        assert self.captured_values() == {"m": "12.2"}

    @defer.inlineCallbacks
    def test_text_of_several_lines(self) -> Any:
        """A text is stored unchanged, and shown in one line in summary and log."""
        yield self.run_measuring("gcc\n  12.2\n", kind="text", state="m: gcc 12.2")
        assert self.captured_values() == {"m": "gcc\n  12.2"}
        assert self.log() == "m: gcc 12.2 (text): stored\n"

    @defer.inlineCallbacks
    def test_text_by_a_pattern(self) -> Any:
        """With ``kind="text"`` the match of the only group is the value."""
        yield self.run_measuring("gcc 12.2 (Debian)\n", kind="text", pattern=r"gcc (\S+)", state="m: 12.2")
        assert self.captured_values() == {"m": "12.2"}

    def test_empty_text(self) -> Any:
        """Blank output is not a text."""
        return self.run_measuring(" \n", WARNINGS, "m: empty output: expected a text (warnings)", kind="text")

    @defer.inlineCallbacks
    def test_change_is_shown(self) -> Any:
        """The summary compares with the last earlier build of the builder."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("m", Kind.SIZE, "bytes"))
        storage.write([Point("m", 1, 1000.0, {}, BuildContext("Builder", "", 12, 91, branch="main"))])
        storage.write([Point("m", 2, 5.0, {}, BuildContext("another", "other", 1, 90))])
        yield self.run_measuring("1008 bytes", state="m: 1\u202f008 bytes (+0.8 %)")

    @defer.inlineCallbacks
    def test_series_template(self) -> Any:
        """``series`` is a format for the series of the step's own value."""
        yield self.run_measuring("5", series="{builder}.{step}.{name}")
        assert self.captured_values() == {"Builder.m.m": 5}

    @defer.inlineCallbacks
    def test_kind_in_master_cfg_wins(self) -> Any:
        """A kind given in master.cfg replaces the kind of the series."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("m", Kind.RATIO, builders=("Builder",)))
        yield self.run_measuring("5", kind="count")
        (info,) = self.successResultOf(storage.series())
        assert info.kind is Kind.COUNT

    @defer.inlineCallbacks
    def test_failed_command(self) -> Any:
        """A command that fails is FAILURE; its records are logged, not stored."""
        yield self.run_measuring("##bbmeasure " + '{"name":"x","value":1}\n', FAILURE, exit=1)
        assert self.captured_points() == []
        assert "not stored: the command did not succeed" in self.log()


BAD_OUTPUTS = {
    "no_output": "",
    "two_numbers": "1 2",
    "text": "hello",
    "nan": "nan",
    "inf": "inf",
    "too_large": "1e400",
    "thousands_comma": "1,234",
    "full_width_digits": "\uff11\uff12",
    "ten_megabytes_of_digits": "7" * 10_000_000,
    "binary": "\x00\x01\xff\ufffd",
    "unknown_unit": "5 parsecs",
}


class TestBadOutput(StepTestCase):
    """Output that is not a number is WARNINGS; the log names the actual and the expected output."""


def _bad_output(text: str) -> Callable[[TestBadOutput], Any]:
    @defer.inlineCallbacks
    def test(self: TestBadOutput) -> Any:
        yield self.run_measuring(text, WARNINGS)
        assert self.captured_points() == []
        assert "expected" in self.log()
        if text:
            assert repr(text[:10])[1:8] in self.log()
        assert len(self.log()) < 2_000
        assert state_of(self.master).pipeline.counters["refused"] == 1

    test.__doc__ = f"Output {text[:12]!r} is WARNINGS; the log names what was expected."
    return test


for _name, _text in BAD_OUTPUTS.items():
    setattr(TestBadOutput, f"test_{_name}", _bad_output(_text))


class TestParsing(StepTestCase):
    """``pattern``, ``parser``, and an overridden ``parse()``."""

    @defer.inlineCallbacks
    def test_pattern_with_names(self) -> Any:
        """The last match of each named group is a record."""
        text = "1 tests in 1.0s\n12 tests in 3.5s\n"
        yield self.run_measuring(text, pattern=r"(?P<tests>\d+) tests in (?P<took>\S+)")
        assert self.captured_values() == {"tests": 12, "took": 3.5}

    @defer.inlineCallbacks
    def test_pattern_with_one_group(self) -> Any:
        """A single unnamed group is the step's own value."""
        yield self.run_measuring("size=7 KiB\n", pattern=r"size=(.*)", state="m: 7 KiB")
        assert self.captured_values() == {"m": 7168}

    @defer.inlineCallbacks
    def test_pattern_that_does_not_match(self) -> Any:
        """A pattern without a match is WARNINGS; the log shows the pattern."""
        yield self.run_measuring("nothing", WARNINGS, pattern=r"size=(\d+)")
        assert "expected a matching line" in self.log()

    @defer.inlineCallbacks
    def test_pattern_with_catastrophic_backtracking(self) -> Any:
        """A pattern that exceeds its time limit is WARNINGS; the log names the line."""
        self.patch(patterns, "TIME_LIMIT", 0.05)
        yield self.run_measuring("1\n" + "a" * 60 + "1!\n", WARNINGS, pattern=r"(?:a|a)+(\d)$")
        assert "took longer than 0.05 s at line 2" in self.log()

    @defer.inlineCallbacks
    def test_named_groups_have_the_steps_unit(self) -> Any:
        """A number without a unit in a named group has the unit and direction of the step."""
        pattern = r"took (?P<took>\d+) of (?P<limit>\S+ min)"
        yield self.run_measuring("took 250 of 2 min", pattern=pattern, unit="ms", better="lower")
        assert self.captured_values() == {"took": 0.25, "limit": 120}
        infos = {info.name: info for info in self.successResultOf(state_of(self.master).pipeline.storage.series())}
        assert (infos["took"].kind, infos["took"].better) == (Kind.DURATION, Direction.LOWER)

    @defer.inlineCallbacks
    def test_direction_of_adapters_records(self) -> Any:
        """A record of an adapter without a direction has that of the step."""
        text = '[{"name": "memory", "unit": "count", "value": 3}, {"name": "wait", "unit": "ms", "value": 5}]'
        yield self.run_measuring(text, parser="github-action-benchmark", better="higher")
        infos = {info.name: info for info in self.successResultOf(state_of(self.master).pipeline.storage.series())}
        assert (infos["memory"].better, infos["wait"].better) == (Direction.HIGHER, Direction.LOWER)

    @defer.inlineCallbacks
    def test_callable_parser(self) -> Any:
        """A callable returns the records of the text."""
        yield self.run_measuring("a b c", parser=lambda text: [Record("words", len(text.split()), kind="count")])
        assert self.captured_values() == {"words": 3}

    @defer.inlineCallbacks
    def test_parser_that_raises(self) -> Any:
        """An exception in a parser is WARNINGS, logged and counted; never EXCEPTION."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: [Record("a", 1 / 0)])
        assert "the parser failed: ZeroDivisionError" in self.log()
        assert state_of(self.master).pipeline.counters["parser_errors"] == 1

    @defer.inlineCallbacks
    def test_parser_that_exits(self) -> Any:
        """SystemExit in a parser is an error as any other."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: sys.exit(3))
        assert "the parser failed: RuntimeError: SystemExit(3)" in self.log()

    @defer.inlineCallbacks
    def test_parser_that_returns_no_records(self) -> Any:
        """A parser must return a list of records."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: [1])
        assert "expected a list of Record" in self.log()

    @defer.inlineCallbacks
    def test_subclass(self) -> Any:
        """A subclass needs to override only parse()."""

        class Lines(MeasureShellCommand):
            def parse(self, text: str) -> list[Record]:
                return [Record(self.name, text.count("\n"), kind="count", better="lower")]

        self.setup_step(Lines(name="lines", command=["cat"]))
        self.expect_measuring(["cat"], stdout="a\nb\n")
        self.expect_outcome(result=SUCCESS, state_string="lines: 2")
        yield self.run_step()


class TestConfiguration(StepTestCase):
    """Invalid arguments are configuration errors."""

    def test_name_is_required(self) -> None:
        """A step without a name has no series."""
        self.assertRaisesConfigError(
            "name None: expected the name of the series", lambda: MeasureShellCommand(command=["c"])
        )

    def test_wrong_arguments(self) -> None:
        """Each invalid argument is a configuration error that names the expected value."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"unit": "parsecs"}, "unit 'parsecs': expected one of"),
            ({"kind": "colour"}, "kind 'colour': expected one of count, duration"),
            ({"better": "larger"}, "better 'larger': expected one of lower, higher"),
            ({"tags": {"builder": "x"}}, "tag 'builder'"),
            ({"tags": ["a"]}, "MeasureShellCommand: tags \"['a']\": expected a mapping of strings to strings"),
            ({"tags": "a"}, "expected a mapping"),
            ({"tags": []}, "expected a mapping"),
            ({"unit": 5}, "unit '5': expected a text"),
            ({"resources": "no"}, "resources 'no': expected True or False"),
            ({"pattern": 5}, "pattern 5: "),
            ({"series": "{nope}"}, "{nope} is not one of"),
            ({"pattern": "("}, "pattern '('"),
            ({"pattern": "no group"}, "expected named groups or a single group"),
            ({"pattern": "(a)", "parser": len}, "expected only one of them"),
            ({"parser": "no-such-tool"}, "no-such-tool"),
            ({"nonsense": 1}, "nonsense"),
        ]
        for arguments, message in wrong:
            with pytest.raises(ConfigErrors) as caught:
                MeasureShellCommand(name="m", command=["c"], **arguments)
            assert re.search(re.escape(message), "; ".join(caught.value.errors)), (
                arguments,
                caught.value.errors,
            )
