"""What each path of the JSON API answers, for the person who asks: texts of JSON, made as they are sent.

Nothing that a person may not see is in an answer; asked for by its name, it is :class:`Refused`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable, Optional, TypeVar
from weakref import WeakKeyDictionary

from buildbot.util import datetime2epoch
from twisted.internet import defer

from bbmeasure import statistics, times
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError, UnknownSeriesError
from bbmeasure.master.services import journals
from bbmeasure.master.tracking.finished_build import builder_of
from bbmeasure.master.www.arguments import TAG, WHERE, Arguments
from bbmeasure.master.www.authorization import Viewer
from bbmeasure.master.www.streaming import JsonWriter, Parts, items, listed, whole
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.reports import serialize
from bbmeasure.reports.getters import source_of
from bbmeasure.storage.base import Storage
from bbmeasure.storage.influxdb.line_protocol import clean_series
from bbmeasure.units import excerpt

#: Seconds for which kinds and units of series are remembered.
REMEMBERED = 2.0
#: Overviews whose JSON is kept: each thread that reads the journal gives its own list of the same series.
OVERVIEWS = 2
#: The largest id of a build that is looked for.
LARGEST_BUILDID = 2**31 - 1
#: Questions to the store that one request has open at a time.
AT_ONCE = 8
#: Points that one question is for.  Two objects each stay below the 700 new ones after which Python looks for garbage,
#: which among all of a master's objects takes 100 ms now and then.  A server is asked for more at a time.
A_PAGE = 250
A_SERVERS_PAGE = 5_000
#: Seconds before and after a build that a link to a dashboard shows.
MARGIN = 300.0

Item = TypeVar("Item")
Result = TypeVar("Result")


class Refused(MeasureError):
    """Something that the person may not see."""


class Endpoints:
    """Answers for one master.  Each method is a path and takes the arguments in :data:`ARGUMENTS` of its name."""

    ARGUMENTS = {
        "series": ("source",),
        "statistics": ("series", *WHERE, TAG, "source", "statistics"),
        "points": ("series", *WHERE, TAG, "source", "limit", "buckets"),
        "records": ("buildid",),
        "health": (),
        "links": ("builder", "series", "buildid", "since", "until"),
    }

    def __init__(self, master: Any, state: MasterState, json_writer: JsonWriter) -> None:
        self.master = master
        self.state = state
        self.pipeline = state.pipeline
        self._json_writer = json_writer
        self._pages: WeakKeyDictionary[Storage, defer.DeferredLock] = WeakKeyDictionary()
        self._infos: dict[str, SeriesInfo] = {}
        self._infos_of: Optional[Storage] = None
        self._until = 0.0
        self._overviews: deque[tuple[list[SeriesInfo], list[bytes]]] = deque(maxlen=OVERVIEWS)

    def _now(self) -> float:
        return float(self.master.reactor.seconds())

    def _storage(self, given: Arguments) -> Storage:
        """The store that is asked; UnknownSeriesError where the master keeps nothing."""
        if self.pipeline.opted_out:
            raise UnknownSeriesError("this master keeps no measurements: c['services'] has no instance of bbmeasure")
        return source_of(given.get("source"), self.master)

    # what there is

    @defer.inlineCallbacks
    def _known(self, storage: Storage, name: Optional[str] = None) -> Generator[Any, Any, dict[str, SeriesInfo]]:
        """What series there are, asked for anew after a while and where ``name`` is not among them."""
        stale = storage is not self._infos_of or self._now() >= self._until
        if stale or (name is not None and name not in self._infos):
            yield self._all(storage)
        return self._infos

    @defer.inlineCallbacks
    def _all(self, storage: Storage) -> Generator[Any, Any, list[SeriesInfo]]:
        """All series as they are now."""
        found: list[SeriesInfo] = yield storage.series()
        self._infos = {info.name: info for info in found}
        self._infos_of, self._until = storage, self._now() + REMEMBERED
        return found

    @defer.inlineCallbacks
    def _info(self, storage: Storage, given: Arguments) -> Generator[Any, Any, SeriesInfo]:
        """The series that is asked about; UnknownSeriesError where there is none."""
        name = given.need("series")
        known = yield self._known(storage, name)
        info: Optional[SeriesInfo] = known.get(name) or known.get(clean_series(name))
        if info is None:
            raise UnknownSeriesError(f"series {excerpt(name)}: no such series")
        return info

    def _check_still_there(self, storage: Storage, given: Arguments) -> defer.Deferred[SeriesInfo]:
        """Where there is nothing, the series may just have been forgotten: UnknownSeriesError."""
        self._until = 0.0
        return self._info(storage, given)

    @defer.inlineCallbacks
    def _query(self, info: SeriesInfo, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Query]:
        """What is asked for, without what may not be seen; Refused where nothing would be left."""
        builder = given.get("builder")
        query = given.query(self._now(), None)
        if builder is not None:
            yield self._check_builder(builder, viewer)
            return query
        visible = yield viewer.visible()
        if visible is not None and visible.isdisjoint(info.builders):
            raise Refused(f"series {excerpt(info.name)}: you may not see it")
        return given.query(self._now(), visible)

    @defer.inlineCallbacks
    def _check_builder(self, builder: str, viewer: Viewer) -> Generator[Any, Any, None]:
        if not (yield viewer.may_see(builder)):
            raise Refused(f"builder {excerpt(builder)}: you may not see its builds")

    @defer.inlineCallbacks
    def series(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """All series; those of which only a part may be seen tell of that part."""
        storage = self._storage(given)
        visible = yield viewer.visible()
        if visible is not None:
            return _overview((yield storage.series(visible)))
        infos = yield self._all(storage)
        for known, parts in self._overviews:
            if known is infos:  # nothing was written meanwhile
                return iter(parts)
        body = yield self._json_writer.write(_overview(infos))
        self._overviews.append((infos, body.parts))
        return iter(body.parts)

    @defer.inlineCallbacks
    def statistics(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """Statistics of one series."""
        storage = self._storage(given)
        info = yield self._info(storage, given)
        wanted = serialize.read_statistics(given.get("statistics"), info.kind)
        query = yield self._query(info, given, viewer)
        found = yield storage.summarize(query, (*wanted, statistics.STATISTICS["count"]))
        if not found["count"]:
            yield self._check_still_there(storage, given)
        told = {one.name: found[one.name] for one in wanted}
        return whole(serialize.statistics_answer(info, query.builder, int(found["count"] or 0), told))

    @defer.inlineCallbacks
    def points(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """Points of one series, or buckets of them."""
        storage = self._storage(given)
        limit = serialize.read_limit(given.get("limit"))
        cut = given.get("buckets")
        buckets = None if cut is None else serialize.read_buckets(cut)
        info = yield self._info(storage, given)
        query = yield self._query(info, given, viewer)
        if buckets is not None:
            found = yield storage.buckets(query, buckets)
            answer = listed(serialize.buckets_answer(info, ()), "buckets", items(found, serialize.bucket_answer))
        else:
            found = yield self._points(storage, query, limit)
            answer = listed(serialize.points_answer(info, ()), "points", found)
        if not found:
            yield self._check_still_there(storage, given)
        return answer

    @defer.inlineCallbacks
    def _points(self, storage: Storage, query: Query, limit: int) -> Generator[Any, Any, list[bytes]]:
        """The JSON of the newest points, oldest first.

        Fetched a page at a time from the newest backwards, and for one request at a time, so that never more than a
        page are kept as objects.
        """
        turns = self._pages.setdefault(storage, defer.DeferredLock())
        most = A_PAGE if storage in self.pipeline.stores else A_SERVERS_PAGE
        pages: list[list[bytes]] = []
        while limit > 0:
            wanted = min(limit, most)
            yield turns.acquire()
            try:
                found = yield storage.points(query, wanted)
                if len(found) < wanted:
                    limit = 0
                elif limit > wanted:  # the next page begins with all that share the time of the oldest of this one
                    oldest = found[0].time
                    found = [point for point in found if point.time > oldest] or found
                    query = replace(query, until=min(found[0].time, oldest + 1))
                limit -= len(found)
                page = yield self._json_writer.write(items(found, serialize.point_answer))
            finally:
                turns.release()
            pages.append(page.parts)
        return [part for page in reversed(pages) for part in page]

    # one build

    @defer.inlineCallbacks
    def records(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """What a build measured, each beside what the build before it did."""
        journal = self._storage(given)
        buildid = serialize.read_whole(given.need("buildid"), "buildid", 1, LARGEST_BUILDID)
        build = yield self._build(buildid, viewer)
        storage, found = journal, (yield journal.records(buildid))
        if not found and self.state.answering is not None:
            storage, found = self.state.answering, (yield self.state.answering.records(buildid))
        if build is None and not found:
            raise UnknownSeriesError(f"build {buildid}: no such build")
        if build is not None:  # another master's build may have the same id in a shared InfluxDB
            builder = yield builder_of(self.master, build)
            found = [point for point in found if builder is None or point.builder == builder["name"]]
        visible = yield viewer.visible()
        if visible is not None:
            shown = [point for point in found if point.builder in visible]
            if build is None and not shown:
                raise Refused(f"build {buildid}: you may not see it")
            found = shown
        known = yield self._known(storage)
        if any(point.series not in known for point in found):
            known = yield self._known(storage, "")
        previous = yield self._previous(storage, found, buildid)
        records = [(point, known[point.series], previous[_key(point)]) for point in found if point.series in known]
        return listed(
            serialize.records_answer(()), "records", items(records, lambda record: serialize.record_answer(*record))
        )

    @defer.inlineCallbacks
    def _build(self, buildid: int, viewer: Viewer) -> Generator[Any, Any, Any]:
        """The build as Buildbot knows it; None where it does not.  Refused where it may not be seen."""
        build = yield self.master.data.get(("builds", buildid))
        if build is not None and not (yield viewer.may_see_id(build["builderid"])):
            raise Refused(f"build {buildid}: you may not see it")
        return build

    @defer.inlineCallbacks
    def _previous(
        self, storage: Storage, found: Sequence[Point], buildid: int
    ) -> Generator[Any, Any, dict[str, Optional[Point]]]:
        """The last earlier point of each series, builder and tags."""
        wanted = list({_key(point): point for point in found}.items())

        def ask(item: tuple[str, Point]) -> defer.Deferred[Optional[Point]]:
            point = item[1]
            return storage.last(
                Query(point.series, builder=point.builder, tags=point.tags, exact_tags=True), before=buildid
            )

        before = yield _in_turns(wanted, ask)
        return {key: point for (key, _), point in zip(wanted, before)}

    # the rest

    @defer.inlineCallbacks
    def health(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """How the stores and sinks are, for whoever may see every builder: errors tell of names."""
        self._storage(given)
        if (yield viewer.visible()) is not None:
            raise Refused("health: for those who may see every builder")
        stores = [store.health() for store in dict.fromkeys((*self.pipeline.stores, *_by_name(self.state.sources)))]
        left = yield journals.left_sinks(self.state)
        sinks = [*(sink.health() for sink in _by_name(self.state.exporters)), *left]
        return whole(serialize.health_answer(self._now(), self.pipeline.counters, stores, sinks))

    @defer.inlineCallbacks
    def links(self, given: Arguments, viewer: Viewer) -> Generator[Any, Any, Parts]:
        """Where the instances' servers show the same; None where there is none, or where the master has opted out."""
        now = self._now()
        builder = given.get("builder")
        since, until = (times.read(given.get(name), now, name) for name in ("since", "until"))
        span = [None if at is None else times.seconds(at) for at in (since, until)]
        if builder is not None:
            yield self._check_builder(builder, viewer)
        buildid = given.get("buildid")
        if buildid is not None:
            build = yield self._build(serialize.read_whole(buildid, "buildid", 1, LARGEST_BUILDID), viewer)
            if build is None:
                raise UnknownSeriesError(f"build {buildid}: no such build")
            span = _span(build)
        found: dict[str, Optional[str]] = {"grafana": None, "influxdb": None}
        services = () if self.pipeline.opted_out else _by_name(self.master.service_manager.namedServices)
        for service in services:
            if hasattr(service, "measure_links"):
                links = service.measure_links(builder=builder, series=given.get("series"), since=span[0], until=span[1])
                found.update((name, link) for name, link in links.items() if found.get(name, "") is None)
        return whole(found)


