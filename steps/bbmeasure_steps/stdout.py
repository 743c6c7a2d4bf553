"""Collecting what a command prints: the records that it marked, and the text, within limits."""

from __future__ import annotations

from typing import Any, Union

from buildbot.process.logobserver import LogObserver
from twisted.logger import Logger

from bbmeasure import wire
from bbmeasure.records import Record
from bbmeasure.wire import MarkerScanner, Refusal

log = Logger()

#: The most records of one step; what is more is counted.
MOST_RECORDS = 1_000


class StdoutCollector(LogObserver):
    """Hears a step's stdout.  Keeps at most ``most`` characters of it and MOST_RECORDS records; never raises.

    An exception in an observer would turn the step into EXCEPTION, so one here is kept as a refusal.
    """

    def __init__(self, most: int, *, stderr: bool = False) -> None:
        super().__init__()
        self._stderr = stderr
        self.found: list[Union[Record, Refusal]] = []
        self.overflow = 0
        self.cut = 0
        self._most = most
        self._kept = 0
        self._pieces: list[str] = []
        self._scanner = MarkerScanner()

    def outReceived(self, data: str) -> None:
        """Called with each piece of stdout."""
        self._keep(data)
        self._take(self._scanner.feed, data)

    def errReceived(self, data: str) -> None:
        """Called with each piece of stderr."""
        if self._stderr:
            self._keep(data)

    def _keep(self, data: str) -> None:
        room = self._most - self._kept
        if room > 0:
            self._pieces.append(data[:room])
            self._kept += min(room, len(data))
        self.cut += max(0, len(data) - max(0, room))

    def finish(self) -> None:
        """The output has ended."""
        self._take(lambda _: self._scanner.finish(), "")

    def _take(self, scan: Any, data: str) -> None:
        if len(self.found) >= MOST_RECORDS:  # whoever prints without end shall not keep the master reading
            self.overflow += data.count(wire.MARKER)
            return
        try:
            for one in scan(data):
                if len(self.found) < MOST_RECORDS:
                    self.found.append(one)
                else:
                    self.overflow += 1
        except Exception as error:  # noqa: BLE001  (see the class)
            log.failure("bbmeasure: scanning stdout")
            self.found.append(Refusal(0, f"{type(error).__name__}: {error}", data[:80]))

    def text(self) -> str:
        """What was printed, as far as it was kept."""
        joined = "".join(self._pieces)
        self._pieces = [joined]
        return joined

    def plain(self) -> str:
        """What was printed without marked lines and colours."""
        if wire.MARKER not in self.text():
            return wire.strip_ansi(self.text())
        lines = self.text().split("\n")
        return wire.strip_ansi("\n".join(line for line in lines if wire.MARKER not in line))

    def dropped(self) -> list[str]:
        """What did not fit, in words."""
        told = []
        if self.overflow:
            told.append(f"{self.overflow} records more: expected at most {MOST_RECORDS} of one step")
        if self.cut:
            told.append(f"stdout: {self.cut} characters more than the {self._most} that are looked at")
        return told
