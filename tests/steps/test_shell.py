"""MeasureShellCommand in Buildbot's own kit for steps."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Callable
from typing import Any

import pytest
from buildbot.config import ConfigErrors
from buildbot.process.properties import Interpolate
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.steps import ExpectStat, ExpectUploadFile, TestBuildStepMixin
from buildbot.test.util.config import ConfigErrorsMixin
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure import Record, patterns
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.testing import BrokenStorage, MeasuringStepMixin, sidecar_lines
from bbmeasure.testing.kit import _writer
from bbmeasure_steps import MeasureShellCommand, remotefiles
from bbmeasure_steps.base import LARGEST_OUTPUT

MIB = 1024 * 1024


class StepTestCase(MeasuringStepMixin, TestBuildStepMixin, TestReactorMixin, ConfigErrorsMixin, unittest.TestCase):
    """What the tests of steps share."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        yield self.setup_test_build_step()

    def run_measuring(
        self, stdout: str = "", result: int = SUCCESS, state: str | None = None, *, exit: int = 0, **arguments: Any
    ) -> defer.Deferred[None]:
        """Run one MeasureShellCommand called ``m`` whose command prints ``stdout``."""
        sidecar, more = arguments.pop("sidecar", None), arguments.pop("more", ())
        self.setup_step(MeasureShellCommand(name="m", command=["c"], **arguments))
        self.expect_measuring(["c"], stdout=stdout, exit=exit, sidecar=sidecar, more=more)
        self.expect_outcome(result=result, state_string=state)
        return self.run_step()

    def log(self, name: str = "measurements") -> str:
        """The text of a log of the step."""
        return str(self.get_nth_step(0).logs[name].stdout)


