"""BuildJudge: judges the values of a build against the lines of a store.  It blocks, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

from bbmeasure.analysis import Rules, State, Verdict
from bbmeasure.capture.gates import Gates, line_key
from bbmeasure.model import BuildContext, Point
from bbmeasure.records import Direction, Kind
from bbmeasure.reports import kept_verdicts
from bbmeasure.reports.alerts import RECENT, LineAlerts
from bbmeasure.reports.judged_line import LEARNED, JudgedLine
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict, verdict_of
from bbmeasure.storage.verdict_store import (
    Alert,
    BuildValues,
    JudgingReader,
    KeptDetector,
    Line,
    LineValue,
    Remark,
    VerdictChanges,
)

#: The most lines of one build that are judged.
MAX_LINES = 2_000
#: Seconds of work for one request; the lines that are left are not judged.
BUDGET = 3.0
#: The most values of a line that are replayed at once.
MAX_REPLAYED = 600
#: Values of a line between two looks back over it, which may move the first build of an open alert.
LOOK_BACK_EVERY = 20
#: The tag of durations, of which those of successful steps and builds are judged.
RESULT, SUCCESS = "result", "success"

_NO_TARGET = "The branch that this proposal is for is not known, so there is no baseline."


@dataclass(frozen=True)
class JudgeRequest:
    """The values of a build to judge; at its end, with ``finish``, they enter the detectors and are kept.

    ``running`` are the ids of builds that have not ended.  ``series`` restricts the lines.  ``pending`` are points that
    are not stored yet.
    """

    build: BuildContext
    gates: Gates
    now: float
    finish: bool = False
    running: frozenset[int] = frozenset()
    series: Optional[frozenset[str]] = None
    pending: Sequence[Point] = ()


@dataclass(frozen=True)
class Judged:
    """The answer to a request: the verdicts, what is to be written, and the alerts whose suspects are to be found."""

    verdicts: BuildVerdicts
    changes: Optional[VerdictChanges] = None
    to_explain: Sequence[Alert] = ()


class BuildJudge:
    """Judges builds of one store."""

    def __init__(self, reader: JudgingReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock

    def judge(self, request: JudgeRequest) -> Judged:
        """The verdicts of a build; StorageError where the store cannot be read."""
        buildid = request.build.buildid
        if request.finish:
            kept = self._reader.kept_verdicts(buildid)
            if kept is not None:
                return Judged(kept_verdicts.decode(buildid, kept))
        found = _with_pending(self._reader, self._stored(request), request)
        wanted = list(self._wanted(found, request))
        lines, complete = wanted[:MAX_LINES], len(wanted) <= MAX_LINES
        judging = _Judging(self._reader, request, found, [base for _, base, _ in lines if base is not None])
        deadline = self._clock() + BUDGET
        made: list[tuple[int, LineVerdict]] = []
        for line, base, value in lines:
            if self._clock() > deadline:
                complete = False
                break
            made.append((line.id, judging.judge(line, base, value)))
        verdicts = BuildVerdicts(buildid, tuple(verdict for _, verdict in made), complete)
        if not request.finish:
            return Judged(verdicts)
        encoded = kept_verdicts.encode(made, complete=complete) if made else b""
        changes = VerdictChanges(
            buildid, encoded, judging.detectors, _remarks(lines, request), list(judging.changed.values())
        )
        return Judged(verdicts, changes, judging.explained)

    def _stored(self, request: JudgeRequest) -> BuildValues:
        """The stored values of the build of the wanted series; none where all of them are pending."""
        if request.series is not None and request.series <= {point.series for point in request.pending}:
            return BuildValues((), {}, request.build.worker)
        return self._reader.build_values(request.build.buildid)

    def _wanted(self, found: BuildValues, request: JudgeRequest) -> Iterator[tuple[Line, Optional[Line], LineValue]]:
        """The values to judge, each with its line and the line that it is judged against."""
        values = [
            (line, value)
            for line, value in found.values
            if (request.series is None or line.series in request.series)
            and line.tags.get(RESULT, SUCCESS) == SUCCESS
            and line.kind is not Kind.TEXT
        ]
        values.sort(key=lambda pair: line_key(pair[0].series, pair[0].tags))
        totals = self._reader.total_lines([line for line, _ in values])
        for line, value in values:
            if line.id and line.id in totals:
                continue
            base: Optional[Line] = line
            if request.build.proposal:
                builder = request.gates.baseline_builder or line.builder
                of_target = line._replace(id=0, builder=builder, proposed=False)
                base = None if line.branch is None else self._reader.find_line(of_target) or of_target
            yield line, base, value


def _with_pending(reader: JudgingReader, found: BuildValues, request: JudgeRequest) -> BuildValues:
    """The values of a build with its measurements, and with the points that are not stored yet."""
    values = {line_key(line.series, line.tags): (line, value) for line, value in found.values}
    build = request.build
    for point in request.pending:
        if isinstance(point.value, str):
            continue
        key = line_key(point.series, point.tags)
        line = values[key][0] if key in values else None
        if line is None:
            names = (build.builder, point.tags, build.branch, build.machine_class, bool(build.proposal))
            meaning = request.gates.meanings.get(point.series, (Kind.NUMBER, "1", Direction.NONE))
            line = Line(0, point.series, *names, *meaning)
            line = reader.find_line(line) or line
        values[key] = (line, LineValue(point.time, build.build, build.buildid, point.value))
    measured = [
        (
            line,
            value._replace(
                samples=tuple(request.gates.measurements.get(key, value.samples)),
                excluded=value.excluded or key in request.gates.excluded,
            ),
        )
        for key, (line, value) in values.items()
    ]
    return found._replace(values=measured)


def _remarks(lines: Sequence[tuple[Line, Optional[Line], LineValue]], request: JudgeRequest) -> list[Remark]:
    """The remarks of this build that a replay of its lines needs."""
    return [
        Remark(line.id, request.build.buildid, value.samples, value.excluded)
        for line, _, value in lines
        if value.samples or value.excluded
    ]


class _Judging:
    """One request: what the store has of its lines, and what changes."""

    def __init__(
        self, reader: JudgingReader, request: JudgeRequest, found: BuildValues, lines: Collection[Line]
    ) -> None:
        self._reader = reader
        self._request = request
        self._found = found
        ids = {line.id for line in lines if line.id}
        self._kept = reader.detectors(ids)
        self._alerts = reader.line_alerts(ids)
        self._mutes = [mute for mute in reader.mutes() if request.now < mute.until]
        self._next_alert: Optional[int] = None
        self.detectors: list[KeptDetector] = []
        self.changed: dict[int, Alert] = {}
        self.explained: list[Alert] = []

    def _new_id(self) -> int:
        self._next_alert = self._reader.next_alert() if self._next_alert is None else self._next_alert + 1
        return self._next_alert

    def judge(self, line: Line, base: Optional[Line], value: LineValue) -> LineVerdict:
        """The verdict of one value."""
        gate = self._request.gates.of(line.series)
        if base is None:
            return verdict_of(line, Verdict(State.NO_BASELINE, value.value, reason=_NO_TARGET), gate.level)
        meaning = base if base.id else line  # what a proposal says of its series does not count
        rules = gate.rules(meaning.kind, meaning.unit, meaning.better)
        limits = (rules.lower_limit, rules.limit)
        alerts = LineAlerts(base, self._alerts.get(base.id, ()), self._new_id)
        muted = any(mute.covers(base, self._request.now) for mute in self._mutes)
        if self._request.build.proposal:
            verdict = self._propose(base, value, rules, alerts)
            return replace(verdict_of(line, verdict, gate.level, limits), muted=muted)
        judged, verdict = self._add(line, value, rules, alerts)
        if self._request.finish and alerts.open and not judged.detector.count % LOOK_BACK_EVERY:
            before = [one for one in self._history(line, None, LEARNED) if not one.excluded]
            alerts.move([*before, value], rules.shift_change)
        shown, alert = alerts.shown(value, verdict, rules)
        opened = next((one for one in alerts.opened if one.opened == value.buildid), None)
        alert = opened or alert
        if self._request.finish:
            kept = judged.encode(line.id)
            self.detectors += [] if kept is None else [kept]
            self._keep(alerts)
        is_kept = self._request.finish or alert is None or alert not in alerts.opened
        return replace(
            verdict_of(line, shown, gate.level, limits),
            alert=alert.id if alert is not None and is_kept else None,
            since_build=verdict.since if alert is None else alert.build,
            muted=muted,
            told=bool(alerts.opened) and not muted,
        )

    def _propose(self, base: Line, value: LineValue, rules: Rules, alerts: LineAlerts) -> Verdict:
        """The verdict of a proposal against the line of its target."""
        judged = self._load(base, rules)
        alerts.apply_decisions(judged)
        return judged.detector.propose(value.value, samples=value.samples, alert_open=bool(alerts.open))

    def _load(self, line: Line, rules: Rules) -> JudgedLine:
        """The detector of a line, which is learned from the line's past where the store keeps none."""
        kept = self._kept.get(line.id)
        if kept is not None:
            return JudgedLine.decode(kept, rules)
        judged = JudgedLine(rules)
        if line.id:
            judged.learn(self._history(line, None, LEARNED))
        return judged

    def _history(self, line: Line, since: Optional[int], limit: int) -> list[LineValue]:
        """Values of a line without those of builds that have not ended, this one included."""
        skipped = self._request.running | {self._request.build.buildid}
        return [one for one in self._reader.history(line.id, since, limit) if one.buildid not in skipped]

    def _add(self, line: Line, value: LineValue, rules: Rules, alerts: LineAlerts) -> tuple[JudgedLine, Verdict]:
        """Add a value, and those before it that no build has added, to the detector of its line."""
        judged = self._load(line, rules)
        alerts.apply_decisions(judged)
        late = judged.newest is not None and value.position <= judged.newest
        if late and not judged.rewind(value.position):
            return judged, judged.detector.propose(value.value, samples=value.samples)
        own: Optional[Verdict] = None
        for one in self._unjudged(line, value, judged, late=late):
            verdict = judged.add(one)
            if one.buildid == value.buildid:
                own = verdict
            elif not verdict.confirmed:
                continue
            alerts.follow(one, verdict, judged, partial(self._recent, line, one), value.buildid)
        assert own is not None
        return judged, own

    def _unjudged(self, line: Line, value: LineValue, judged: JudgedLine, *, late: bool) -> list[LineValue]:
        """The value and those to judge with it, in their order: since the last judged one, and up to it if not late."""
        if not line.id or judged.position is None:
            return [value]
        others = [
            one
            for one in self._history(line, judged.position[0], MAX_REPLAYED)
            if one.position > judged.position and (late or one.position < value.position)
        ]
        return sorted([*others, value], key=lambda one: one.position)

    def _recent(self, line: Line, value: LineValue) -> list[LineValue]:
        """The newest values up to a value, which is the last of them."""
        before = [one for one in self._history(line, None, RECENT) if one.position < value.position]
        return [*before, value]

    def _keep(self, alerts: LineAlerts) -> None:
        for alert in [*alerts.opened, *alerts.moved]:
            explained = replace(alert, facts={**alert.facts, "differs": self._differs(alert)})
            alerts.changed[alert.id] = explained
            self.explained.append(explained)
        self.changed.update(alerts.changed)

    def _differs(self, alert: Alert) -> dict[str, list[Optional[str]]]:
        """The differences between the last build of the old level and the first of the new one: worker and texts."""
        last = alert.facts.get("last_buildid")
        if last is None:
            return {}
        before = self._reader.build_values(last)
        own = alert.buildid == self._request.build.buildid
        after = self._found if own else self._reader.build_values(alert.buildid)
        pairs: dict[str, tuple[Optional[str], str]] = {"worker": (before.worker, after.worker)}
        pairs.update((name, (before.texts.get(name), after.texts[name])) for name in sorted(after.texts))
        return {name: list(pair) for name, pair in pairs.items() if pair[0] != pair[1]}
