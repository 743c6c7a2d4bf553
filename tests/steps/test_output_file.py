"""``outputFile`` of MeasureShellCommand."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

from buildbot.process.results import SUCCESS, WARNINGS
from buildbot.test.steps import ExpectStat
from twisted.internet import defer

from bbmeasure_steps import remotefiles
from bbmeasure_steps.base import MAX_OUTPUT
from tests.steps.case import StepTestCase


class TestOutputFile(StepTestCase):
    """A file of the worker that is parsed instead of stdout."""

    def output_file(self, content: bytes) -> Callable[[], list[Any]]:
        """The expected remote commands for ``outputFile="out"``, once there is a step."""
        return lambda: self.expect_file("out", content, max_size=MAX_OUTPUT)

    @defer.inlineCallbacks
    def test_output_file(self) -> Any:
        """``outputFile`` is parsed instead of stdout."""
        yield self.run_measuring("noise", outputFile="out", more=self.output_file(b"7 s"), state="m: 7 s")

    @defer.inlineCallbacks
    def test_output_file_with_a_byte_order_mark(self) -> Any:
        """A byte order mark before UTF-8 is not part of the text."""
        content = b"\xef\xbb\xbf7 s"
        yield self.run_measuring("noise", outputFile="out", more=self.output_file(content), state="m: 7 s")

    @defer.inlineCallbacks
    def test_output_file_of_powershell(self) -> Any:
        """A file in UTF-16, as > of PowerShell writes it, is decoded."""
        content = "7 s\r\n".encode("utf-16")
        yield self.run_measuring("noise", outputFile="out", more=self.output_file(content), state="m: 7 s")

    @defer.inlineCallbacks
    def test_sidecar_of_powershell(self) -> Any:
        """A sidecar file in UTF-16 is decoded."""
        sidecar = '{"name": "m", "value": 8}\r\n'.encode("utf-16")
        yield self.run_measuring("noise", sidecar=sidecar, state="m: 8")

    @defer.inlineCallbacks
    def test_output_file_that_cannot_be_read(self) -> Any:
        """A directory, a FIFO, a device or a file of 2 GiB is not read; the log names the reason."""
        cases = [
            (stat.S_IFDIR, 1, "a directory"),
            (stat.S_IFIFO, 1, "a FIFO"),
            (stat.S_IFCHR, 1, "a device"),
            (stat.S_IFREG, 2 * 1024**3, "2147483648 bytes, expected at most"),
        ]
        for mode, size, word in cases:
            self._steps.clear()
            look = ExpectStat(file="out", workdir="wkdir").stat(mode=mode, size=size).exit(0)
            yield self.run_measuring("1", WARNINGS, outputFile="out", more=[look])
            assert word in self.log()

    @defer.inlineCallbacks
    def test_missing_output_file(self) -> Any:
        """A missing file is WARNINGS."""
        more = [ExpectStat(file="out", workdir="wkdir").exit(2)]
        yield self.run_measuring("1", WARNINGS, outputFile="out", more=more)
        assert "expected a file, got none" in self.log()


class TestWithoutShell(StepTestCase):
    """Reports on the stdout of a Windows worker, which are parsed from the log."""

    @defer.inlineCallbacks
    def run_eslint(self, line: str, result: int) -> Any:
        self.patch(remotefiles, "has_shell", lambda _step: False)
        yield self.run_measuring(f"{line}\n", result, parser="eslint")

    @defer.inlineCallbacks
    def test_a_short_report(self) -> Any:
        """A report whose lines are whole is parsed."""
        yield self.run_eslint('[{"filePath": "a", "messages": []}]'.ljust(4_094), SUCCESS)
        assert self.captured_values() == {"eslint": 0}

    @defer.inlineCallbacks
    def test_a_report_with_a_cut_line(self) -> Any:
        """A line that the worker cut is refused, even if the rest is a document, and the log names the remedy."""
        yield self.run_eslint('[{"filePath": "a", "messages": []}]'.ljust(4_095), WARNINGS)
        assert self.captured_values() == {}
        assert "name it with outputFile=" in self.log()
