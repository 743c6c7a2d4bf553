"""VerdictQueries: kept verdicts and alerts as the JSON API needs them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any, Optional

from twisted.internet import defer, task

from bbmeasure.capture.gates import LineKey
from bbmeasure.model import OverviewRow
from bbmeasure.records import Kind
from bbmeasure.reports import kept_verdicts
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import NO_LIMITS, Limits, LineVerdict
from bbmeasure.storage.verdict_store import Alert, AlertQuery, Line, Mute

#: Verdicts that are decoded in one iteration of the reactor; those of a build of 2,000 lines take 2 ms to parse.
SLICE = 10


class VerdictQueries:
    """Reads what the judge of a master has kept; nothing where the master keeps no verdicts."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @defer.inlineCallbacks
    def of_build(self, buildid: int) -> Generator[Any, Any, dict[LineKey, LineVerdict]]:
        """The verdicts of a build by series and tags."""
        verdicts = yield self._judge.verdicts_of(buildid)
        return {} if verdicts is None else {line.key: line for line in verdicts.lines}

    @defer.inlineCallbacks
    def of_rows(self, rows: Sequence[OverviewRow]) -> Generator[Any, Any, dict[Optional[int], LineVerdict]]:
        """The verdicts of the newest builds of lines, by the ids of the lines."""
        store = self._judge.store
        by_build: dict[int, dict[int, tuple[Line, float]]] = {}
        for row in rows:
            value = row.line.last_value
            if row.line_id is not None and row.buildid is not None and not isinstance(value, str):
                by_build.setdefault(row.buildid, {})[row.line_id] = (_line(row), value)
        if store is None or not by_build:
            return {}
        kept = yield store.kept_lines(list(by_build))
        decoded = (
            pair for buildid, lines in kept.items() for pair in kept_verdicts.decode_lines(lines, by_build[buildid])
        )
        found: dict[Optional[int], LineVerdict] = {}
        while part := list(islice(decoded, SLICE)):
            found.update(part)
            yield task.deferLater(self._judge.state.pipeline.clock, 0)
        return found

    def limits_of(self, row: OverviewRow) -> Limits:
        """The limits for the newest value of a line where its build is not judged yet."""
        line = row.line
        gates = None if row.buildid is None else self._judge.state.gates.known(row.buildid)
        if gates is None or line.kind is Kind.TEXT:
            return NO_LIMITS
        rules = gates.of(line.series).rules(line.kind, line.unit, line.better)
        return rules.lower_limit, rules.limit

    @defer.inlineCallbacks
    def alerts(self, query: AlertQuery) -> Generator[Any, Any, tuple[list[Alert], list[Mute]]]:
        """Alerts, newest first, and the mutes."""
        store = self._judge.store
        if store is None:
            return [], []
        found = yield store.alerts(query)
        mutes = yield store.mutes()
        return found, mutes


def _line(row: OverviewRow) -> Line:
    line = row.line
    names = (line.series, line.builder or "", line.tags, line.branch, line.machine, line.proposed)
    return Line(row.line_id or 0, *names, line.kind, line.unit, line.better)