def _overview(infos: Sequence[SeriesInfo]) -> Parts:
    """The JSON of all these."""
    return listed(serialize.series_answer(()), "series", items(infos, serialize.info_answer))


def _by_name(things: Mapping[str, Any]) -> list[Any]:
    """Values in the order of their names: Buildbot starts its services in any."""
    return [things[name] for name in sorted(things)]


def _key(point: Point) -> str:
    return json.dumps([point.series, point.builder, sorted(point.tags.items())])


def _span(build: Any) -> list[Optional[float]]:
    """Unix seconds around a build; open where it still runs."""
    began, ended = (build[name] and datetime2epoch(build[name]) for name in ("started_at", "complete_at"))
    return [began and began - MARGIN, ended and ended + MARGIN]


@defer.inlineCallbacks
def _in_turns(
    items: Sequence[Item], ask: Callable[[Item], defer.Deferred[Result]]
) -> Generator[Any, Any, list[Result]]:
    """The answers for ``items`` in their order, AT_ONCE questions at a time; the first error ends it."""
    found: list[Result] = []
    for at in range(0, len(items), AT_ONCE):
        asked = [ask(item) for item in items[at : at + AT_ONCE]]
        try:
            found += yield defer.gatherResults(asked, consumeErrors=True)
        except defer.FirstError as error:
            why: Any = error.subFailure.value
            raise why from None
    return found
