"""MeasureShellCommand: a step that captures the numbers that a command reports."""

from __future__ import unicode_literals

from buildbot import config
from buildbot.process.logobserver import LogObserver
from buildbot.status.results import FAILURE, SUCCESS, WARNINGS
from buildbot.steps.shell import ShellCommand

from bbmeasure_eight import builds, texts, units
from bbmeasure_eight.builder import read_overrides
from bbmeasure_eight.builds import NO_PLAN
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.records import Record, is_reserved_series
from bbmeasure_eight.state import STATE
from bbmeasure_eight.wire import MarkerScanner

#: The most text of a command that is read as one number, and the most records of one step.
LONGEST_OUTPUT = 10000
MOST_RECORDS = 1000
_NAMES = ("series", "kind", "unit", "better", "tags")


class _Collector(LogObserver):
    """Collects standard output: marked records, and the start of the text."""

    def __init__(self):
        self.text = b""
        self.items = []
        self.dropped = 0
        self._scanner = MarkerScanner()
        self._partial = b""

    def outReceived(self, data):
        data = data.encode("utf-8") if isinstance(data, type("")) else data
        if len(self.text) <= LONGEST_OUTPUT:
            self.text += data[: LONGEST_OUTPUT + 1]
        data = self._partial + data
        end = len(data) - _partial_character(data)
        data, self._partial = data[:end], data[end:]
        self._add(self._scanner.feed(texts.decode(data)))

    def finish(self):
        """Read a last line without a line break."""
        self._add(self._scanner.feed(texts.decode(self._partial)))
        self._partial = b""
        self._add(self._scanner.finish())

    def _add(self, items):
        free = max(0, MOST_RECORDS - len(self.items))
        self.items.extend(items[:free])
        self.dropped += len(items[free:])


def _partial_character(data):
    """The number of bytes at the end of ``data`` that begin a UTF-8 character whose other bytes are to come."""
    for count in range(1, min(4, len(data) + 1)):
        byte = ord(data[-count])
        if byte >= 0xC0:
            return count if count < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


class MeasureShellCommand(ShellCommand):
    """Captures the records that a command marks on its standard output; without any, its output as one number.

    ``name`` is required; it names the series of the number.  ``series``, ``kind``, ``unit``, ``better`` and ``tags``
    are those of the number; ``tags`` apply to marked records too.  A command that succeeds without a usable value is
    WARNINGS, one that fails is FAILURE and captures nothing.
    """

    bbmeasure_measures = True

    def __init__(self, name=None, **kwargs):
        given = dict((key, kwargs.pop(key)) for key in _NAMES if key in kwargs)
        if not name:
            config.error(b"MeasureShellCommand: name: expected a name, which is that of the series")
            name = str("measure")
        try:
            self._overrides = read_overrides(given)
        except MeasureError as error:
            config.error(("MeasureShellCommand %s: %s" % (texts.decode(name), texts.message(error))).encode("utf-8"))
            self._overrides = read_overrides({})
        ShellCommand.__init__(self, name=name, **kwargs)
        self.addFactoryArguments(name=name, **given)
        self.summary = None
        self._collector = _Collector()
        self.addLogObserver(str("stdio"), self._collector)

    def commandComplete(self, cmd):
        """Capture what the command reported."""
        self._collector.finish()
        if cmd.didFail():
            return
        records, problems = self._read()
        context = builds.context_of(self, STATE.default_branch)
        for record in records:
            STATE.capture(record, context)
            if record.kind != "text":
                self.setStatistic(record.name, record.value)
        if problems:
            self.addCompleteLog(str("measurements"), "\n".join(problems).encode("utf-8") + b"\n")
        self.summary = self._summarize(records, problems)

    def evaluateCommand(self, cmd):
        """FAILURE for a command that failed, WARNINGS without a usable value."""
        if cmd.didFail():
            return FAILURE
        return SUCCESS if self._measured else WARNINGS

    def getText(self, cmd, results):
        """The value in the waterfall."""
        if self.summary is None:
            return ShellCommand.getText(self, cmd, results)
        return [self.summary.encode("utf-8")]

    _measured = False

    def _read(self):
        """Records of the command, and the reasons of values that are none."""
        records, problems = [], []
        for item in self._collector.items:
            if isinstance(item, Record):
                item = self._completed(item, problems)
            elif item:
                problems.append(item)
                item = None
            if item is not None:
                records.append(item)
        if self._collector.dropped:
            problems.append("%d more records: expected at most %d" % (self._collector.dropped, MOST_RECORDS))
        if not self._collector.items:
            record = self._read_number(problems)
            records = [record] if record is not None else []
        self._measured = bool(records)
        return records, problems

    def _plan(self):
        return getattr(getattr(self.build.builder, "config", None), "measurePlan", NO_PLAN)

    def _tags(self, more):
        tracked = self._tracked()
        return texts.merged(self._plan().tags, self._overrides["tags"], tracked.tags if tracked else {}, more)

    def _tracked(self):
        """The last trackCustomStep of this step; None without one."""
        tracks = [track for track in self._plan().custom if track.subject == texts.decode(self.name)]
        return tracks[-1] if tracks else None

    def _completed(self, record, problems):
        """A marked record with the tags of master.cfg; None for a name that only the master uses."""
        if is_reserved_series(record.name):
            problems.append("%s: expected another name, as the master writes this one" % texts.excerpt(record.name))
            return None
        try:
            record.tags = self._tags(record.tags)
        except MeasureError as error:
            problems.append(texts.message(error))
            return None
        return record

    def _read_number(self, problems):
        """The record of standard output as one number with an optional unit."""
        text = texts.decode(self._collector.text)
        try:
            quantity = units.parse(texts.strip_ansi(text))
            own, tracked = self._overrides, self._tracked()
            given = dict((key, getattr(tracked, key, None) or own[key]) for key in ("series", "kind", "unit", "better"))
            context = builds.context_of(self, STATE.default_branch)
            series = builds.series_name(given.pop("series"), texts.decode(self.name), context)
            value, unit = quantity.value, quantity.unit
            if (unit, quantity.kind) == ("1", "number") and given["unit"]:  # a bare number is in the unit of master.cfg
                unit = given["unit"]
            elif given["unit"] and units.find(given["unit"]).base != unit:
                raise MeasureError("unit %s: expected %s" % (unit, given["unit"]))
            kind = given["kind"] or (quantity.kind if unit != given["unit"] else None)
            return Record(series, value, kind=kind, unit=unit, better=given["better"], tags=self._tags({}))
        except MeasureError as error:
            problems.append(texts.message(error))
            return None

    def _summarize(self, records, problems):
        """The values in words: ``build_size: 1.42 MiB``."""
        if not records:
            return "%s: no value: %s" % (texts.decode(self.name), problems[0][:200] if problems else "no output")
        shown = ["%s: %s" % (record.name, _shown(record)) for record in records[:3]]
        return ", ".join(shown) + (" and %d more" % (len(records) - 3) if len(records) > 3 else "")


def _shown(record):
    """The value of a record for people."""
    if record.kind == "text":
        return record.value[:80]
    return units.format_value(record.value, record.unit, record.kind)
