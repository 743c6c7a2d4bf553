"""Log observer that collects the output of a command: marked records, and the text, within limits."""

from __future__ import annotations

from typing import Callable, Optional, Union

from buildbot.process.logobserver import LogObserver
from twisted.logger import Logger

from bbmeasure import wire
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_process import plain_text
from bbmeasure.records import Record
from bbmeasure.wire import MarkerScanner, Refusal

log = Logger()

#: The most records of one step; further ones are counted.
MAX_RECORDS = 1_000
#: The end of stderr that is kept, in characters.
MAX_STDERR_END = 2_000


class StdoutCollector(LogObserver):
    """Collects at most ``max_text`` characters of the output of a step, and MAX_RECORDS marked records.

    With ``spool`` the text is written there and not kept in memory.

    Never raises: an exception in an observer would turn the step into EXCEPTION.  It is kept as a refusal instead.
    """

    def __init__(self, max_text: int, *, stderr: bool = False, spool: Optional[Spool] = None) -> None:
        super().__init__()
        self._stderr = stderr
        self._spool = spool
        #: The end of stderr, for the reason of a failure.
        self.stderr_end = ""
        #: The marked records, and the refusals of marked lines that are no record.
        self.marked: list[Union[Record, Refusal]] = []
        #: How many marked records were dropped.
        self.dropped_records = 0
        #: How many characters of the text were dropped.
        self.dropped_text = 0
        #: The length of the longest line of stdout, in characters.
        self.longest_line = 0
        self._max_text = max_text
        self._text_length = 0
        self._pieces: list[str] = []
        self._scanner = MarkerScanner()
        self._finished = False

    def outReceived(self, data: str) -> None:
        """Collect a piece of stdout."""
        if self._finished:  # the log goes on with the output of a rerun
            return
        self._add_text(data)
        self.longest_line = max(self.longest_line, *map(len, data.split("\n")), 0)
        self._scan(self._scanner.feed, data)

    def errReceived(self, data: str) -> None:
        """Collect the end of stderr, and a piece of it as text if the parser reads stderr."""
        if self._finished:
            return
        self.stderr_end = (self.stderr_end + data)[-MAX_STDERR_END:]
        if self._stderr:
            self._add_text(data)

    def _add_text(self, data: str) -> None:
        if self._spool is not None:
            self._spool.write(data)
            return
        free = self._max_text - self._text_length
        if free > 0:
            self._pieces.append(data[:free])
            self._text_length += min(free, len(data))
        self.dropped_text += max(0, len(data) - max(0, free))

    def finish(self) -> None:
        """Scan the last line, at the end of the output; what follows in the log is ignored."""
        self._finished = True
        self._scan(lambda _: self._scanner.finish(), "")

    def _scan(self, scan: Callable[[str], list[Union[Record, Refusal]]], data: str) -> None:
        if len(self.marked) >= MAX_RECORDS:  # endless output must not keep the master decoding
            self.dropped_records += data.count(wire.MARKER)
            return
        try:
            items = scan(data)
        except Exception as error:  # noqa: BLE001  (see the class)
            log.failure("bbmeasure: scanning stdout")
            items = [Refusal(0, f"{type(error).__name__}: {error}", data[:80])]
        free = MAX_RECORDS - len(self.marked)
        self.marked += items[:free]
        self.dropped_records += len(items[free:])

    def text(self) -> str:
        """The collected text."""
        joined = "".join(self._pieces)
        self._pieces = [joined]
        return joined

    def discard_text(self) -> None:
        """Free the text: the log keeps this observer until the step ends, also where reruns follow."""
        self._pieces = []

    def plain_text(self) -> str:
        """The collected text without marked lines and terminal control sequences."""
        return plain_text(self.text())

    def limit_errors(self) -> list[str]:
        """A message for each limit that was exceeded."""
        errors = []
        if self.dropped_records:
            errors.append(f"{self.dropped_records} more records: expected at most {MAX_RECORDS} of one step")
        if self.dropped_text:
            errors.append(f"stdout: {self.dropped_text} characters were not read: expected at most {self._max_text}")
        return errors
