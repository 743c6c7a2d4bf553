"""MasterState: all that bbmeasure-eight keeps of the master of this process.

Buildbot Eight runs one master in a process, and gives a status receiver no place of its own that survives
``buildbot reconfig``: the state belongs to the process.
"""

from __future__ import unicode_literals

import time
from collections import OrderedDict

from twisted.internet import defer
from twisted.python import log

from bbmeasure_eight import texts
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.line_protocol import line_of
from bbmeasure_eight.memory import Memory
from bbmeasure_eight.points import NANOSECONDS, point_of, time_offset
from bbmeasure_eight.spool import Write

#: The most running totals, and builds whose tracking is kept until they end.
MOST_TOTALS = 10000
MOST_BUILDS = 1000


class MasterState(object):
    """The senders of the instances, totals, declarations of series, counters, and points without an instance.

    ``master`` is the name of the master, HOST:DIRECTORY, which is part of the identity of values.
    """

    def __init__(self, clock=time.time):
        self._clock = clock
        self.senders = OrderedDict()
        self.memory = Memory()
        self.totals = OrderedDict()
        self.declared = {}
        self.plans = OrderedDict()
        self.counters = {"captured": 0, "refused": 0}
        self.master = ""
        self.default_branch = "main"
        self._last_time = 0

    def now(self):
        """A time in nanoseconds that no earlier point of this process has."""
        self._last_time = max(int(self._clock() * NANOSECONDS) + time_offset(self.master), self._last_time + 1)
        return self._last_time

    def refuse(self, why):
        """Count and log a value that cannot be captured."""
        self.counters["refused"] += 1
        log.msg(("bbmeasure-eight: refused: %s" % texts.message(why)).encode("utf-8"))

    def attach(self, name, sender, spool):
        """Add the sender of an instance; it receives the points that were captured without one."""
        for key, value in spool.totals().items():
            self.totals.setdefault(key, value)
        for key, declaration in spool.declarations().items():
            self.declared.setdefault(tuple(key), tuple(declaration))
        self.senders[name] = sender
        for point in self.memory.take():
            self._store([point], {})
        if self.totals:
            sender.accept(Write([], dict(self.totals), []))

    def detach(self, name):
        """Remove the sender of an instance."""
        self.senders.pop(name, None)

    def capture(self, record, build=None, at=None, master_tags=None):
        """Capture a Record; returns a Deferred that fires when it is on disk, or None for one that is refused."""
        try:
            declaration = self.check_declaration(record, build)
            point = point_of(record, self.now() if at is None else at, build, master_tags)
            line_of(point)
        except MeasureError as error:
            self.refuse(error)
            return defer.succeed(None)
        point = point._replace(kind=declaration[0])
        return self.store(point, {})

    def store(self, point, totals):
        """Store a point with totals that change with it."""
        self.counters["captured"] += 1
        return self._store([point], totals)

    def store_at(self, sender, point):
        """Store a point at one instance alone, which captures it of every build."""
        self.counters["captured"] += 1
        return sender.accept(Write([line_of(point)], {}, [self._declare(point)]))

    def store_totals(self, totals):
        """Store totals without a point."""
        return self._store([], totals)

    def _store(self, points, totals):
        if not self.senders:
            for point in points:
                self.memory.add(point)
                self._declare(point)
            return defer.succeed(None)
        series = [self._declare(point) for point in points]
        write = Write([line_of(point) for point in points], totals, series)
        waiting = [sender.accept(write) for sender in self.senders.values()]
        return defer.gatherResults(waiting).addCallback(lambda _: None)

    def _declare(self, point):
        """The declaration of a point's series: (name, builder, kind, unit, better)."""
        key = (point.series, point.build.builder if point.build else "")
        self.declared[key] = declaration = (point.kind, point.unit, point.better)
        return key + declaration

    def check_declaration(self, record, build):
        """Kind, unit and direction of a record's series of its builder; MeasureError where it has another unit."""
        declared = self.declared.get((record.name, build.builder if build else ""))
        if declared is None:
            return record.kind, record.unit, record.better
        kind, unit, better = declared
        if unit != record.unit or (kind == "text") != (record.kind == "text"):
            raise MeasureError(
                "series %s: got %s in %s, expected %s in %s, as this builder had before"
                % (texts.excerpt(record.name), record.kind, record.unit, kind, unit)
            )
        return kind, unit, record.better if better == "none" else better

    def total(self, key):
        """A running total or last reported value; None for a new one."""
        return self.totals.get(key)

    def set_total(self, key, value):
        """Remember a running total in memory."""
        self.totals.pop(key, None)
        self.totals[key] = value
        if len(self.totals) > MOST_TOTALS:
            self.totals.popitem(last=False)

    def remember_plan(self, build, plan):
        """Keep what a build tracks, from its start to its end; ``build`` is (builder, number)."""
        self.plans[build] = plan
        if len(self.plans) > MOST_BUILDS:
            self.plans.popitem(last=False)


STATE = MasterState()