class TestNumbers(StepTestCase):
    """A number on stdout."""

    @defer.inlineCallbacks
    def test_number_with_unit(self) -> Any:
        """One number with a unit is the step's own value, in the base unit, with the master's word for the build."""
        yield self.run_measuring("1.5 MiB\n", state="m: 1.5 MiB")
        (point,) = self.captured_points()
        assert (point.series, point.value) == ("m", 1.5 * MIB)
        assert point.build == BuildContext("Builder", "", 13, 92, "m")
        assert "1.5 MiB" in self.log()

    @defer.inlineCallbacks
    def test_number_takes_the_steps_unit(self) -> Any:
        """A bare number is in the unit that master.cfg gives."""
        yield self.run_measuring("12", unit="ms", better="lower", tags={"a": "b"}, state="m: 12 ms")
        (point,) = self.captured_points()
        assert point.value == 0.012
        assert point.tags == {"a": "b"}
        (info,) = self.successResultOf(state_of(self.master).pipeline.storage.series())
        assert (info.kind, info.unit, info.better) == (Kind.DURATION, "s", Direction.LOWER)

    @defer.inlineCallbacks
    def test_unit_that_disagrees(self) -> Any:
        """A value in seconds is refused where master.cfg says bytes."""
        yield self.run_measuring("12 s", WARNINGS, unit="bytes")
        assert self.captured_points() == []
        assert "got a value in s, expected one in bytes" in self.log()

    @defer.inlineCallbacks
    def test_colours_are_no_matter(self) -> Any:
        """A number in colours is a number."""
        yield self.run_measuring("\x1b[31;1m42\x1b[0m\n", state="m: 42")

    @defer.inlineCallbacks
    def test_text(self) -> Any:
        """With ``kind="text"`` stdout is the value, also where it looks like a number."""
        yield self.run_measuring("12.2\n", kind="text", state="m: 12.2")
        assert self.captured_values() == {"m": "12.2"}

    @defer.inlineCallbacks
    def test_text_of_several_lines(self) -> Any:
        """A text is kept as it is, and one line of summary and log."""
        yield self.run_measuring("gcc\n  12.2\n", kind="text", state="m: gcc 12.2")
        assert self.captured_values() == {"m": "gcc\n  12.2"}
        assert self.log() == "m: gcc 12.2 (text): kept\n"

    @defer.inlineCallbacks
    def test_text_by_a_pattern(self) -> Any:
        """With ``kind="text"`` what the pattern's only group matches is the value."""
        yield self.run_measuring("gcc 12.2 (Debian)\n", kind="text", pattern=r"gcc (\S+)", state="m: 12.2")
        assert self.captured_values() == {"m": "12.2"}

    def test_no_text(self) -> Any:
        """No output is no text."""
        return self.run_measuring(" \n", WARNINGS, "m: nothing printed: expected a text (warnings)", kind="text")

    @defer.inlineCallbacks
    def test_change_is_shown(self) -> Any:
        """The summary compares with the last earlier build of the builder."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("m", Kind.SIZE, "bytes"))
        storage.write([Point("m", 1, 1000.0, {}, BuildContext("Builder", "other", 12, 91))])
        storage.write([Point("m", 2, 5.0, {}, BuildContext("another", "other", 1, 90))])
        yield self.run_measuring("1008 bytes", state="m: 1\u202f008 bytes (+0.8 %)")

    @defer.inlineCallbacks
    def test_series_template(self) -> Any:
        """``series`` names the step's own value; a record that brings a name keeps it."""
        yield self.run_measuring("5", series="{builder}.{step}.{name}")
        assert self.captured_values() == {"Builder.m.m": 5}

    @defer.inlineCallbacks
    def test_kind_in_master_cfg_wins(self) -> Any:
        """A kind given in master.cfg wins over what the series had."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("m", Kind.RATIO))
        yield self.run_measuring("5", kind="count")
        (info,) = self.successResultOf(storage.series())
        assert info.kind is Kind.COUNT

    @defer.inlineCallbacks
    def test_failed_command(self) -> Any:
        """A command that fails is FAILURE; its value is logged, not kept."""
        yield self.run_measuring("##bbmeasure " + '{"name":"x","value":1}\n', FAILURE, exit=1)
        assert self.captured_points() == []
        assert "not kept: the command did not succeed" in self.log()


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
    """What is no number makes WARNINGS and says what was got and what was wanted."""


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

    test.__doc__ = f"Output that is {text[:12]!r} is WARNINGS with a word of what was wanted."
    return test


for _name, _text in BAD_OUTPUTS.items():
    setattr(TestBadOutput, f"test_{_name}", _bad_output(_text))


class TestReported(StepTestCase):
    """Records that the command reports itself."""

    @defer.inlineCallbacks
    def test_marker_and_sidecar(self) -> Any:
        """Marked lines and the sidecar file are read together; the rest of stdout is no matter."""
        yield self.run_measuring(
            'noise\n##bbmeasure {"name":"a","value":1}\nmore 5\n',
            sidecar=sidecar_lines({"v": 1, "name": "b", "samples": [1, 3, 2], "unit": "s"}, Record("c", "text")),
        )
        assert self.captured_values() == {"a": 1, "b": 2, "c": "text"}
        point = next(point for point in self.captured_points() if point.series == "b")
        assert (point.samples, point.spread) == (3, 1)

    @defer.inlineCallbacks
    def test_broken_lines_are_named(self) -> Any:
        """A line that cannot be used is skipped, counted, and named in the log."""
        long_name = "n" * 5000
        yield self.run_measuring(
            "",
            sidecar=sidecar_lines(
                "{broken",
                {"name": "a\nb", "value": 1},
                {"name": 'quote"d', "value": 1},
                {"name": long_name, "value": 1},
                {"name": "big", "value": 1, "tags": {"builder": "liar"}},
                '{"name":"deep","value":' + "[" * 50_000,
            ),
        )
        assert self.captured_values() == {'quote"d': 1}
        assert self.log().count("refused: line") == 5
        assert state_of(self.master).pipeline.counters["refused"] == 5
        assert len(self.log()) < 5_000

    @defer.inlineCallbacks
    def test_series_has_one_unit(self) -> Any:
        """A record whose unit is not its series' is refused with a message, not mixed in."""
        yield self.run_measuring(
            "",
            sidecar=sidecar_lines({"name": "a", "value": 1, "unit": "s"}, {"name": "a", "value": 2, "unit": "bytes"}),
        )
        assert self.captured_values() == {"a": 1}
        assert "got size in bytes, expected duration in s" in self.log()

    @defer.inlineCallbacks
    def test_too_many_records(self) -> Any:
        """Of a step's records a thousand are kept, the others counted."""
        lines = "".join(f'##bbmeasure {{"name":"a","value":{n}}}\n' for n in range(1_500))
        yield self.run_measuring(lines)
        assert len(self.captured_points()) == 1_000
        assert "500 records more" in self.log()

    @defer.inlineCallbacks
    def test_sidecar_that_is_no_regular_file(self) -> Any:
        """A sidecar that is a FIFO, a directory or a device is never opened."""
        for mode, word in ((stat.S_IFIFO, "a FIFO"), (stat.S_IFDIR, "a directory"), (stat.S_IFCHR, "a device")):
            self._steps.clear()
            self.setup_step(MeasureShellCommand(name="m", command=["c"]))
            self.expect_measuring(["c"], stdout="5")
            self._expected_commands[-1] = ExpectStat(file=self.sidecar_path()).stat(mode=mode).exit(0)
            self.expect_outcome(result=SUCCESS)
            yield self.run_step()
            assert f"expected a regular file, got {word}" in self.log()
            self.sidecar_stepid += 1

    @defer.inlineCallbacks
    def test_stat_that_lies(self) -> Any:
        """A worker that answers nonsense about a file is told so in the log."""
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.expect_measuring(["c"], stdout="5")
        self._expected_commands[-1] = ExpectStat(file=self.sidecar_path()).update("stat", ["x"]).exit(0)
        self.expect_outcome(result=SUCCESS, state_string="m: 5")
        yield self.run_step()
        assert "stat cannot be read" in self.log()


