"""getAverage and its kin: statistics of a series, by the InfluxDB of an instance, else of the points in memory."""

from __future__ import division, unicode_literals

import re
import time
from datetime import datetime

from twisted.internet import defer

from bbmeasure_eight import memory, texts
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.influxdb import identifier, literal
from bbmeasure_eight.points import NANOSECONDS
from bbmeasure_eight.records import canonical_series, canonical_tag
from bbmeasure_eight.state import STATE

_AGE = re.compile("([0-9]{1,9}(?:\\.[0-9]{1,6})?)(ms|[smhdwy])\\Z")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_ISO_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def read_time(when, now, what="time"):
    """Nanoseconds of unix seconds, an age such as ``7d``, or ISO 8601 in UTC; None for None."""
    if when is None:
        return None
    if isinstance(when, (int, long, float)) and not isinstance(when, bool):  # noqa: F821
        return int(when * NANOSECONDS)
    text = texts.decode(when) if isinstance(when, texts.STRINGS) else ""
    age = _AGE.match(text)
    if age:
        return int((now - float(age.group(1)) * _SECONDS[age.group(2)]) * NANOSECONDS)
    for form in _ISO_FORMATS:
        try:
            moment = datetime.strptime(text[:-1] if text.endswith("Z") else text, form)
        except ValueError:
            continue
        return int((moment - datetime(1970, 1, 1)).total_seconds()) * NANOSECONDS
    raise MeasureError("%s %r: expected unix seconds, an age such as 7d, or ISO 8601 in UTC" % (what, when))


class Selection(object):
    """The points of a series in [since, until) that match; points of proposals are left out."""

    def __init__(self, series, since=None, until=None, builder=None, worker=None, branch=None, tags=None):
        now = time.time()
        self.series = canonical_series(texts.without_hidden(texts.decode(series)))
        self.since, self.until = read_time(since, now, "since"), read_time(until, now, "until")
        self.branch = texts.decode(branch)
        self.tags = {}
        for key, value in (tags or {}).items():
            key, value = (canonical_tag(texts.without_hidden(texts.decode(text))) for text in (key, value))
            self.tags[key] = value
        for name, value in (("builder", builder), ("worker", worker)):
            if value is not None:
                self.tags[name] = canonical_tag(texts.decode(value))

    def matches(self, point):
        """Whether a point in memory matches."""
        build = point.build
        tags = dict(point.tags)
        if build is not None:
            tags["builder"], tags["worker"] = build.builder, build.worker
        if build is not None and build.proposal or self.branch and (build is None or build.branch != self.branch):
            return False
        if any(tags.get(key, "") != value for key, value in self.tags.items()):
            return False
        return (self.since is None or point.time >= self.since) and (self.until is None or point.time < self.until)

    def where(self):
        """The condition in InfluxQL."""
        conditions = ["\"proposed\"::tag = ''"]
        conditions += ["%s::tag = %s" % (identifier(key), literal(value)) for key, value in sorted(self.tags.items())]
        if self.branch:
            conditions.append('"branch"::field = %s' % literal(self.branch))
        if self.since is not None:
            conditions.append("time >= %d" % self.since)
        if self.until is not None:
            conditions.append("time < %d" % self.until)
        return " AND ".join(conditions)


@defer.inlineCallbacks
def _statistic(name, series, source, selection, percent=None):
    chosen = Selection(series, **selection)
    sender = STATE.senders.get(texts.decode(source)) if source else next(iter(STATE.senders.values()), None)
    if source and sender is None:
        raise MeasureError("source %r: expected the name of an InfluxDBInstance" % (source,))
    if sender is None:
        values = STATE.memory.values(chosen)
        result = _of_memory(name, values, percent)
    else:
        call = '%s("value"%s)' % (name, "" if percent is None else ", %.10f" % percent)
        text = "SELECT %s FROM %s WHERE %s" % (call, identifier(chosen.series), chosen.where())
        found = yield sender.influx.query(text)
        result = found[0][0]["values"][0][1] if found[0] else None
        result = float(result) if isinstance(result, (int, long)) else result  # noqa: F821
    defer.returnValue(result)


def _of_memory(name, values, percent):
    if any(isinstance(value, type("")) for value in values):
        raise MeasureError("%s: the series holds texts, which have no statistics" % name)
    if not values:
        return None
    return memory.percentile(values, percent) if name == "percentile" else memory.STATISTICS[name](values)


def _getter(public, name, what):
    def getter(series, since=None, until=None, builder=None, worker=None, branch=None, tags=None, source=None):
        selection = dict(since=since, until=until, builder=builder, worker=worker, branch=branch, tags=tags)
        return _statistic(name, series, source, selection)

    getter.__name__ = str(public)
    getter.__doc__ = (
        "A Deferred of the %s of a series, None where there is no data.\n\n"
        "    Ranges are [since, until); ``source`` is the name of an InfluxDBInstance, by default the first." % what
    )
    return getter


getAverage = _getter("getAverage", "mean", "average")
getDeviation = _getter("getDeviation", "stddev", "sample's deviation")
getMinimum = _getter("getMinimum", "min", "minimum")
getMaximum = _getter("getMaximum", "max", "maximum")
getMedian = _getter("getMedian", "median", "median")
getCount = _getter("getCount", "count", "number of values")
getSum = _getter("getSum", "sum", "sum")
getFirst = _getter("getFirst", "first", "first value")
getLast = _getter("getLast", "last", "last value")


def getPercentile(
    series, percentile, since=None, until=None, builder=None, worker=None, branch=None, tags=None, source=None
):
    """A Deferred of a percentile, 0 to 100: the item at floor(n * p / 100 + .5) of the sorted values."""
    if not isinstance(percentile, (int, float)) or not 0 <= percentile <= 100:
        raise MeasureError("percentile %r: expected a number from 0 to 100" % (percentile,))
    selection = dict(since=since, until=until, builder=builder, worker=worker, branch=branch, tags=tags)
    return _statistic("percentile", series, source, selection, percentile)
