"""``outputFile`` of MeasureShellCommand."""

from __future__ import annotations

import stat
from typing import Any

from buildbot.process.results import WARNINGS
from buildbot.test.steps import ExpectStat, ExpectUploadFile
from twisted.internet import defer

from bbmeasure.testing.kit import _writer
from bbmeasure_steps import remotefiles
from bbmeasure_steps.base import MAX_OUTPUT
from tests.steps.case import StepTestCase


class TestOutputFile(StepTestCase):
    """A file of the worker that is parsed instead of stdout."""

    def output_file(self, mode: int, size: int, content: bytes | None = None) -> list[Any]:
        """The expected remote commands for ``outputFile="out"``."""
        look = ExpectStat(file="out", workdir="wkdir").stat(mode=mode, size=size).exit(0)
        if content is None:
            return [look]
        upload = ExpectUploadFile(
            workersrc="out",
            workdir="wkdir",
            blocksize=remotefiles.BLOCK_SIZE,
            maxsize=MAX_OUTPUT,
            keepstamp=False,
            writer=_writer(),
        )
        return [look, upload.upload_string(content).exit(0)]

    @defer.inlineCallbacks
    def test_output_file(self) -> Any:
        """``outputFile`` is parsed instead of stdout."""
        more = self.output_file(stat.S_IFREG, 3, b"7 s")
        yield self.run_measuring("noise", outputFile="out", more=more, state="m: 7 s")

    @defer.inlineCallbacks
    def test_output_file_with_a_byte_order_mark(self) -> Any:
        """A byte order mark before UTF-8 is not part of the text."""
        more = self.output_file(stat.S_IFREG, 6, b"\xef\xbb\xbf7 s")
        yield self.run_measuring("noise", outputFile="out", more=more, state="m: 7 s")

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
            yield self.run_measuring("1", WARNINGS, outputFile="out", more=self.output_file(mode, size))
            assert word in self.log()
            self.sidecar_stepid += 1

    @defer.inlineCallbacks
    def test_missing_output_file(self) -> Any:
        """A missing file is WARNINGS."""
        more = [ExpectStat(file="out", workdir="wkdir").exit(2)]
        yield self.run_measuring("1", WARNINGS, outputFile="out", more=more)
        assert "expected a file, got none" in self.log()