class TestStrangers(StepTestCase):
    """What a worker sends is a stranger's."""

    @defer.inlineCallbacks
    def test_series_of_the_master_are_not_the_workers(self) -> Any:
        """A record under a name that the master fills itself is refused, so that nothing mixes."""
        names = ["build_duration", "step_duration", "master.active_builds", "bbmeasure_series"]
        yield self.run_measuring("", WARNINGS, sidecar=sidecar_lines(*({"name": name, "value": 1} for name in names)))
        assert self.captured_points() == []
        assert self.log().count("expected a name that the master does not use itself") == 4

    @defer.inlineCallbacks
    def test_rendered_series_that_is_none(self) -> Any:
        """A property that makes no series is WARNINGS with a word of it, not an EXCEPTION."""
        self.setup_build()
        self.setup_step(MeasureShellCommand(name="m", command=["c"], series=Interpolate("%(prop:what)s")))
        self.build.setProperty("what", "a{b", "test")
        self.expect_measuring(["c"], stdout="5")
        self.expect_outcome(result=WARNINGS)
        yield self.run_step()
        assert "a rendered argument of the step" in self.log()

    @defer.inlineCallbacks
    def test_secrets_are_blotted_out(self) -> Any:
        """A secret that a command was given is in no log, summary or store, however it comes back."""
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.build.properties.useSecret("hunter2", "password")
        sidecar = sidecar_lines({"name": "text", "value": "hunter2"}, "hunter2 is no JSON")
        self.expect_measuring(["c"], sidecar=sidecar)
        self.expect_outcome(result=SUCCESS, state_string="text: <password>")
        yield self.run_step()
        assert "hunter2" not in self.log()
        assert self.captured_values() == {"text": "<password>"}

    @defer.inlineCallbacks
    def test_what_a_failed_command_printed_is_logged(self) -> Any:
        """The value of a failed command stands in the log, and is not kept; what cannot be read is no refusal."""
        yield self.run_measuring("5", FAILURE, exit=1)
        assert "m: 5 = 5.0 1 (number): not kept: the command did not succeed" in self.log()
        assert self.captured_points() == []
        self._steps.clear()
        self.sidecar_stepid += 1
        yield self.run_measuring("crash", FAILURE, exit=1)
        assert "not read: 'crash'" in self.log()
        assert state_of(self.master).pipeline.counters["refused"] == 0


