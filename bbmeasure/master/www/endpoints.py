"""The endpoints of the JSON API: one method a path.

An answer holds nothing that its user may not see; a request for it by name fails with :class:`AccessDeniedError`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from operator import methodcaller
from typing import Any, Callable, Optional, Union

from buildbot.util import datetime2epoch
from twisted.internet import defer

from bbmeasure import times
from bbmeasure.capture.gates import line_key
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import UnknownSeriesError
from bbmeasure.master.services import journals
from bbmeasure.master.tracking.finished_build import builders_of
from bbmeasure.master.tracking.suspects import find_commits
from bbmeasure.master.www.arguments import FILTERS, TAG_PREFIX, Arguments
from bbmeasure.master.www.authorization import AccessDeniedError, Viewer
from bbmeasure.master.www.badge import BADGE, badge, badge_text
from bbmeasure.master.www.parallel import map_parallel
from bbmeasure.master.www.points import PointReader, make_format
from bbmeasure.master.www.streaming import Body, Fragments, JsonWriter, encode, encode_items, encode_with_list
from bbmeasure.model import LineInfo, Overview, OverviewRow, Point, Query, SeriesInfo, line_query
from bbmeasure.reports import serialize
from bbmeasure.reports.alert_answers import alert_answer, alert_query, verdict_answer
from bbmeasure.reports.getters import select_storage
from bbmeasure.reports.groups import Group, groups_answer, make_groups, of_workers, read_by
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.overview import row_answer
from bbmeasure.reports.selection import Selection, every_line, read_selected, select_nothing
from bbmeasure.reports.series_statistics import StatisticsRequest, read_statistics
from bbmeasure.reports.verdict_queries import VerdictQueries
from bbmeasure.statistics import Statistic
from bbmeasure.storage.base import Storage
from bbmeasure.units import excerpt

#: Encoded lists of series that are cached; each thread that reads the journal returns its own list of the same series.
MAX_CACHED_LISTS = 2
#: Seconds before and after a build in a link to a dashboard.
LINK_MARGIN = 300.0


class Endpoints:
    """The endpoints of one master.

    Each method answers the path of its name, without extension, and takes the arguments in :data:`ARGUMENTS`.
    """

    ARGUMENTS = {
        "series": ("branch", "proposal", "source", "limit", "page"),
        "statistics": ("series", *FILTERS, "source", "statistics", "by"),
        "points": ("series", *FILTERS, "source", "limit", "buckets", "format", "analysis"),
        "overview": ("series", "search", "builder", "branch", "kind", "unit", "since", "values", "limit", "page"),
        "records": ("buildid",),
        "commits": ("buildid", "after"),
        "alerts": ("state", "series", "builder", "branch", "since"),
        "health": (),
        "links": ("builder", "series", "buildid", "since", "until"),
        BADGE: ("series", "builder", "branch", TAG_PREFIX),
    }

    def __init__(self, master: Any, state: MasterState, json_writer: JsonWriter) -> None:
        self.master = master
        self.state = state
        self.pipeline = state.pipeline
        self._json_writer = json_writer
        self._points = PointReader(state.pipeline, json_writer)
        self._verdicts = VerdictQueries(state.component(Judge))
        self._encoded_lists: deque[tuple[list[SeriesInfo], Body]] = deque(maxlen=MAX_CACHED_LISTS)

    def _now(self) -> float:
        return float(self.master.reactor.seconds())

    def _storage(self, arguments: Arguments) -> Storage:
        """The store that answers; UnknownSeriesError if the master has no instance."""
        if self.pipeline.opted_out:
            raise UnknownSeriesError("this master keeps no measurements: c['services'] has no instance of bbmeasure")
        return select_storage(arguments.get("source"), self.master)

    @defer.inlineCallbacks
    def _visible_query(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Query]:
        """The query for the points that the user may see."""
        query = arguments.query(self._now())
        if query.builder is not None:
            yield self._check_builder(query.builder, viewer)
            return query
        visible = yield viewer.visible()
        return query if visible is None else replace(query, builders=visible)

    @defer.inlineCallbacks
    def _select(
        self, storage: Storage, query: Query, viewer: Viewer, read: Callable[[Selection], Any]
    ) -> Generator[Any, Any, tuple[Selection, Sequence[LineInfo], Any]]:
        """The selection of a query, its lines and the result of ``read``'s call, also where no line matches.

        See :func:`~bbmeasure.reports.selection.read_selected`.

        UnknownSeriesError for a series without points, AccessDeniedError where the user may see none of them.
        """
        found = yield storage.run_chain(read_selected(query, read))
        if found is None:
            visible = yield viewer.visible()
            lines: list[LineInfo] = yield storage.lines(every_line(query))
            shown = [line for line in lines if visible is None or line.builder in visible]
            if lines and not shown:
                raise AccessDeniedError(f"series {excerpt(query.series)}: you may not see it")
            selection = select_nothing(query, shown)
            call = read(selection)
            found = selection, [], None if call is None else (yield call(storage))
        return found  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def _check_builder(self, builder: str, viewer: Viewer) -> Generator[Any, Any, None]:
        if not (yield viewer.may_see(builder)):
            raise AccessDeniedError(f"builder {excerpt(builder)}: you may not see its builds")

    @defer.inlineCallbacks
    def series(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Union[Fragments, Body]]:
        """All series or one page of them, with counts and times of the visible builders only."""
        storage = self._storage(arguments)
        page = arguments.page()
        visible = yield viewer.visible()
        infos = yield storage.series(visible, **arguments.series_filter())
        if page is not None:
            return _encode_series(infos[page], total=len(infos))
        for cached, body in self._encoded_lists:
            if cached is infos:  # a store returns the same list until something is written
                return body
        encoded: Body = yield self._json_writer.write(_encode_series(infos))
        self._encoded_lists.append((infos, encoded))
        return encoded

    @defer.inlineCallbacks
    def statistics(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """Statistics of one series."""
        storage = self._storage(arguments)
        query = yield self._visible_query(arguments, viewer)
        if arguments.get("by") is not None:
            answer = yield self._grouped(storage, query, arguments, viewer)
            return encode(answer)

        def request(selection: Selection) -> StatisticsRequest:
            return StatisticsRequest(selection, query, _statistics(arguments, selection))

        selection, _, values = yield self._select(
            storage, query, viewer, lambda selection: methodcaller("summarize", query, request(selection).statistics)
        )
        return encode(request(selection).answer(values))

    @defer.inlineCallbacks
    def _grouped(
        self, storage: Storage, query: Query, arguments: Arguments, viewer: Viewer
    ) -> Generator[Any, Any, dict[str, Any]]:
        """The statistics for each combination of builder, branch, machine class, worker and tags."""
        selection, lines, _ = yield self._select(storage, query, viewer, lambda _: None)
        statistics = _statistics(arguments, selection)
        by = read_by(arguments.require("by"))
        groups = make_groups(query, lines, by, statistics) if lines else []
        if "worker" in by:
            workers = yield map_parallel(lambda group: storage.workers(group.request.query), groups)
            groups = of_workers(groups, workers, by)

        def summarize(group: Group) -> defer.Deferred[dict[str, Any]]:
            values = storage.summarize(group.request.query, group.request.statistics)
            return values.addCallback(group.answer)

        answers = yield map_parallel(summarize, groups)
        return groups_answer(selection, by, answers)

    @defer.inlineCallbacks
    def overview(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """One page of the lines that the user may see; always answered by the journal."""
        storage = self._storage(arguments)
        query = arguments.overview(self._now())
        if query.builder is not None:
            yield self._check_builder(query.builder, viewer)
        else:
            query = replace(query, builders=(yield viewer.visible()))
        journal = storage if storage in self.pipeline.stores else self.pipeline.stores[0]
        found: Overview = yield journal.overview(query)
        verdicts = yield self._verdicts.of_rows(found.rows)

        def answer(row: OverviewRow) -> dict[str, Any]:
            return {**row_answer(row), **verdict_answer(verdicts.get(row.line_id), self._verdicts.limits_of(row))}

        items = encode_items(found.rows, answer)
        return encode_with_list({"total": found.total}, "rows", items)

    @defer.inlineCallbacks
    def alerts(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The alerts that the user may see, newest first."""
        self._storage(arguments)
        now = self._now()
        query = alert_query(now=now, **{name: arguments.get(name) for name in self.ARGUMENTS["alerts"]})
        if query.builder is not None:
            yield self._check_builder(query.builder, viewer)
        else:
            query = replace(query, builders=(yield viewer.visible()))
        found, mutes = yield self._verdicts.alerts(query)
        return encode_with_list({}, "alerts", encode_items(found, lambda alert: alert_answer(alert, mutes, now)))

    @defer.inlineCallbacks
    def points(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """Points of one series, or buckets of them."""
        storage = self._storage(arguments)
        bucket_count = arguments.buckets()
        query = yield self._visible_query(arguments, viewer)
        if bucket_count is None:
            answer: Optional[Fragments] = yield self._points.answer(storage, query, arguments)
            if answer is None:
                selection, lines, _ = yield self._select(storage, query, viewer, lambda _: None)
                answer = make_format(selection.info, lines, arguments).body(())
            return answer
        selection, _, found = yield self._select(
            storage, query, viewer, lambda _: methodcaller("buckets", query, bucket_count)
        )
        items = encode_items(found, serialize.bucket_answer)
        return encode_with_list(serialize.buckets_answer(selection.info, ()), "buckets", items)

    @defer.inlineCallbacks
    def records(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The points of one build, each with the value of the previous build."""
        storage = self._storage(arguments)
        arguments.require("buildid")
        buildid: int = arguments.buildid() or 0
        build = yield self._find_build(buildid, viewer)
        points = yield storage.records(buildid)
        if not points and self.state.answering is not None:
            storage = self.state.answering
            points = yield storage.records(buildid)
        if build is None and not points:
            raise UnknownSeriesError(f"build {buildid}: no such build")
        points = yield self._visible_records(points, buildid, build, viewer)
        infos = yield _infos_of(storage, points)
        previous = yield self._previous_points(storage, points, buildid)
        verdicts = yield self._verdicts.of_build(buildid)
        records = [
            (point, info, previous[_line_key(point)])
            for point in points
            if (info := infos.get((point.series, point.builder))) is not None
        ]
        items = encode_items(
            records,
            lambda record: {
                **serialize.record_answer(*record),
                **verdict_answer(verdicts.get(line_key(record[0].series, record[0].tags))),
            },
        )
        return encode_with_list(serialize.records_answer(()), "records", items)

    @defer.inlineCallbacks
    def _visible_records(
        self, points: list[Point], buildid: int, build: Any, viewer: Viewer
    ) -> Generator[Any, Any, list[Point]]:
        """The points of this master's build that the user may see.

        In an InfluxDB that several masters share, another master's build may have the same id.
        """
        if build is not None:
            builders = yield builders_of(self.master, build)
            points = [point for point in points if not any(builders) or point.builder in builders]
        visible = yield viewer.visible()
        if visible is None:
            return points
        shown = [point for point in points if point.builder in visible]
        if build is None and not shown:
            raise AccessDeniedError(f"build {buildid}: you may not see it")
        return shown

    @defer.inlineCallbacks
    def _find_build(self, buildid: int, viewer: Viewer) -> Generator[Any, Any, Any]:
        """Buildbot's data of a build, None if it has none; AccessDeniedError if the user may not see it."""
        build = yield self.master.data.get(("builds", buildid))
        if build is not None and not (yield viewer.may_see_id(build["builderid"])):
            raise AccessDeniedError(f"build {buildid}: you may not see it")
        return build

    @defer.inlineCallbacks
    def _previous_points(
        self, storage: Storage, points: Sequence[Point], buildid: int
    ) -> Generator[Any, Any, dict[str, Optional[Point]]]:
        """The newest point of an earlier build, not of a proposal, of each line that the points are compared with."""
        lines = {_line_key(point): point for point in points}

        def last(point: Point) -> defer.Deferred[Optional[Point]]:
            query = line_query(point.series, point.tags, point.build)
            return defer.succeed(None) if query is None else storage.last(query, before=buildid)

        return dict(zip(lines, (yield map_parallel(last, list(lines.values())))))

    @defer.inlineCallbacks
    def commits(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The commits of a build that the build ``after`` lacks."""
        arguments.require("buildid")
        buildid, after = arguments.buildid(), arguments.buildid("after")
        for each in (buildid, after):
            if each is not None and (yield self._find_build(each, viewer)) is None:
                raise UnknownSeriesError(f"build {each}: no such build")
        commits = yield find_commits(self.master, buildid or 0, after)
        return encode({"commits": commits})

    @defer.inlineCallbacks
    def health(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The state of stores and exporters, for users who may see every builder because errors hold names."""
        self._storage(arguments)
        if (yield viewer.visible()) is not None:
            raise AccessDeniedError("health: for those who may see every builder")
        stores = [store.health() for store in dict.fromkeys((*self.pipeline.stores, *_by_name(self.state.sources)))]
        abandoned = yield journals.abandoned_exporters(self.state)
        sinks = [*(exporter.health() for exporter in _by_name(self.state.exporters)), *abandoned]
        counters = {**self.pipeline.counters, "waiting": self.pipeline.waiting}
        return encode(serialize.health_answer(self._now(), counters, stores, sinks))

    @defer.inlineCallbacks
    def links(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The URLs at which the instances' servers show the same; None if there is no such server."""
        now = self._now()
        builder = arguments.get("builder")
        bounds = (times.read(arguments.get(name), now, name) for name in ("since", "until"))
        since, until = (None if bound is None else times.seconds(bound) for bound in bounds)
        if builder is not None:
            yield self._check_builder(builder, viewer)
        buildid = arguments.buildid()
        if buildid is not None:
            build = yield self._find_build(buildid, viewer)
            if build is None:
                raise UnknownSeriesError(f"build {buildid}: no such build")
            since, until = _range_around(build)
        urls: dict[str, Optional[str]] = {"grafana": None, "influxdb": None}
        services = () if self.pipeline.opted_out else _by_name(self.master.service_manager.namedServices)
        for service in services:
            if hasattr(service, "measure_links"):
                links = service.measure_links(builder=builder, series=arguments.get("series"), since=since, until=until)
                urls.update((name, url) for name, url in links.items() if urls.get(name, "") is None)
        return encode(urls)

    @defer.inlineCallbacks
    def badge(self, arguments: Arguments, viewer: Viewer) -> Generator[Any, Any, Fragments]:
        """The newest value of a series with its verdict, as an image."""
        storage = self._storage(arguments)
        query = yield self._visible_query(arguments, viewer)
        selection, _, point = yield self._select(storage, query, viewer, lambda _: methodcaller("last", query))
        verdict = None
        if point is not None and point.build is not None:
            verdicts = yield self._verdicts.of_build(point.build.buildid)
            verdict = verdicts.get(line_key(point.series, point.tags))
        return iter([badge(query.series, badge_text(selection.info, point), verdict and verdict.verdict.state)])


def _statistics(arguments: Arguments, selection: Selection) -> tuple[Statistic, ...]:
    return read_statistics(arguments.get("statistics"), selection.info.kind)


def _encode_series(infos: Sequence[SeriesInfo], *, total: Optional[int] = None) -> Fragments:
    """The answer; ``total`` is the number of all series where ``infos`` is one page of them."""
    fields = serialize.series_answer(()) if total is None else {**serialize.series_answer(()), "total": total}
    return encode_with_list(fields, "series", encode_items(infos, serialize.info_answer))


def _by_name(values: Mapping[str, Any]) -> list[Any]:
    """The values sorted by their names, as Buildbot starts its services in any order."""
    return [values[name] for name in sorted(values)]


@defer.inlineCallbacks
def _infos_of(
    storage: Storage, points: Sequence[Point]
) -> Generator[Any, Any, dict[tuple[str, Optional[str]], SeriesInfo]]:
    """The series of the points by name and builder."""
    builders = frozenset(point.builder or "" for point in points)
    infos: list[SeriesInfo] = (yield storage.series(builders, proposal="*")) if builders else []
    return {(info.name, builder): info for info in infos for builder in info.builders or (None,)}


def _line_key(point: Point) -> str:
    return json.dumps([point.series, point.builder, sorted(point.tags.items())])


def _range_around(build: Any) -> tuple[Optional[float], Optional[float]]:
    """Unix seconds before the start and after the end of a build; None for the end of a running build."""
    started, completed = (build[name] and datetime2epoch(build[name]) for name in ("started_at", "complete_at"))
    return started and started - LINK_MARGIN, completed and completed + LINK_MARGIN