class TestParsing(StepTestCase):
    """``pattern``, ``parser`` and ``outputFile``."""

    @defer.inlineCallbacks
    def test_pattern_with_names(self) -> Any:
        """Each named group is a record; the last match holds."""
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
        """No match is WARNINGS and shows the pattern."""
        yield self.run_measuring("nothing", WARNINGS, pattern=r"size=(\d+)")
        assert "expected a line that matches" in self.log()

    @defer.inlineCallbacks
    def test_pattern_that_would_take_for_ever(self) -> Any:
        """A pattern that is hopeless on a line is given up; WARNINGS says where it was."""
        self.patch(patterns, "PATIENCE", 0.05)
        yield self.run_measuring("1\n" + "a" * 60 + "1!\n", WARNINGS, pattern=r"(?:a|a)+(\d)$")
        assert "took longer than 0.05 s at line 2" in self.log()

    @defer.inlineCallbacks
    def test_named_groups_have_the_steps_unit(self) -> Any:
        """A number in a named group is in the step's unit where it brings none, and has its direction."""
        pattern = r"took (?P<took>\d+) of (?P<limit>\S+ min)"
        yield self.run_measuring("took 250 of 2 min", pattern=pattern, unit="ms", better="lower")
        assert self.captured_values() == {"took": 0.25, "limit": 120}
        infos = {info.name: info for info in self.successResultOf(state_of(self.master).pipeline.storage.series())}
        assert (infos["took"].kind, infos["took"].better) == (Kind.DURATION, Direction.LOWER)

    @defer.inlineCallbacks
    def test_adapters_leave_the_direction_to_the_step(self) -> Any:
        """What a tool does not say of its numbers, the step does."""
        text = '[{"name": "memory", "unit": "count", "value": 3}, {"name": "wait", "unit": "ms", "value": 5}]'
        yield self.run_measuring(text, parser="github-action-benchmark", better="higher")
        infos = {info.name: info for info in self.successResultOf(state_of(self.master).pipeline.storage.series())}
        assert (infos["memory"].better, infos["wait"].better) == (Direction.HIGHER, Direction.LOWER)

    @defer.inlineCallbacks
    def test_callable_parser(self) -> Any:
        """A callable makes records of the text."""
        yield self.run_measuring("a b c", parser=lambda text: [Record("words", len(text.split()), kind="count")])
        assert self.captured_values() == {"words": 3}

    @defer.inlineCallbacks
    def test_parser_that_raises(self) -> Any:
        """A parser's exception is a warning of the step with its text, and counted; never an EXCEPTION."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: [Record("a", 1 / 0)])
        assert "the parser failed: ZeroDivisionError" in self.log()
        assert state_of(self.master).pipeline.counters["parser_errors"] == 1

    @defer.inlineCallbacks
    def test_parser_that_exits(self) -> Any:
        """A parser that exits, as one that reads a command line may, does not take the end of the step with it."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: sys.exit(3))
        assert "the parser failed: RuntimeError: SystemExit(3)" in self.log()

    @defer.inlineCallbacks
    def test_parser_that_gives_something_else(self) -> Any:
        """A parser must give records."""
        yield self.run_measuring("x", WARNINGS, parser=lambda text: [1])
        assert "expected a list of Record" in self.log()

    def output_file(self, mode: int, size: int, content: bytes | None = None) -> list[Any]:
        """What is asked of the worker for ``outputFile="out"``."""
        look = ExpectStat(file="out", workdir="wkdir").stat(mode=mode, size=size).exit(0)
        if content is None:
            return [look]
        upload = ExpectUploadFile(
            workersrc="out",
            workdir="wkdir",
            blocksize=remotefiles.BLOCK_SIZE,
            maxsize=LARGEST_OUTPUT,
            keepstamp=False,
            writer=_writer(),
        )
        return [look, upload.upload_string(content).exit(0)]

    @defer.inlineCallbacks
    def test_output_file(self) -> Any:
        """``outputFile`` is read instead of stdout."""
        more = self.output_file(stat.S_IFREG, 3, b"7 s")
        yield self.run_measuring("noise", outputFile="out", more=more, state="m: 7 s")

    @defer.inlineCallbacks
    def test_output_file_with_a_byte_order_mark(self) -> Any:
        """The mark that programs on Windows put in front of UTF-8 is no part of the text."""
        more = self.output_file(stat.S_IFREG, 6, b"\xef\xbb\xbf7 s")
        yield self.run_measuring("noise", outputFile="out", more=more, state="m: 7 s")

    @defer.inlineCallbacks
    def test_output_file_that_cannot_be_read(self) -> Any:
        """A directory, a FIFO, a device or 2 GiB are not read, and WARNINGS says why."""
        cases = [
            (stat.S_IFDIR, 1, "a directory"),
            (stat.S_IFIFO, 1, "a FIFO"),
            (stat.S_IFCHR, 1, "a device"),
            (stat.S_IFREG, 2 * 1024**3, "2147483648 bytes, expected at most"),
        ]
        for mode, size, word in cases:
            self._steps.clear()
            yield self.run_measuring("1", WARNINGS, outputFile="out", more=self.output_file(mode, size))
            assert word in self.log()
            self.sidecar_stepid += 1

    @defer.inlineCallbacks
    def test_output_file_that_is_not_there(self) -> Any:
        """A missing file is WARNINGS."""
        more = [ExpectStat(file="out", workdir="wkdir").exit(2)]
        yield self.run_measuring("1", WARNINGS, outputFile="out", more=more)
        assert "expected a file, got none" in self.log()

    @defer.inlineCallbacks
    def test_subclass(self) -> Any:
        """A step of one's own overrides parse and nothing else."""

        class Lines(MeasureShellCommand):
            def parse(self, text: str) -> list[Record]:
                return [Record(self.name, text.count("\n"), kind="count", better="lower")]

        self.setup_step(Lines(name="lines", command=["cat"]))
        self.expect_measuring(["cat"], stdout="a\nb\n")
        self.expect_outcome(result=SUCCESS, state_string="lines: 2")
        yield self.run_step()


class TestStoreTrouble(StepTestCase):
    """A store in trouble is not the build's."""

    @defer.inlineCallbacks
    def test_store_that_fails(self) -> Any:
        """A value that no store takes is WARNINGS, with the store's words in the log."""
        state_of(self.master).pipeline.attach(BrokenStorage("fail"))
        yield self.run_measuring("5", WARNINGS)
        assert "not kept: broken: told to fail" in self.log()

    def test_store_that_hangs(self) -> None:
        """A store that never answers delays a step by the capture pipeline's patience, the next ones hardly at all."""
        state_of(self.master).pipeline.attach(BrokenStorage("hang"))
        running = self.run_measuring("5", SUCCESS)
        self.assertNoResult(running)
        self.reactor.pump([0.5] * 4)
        self.successResultOf(running)
        assert state_of(self.master).pipeline.counters["late"] >= 1
        self._steps.clear()
        self.sidecar_stepid += 1
        running = self.run_measuring("5", SUCCESS)
        self.reactor.pump([0.06] * 4)
        self.successResultOf(running)

    @defer.inlineCallbacks
    def test_cancelled(self) -> Any:
        """Records of a cancelled command are logged, not kept."""
        self.interrupt_nth_remote_command(0)
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.expect_measuring(["c"], stdout='##bbmeasure {"name":"x","value":1}\n', exit=-1)
        self._expected_commands[0].interrupted = True
        self.expect_outcome(result=CANCELLED)
        try:
            yield self.run_step()
        except AssertionError:  # Buildbot's releases differ in what a cancelled step is
            assert self.get_nth_step(0).results == EXCEPTION
        assert self.captured_points() == []


class TestConfiguration(StepTestCase):
    """What is wrong in master.cfg is said when it is read."""

    def test_name_is_required(self) -> None:
        """A step without a name has no series."""
        self.assertRaisesConfigError("expected name=", lambda: MeasureShellCommand(command=["c"]))

    def test_wrong_arguments(self) -> None:
        """Each argument that cannot be is a configuration error that says what was wanted."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"unit": "parsecs"}, "unit 'parsecs': expected one of"),
            ({"kind": "colour"}, "kind 'colour': expected one of count, duration"),
            ({"better": "larger"}, "better 'larger': expected one of lower, higher"),
            ({"tags": {"builder": "x"}}, "tag 'builder'"),
            ({"tags": ["a"]}, "MeasureShellCommand: tags \"['a']\": expected a mapping of texts to texts"),
            ({"tags": "a"}, "expected a mapping"),
            ({"tags": []}, "expected a mapping"),
            ({"unit": 5}, "unit '5': expected a text"),
            ({"resources": "no"}, "resources 'no': expected True or False"),
            ({"pattern": 5}, "pattern 5: "),
            ({"series": "{nope}"}, "{nope} is not one of"),
            ({"pattern": "("}, "pattern '('"),
            ({"pattern": "no group"}, "expected named groups or a single group"),
            ({"pattern": "(a)", "parser": len}, "expected one of them"),
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
