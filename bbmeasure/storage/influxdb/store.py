"""InfluxDB store: answers queries with the server's own aggregates.

Several masters can write to one database and read each other's points.  The measurement ``bbmeasure_series`` holds the
metadata of the series of each builder: tags ``series`` and ``builder``, or ``outside=yes`` for points outside builds;
fields ``kind``, ``unit``, ``better``, the full ``name``, and the ``master`` that wrote it.  The latest row is valid.
Rows of version 0.1 have the tag ``series`` only, and are valid for builders without rows.  Exporting points does not
need this module, see :mod:`bbmeasure.export.exporter`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Optional, TypeVar, cast

from twisted.internet import defer
from twisted.python.failure import Failure

from bbmeasure.errors import MeasureError, StorageError
from bbmeasure.model import EVERY_PROPOSAL, Bucket, Health, LineInfo, Point, Query, SeriesInfo
from bbmeasure.records import Kind, canonical_series
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage import query_chain
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import (
    METADATA,
    LineWriter,
    measurement,
    metadata_line,
    request_bodies,
)
from bbmeasure.storage.influxdb.results import (
    Lines,
    buckets_of_rows,
    known_builders,
    metadata_key,
    of_meaning,
    read_builders,
    read_metadata,
    read_points,
    read_series,
    read_statistics,
    read_twins,
    read_workers,
    total_count,
)
from bbmeasure.storage.influxdb.server import PARSE_ERRORS, ErrorKind, Server, ServerError
from bbmeasure.storage.validation import (
    bucket_edges,
    check_buckets,
    check_limit,
    check_text_statistics,
    make_buckets,
    one_meaning,
    reconcile,
    state_series,
)
from bbmeasure.times import NANOSECONDS

#: Points per request.
BATCH = 5_000
#: Points that one request deletes.
DELETIONS = 100
#: Up to so many points are put into buckets here, exact to the nanosecond; for more the server computes the buckets.
EXACT_BUCKET_POINTS = 2_000
#: Nanoseconds after which metadata is written again, before a retention policy deletes it.
_METADATA_REFRESH = 86_400 * NANOSECONDS


QueryMethod = TypeVar("QueryMethod", bound=Callable[..., "defer.Deferred[Any]"])


def _checks_response(method: QueryMethod) -> QueryMethod:
    """Make a method fail with a ServerError if the response has an unexpected format."""

    @wraps(method)
    def checked(self: InfluxStorage, *args: Any, **options: Any) -> defer.Deferred[Any]:
        return method(self, *args, **options).addErrback(self._unexpected_response)

    return cast("QueryMethod", checked)


class InfluxStorage:
    """Store in one database of an InfluxDB 1.x or of a compatible server.

    Writes go to the server directly, without an outbox.  ``clock`` dates metadata and running totals.
    """

    def __init__(
        self,
        name: str,
        client: InfluxClient,
        *,
        clock: Any,
        tag_build_number: bool = False,
        exact_bucket_points: int = EXACT_BUCKET_POINTS,
    ) -> None:
        self.name = name
        self.client = client
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self._writer = LineWriter(tag_build_number=tag_build_number)
        self._exact_bucket_points = exact_bucket_points
        self._last_error: Optional[str] = None

    @property
    def _server(self) -> Server:
        return self.client.server

    @property
    def _policy(self) -> Optional[str]:
        return self._server.retention_policy

    def _now(self) -> int:
        return int(self.clock.seconds() * NANOSECONDS)

    @defer.inlineCallbacks
    def _query(self, statement: influxql.Statement, handle: Any = None) -> Generator[Any, Any, Any]:
        """Execute a statement and return the series of each of its parts; counts queries and failures."""
        self.counters["queries"] += 1
        try:
            results = yield self.client.query(statement, handle)
        except StorageError as error:
            self.counters["failures"] += 1
            self._last_error = str(error)
            raise
        self._last_error = None
        return results

    def _unexpected_response(self, failure: Failure) -> Failure:
        error = failure.value
        if isinstance(error, MeasureError) or not isinstance(error, PARSE_ERRORS):
            return failure
        self.counters["failures"] += 1
        message = self._server.redact(f"{type(error).__name__}: {error}")
        unexpected = ServerError(ErrorKind.UNEXPECTED_RESPONSE, message, 200)
        self._last_error = str(unexpected)
        raise unexpected from error

    # metadata

    @_checks_response
    @defer.inlineCallbacks
    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False
    ) -> Generator[Any, Any, SeriesInfo]:
        """Declare a series of one builder, see :meth:`~bbmeasure.storage.base.Storage.declare`."""
        measurement(info.name)
        results = yield self._query(influxql.series_metadata(info.name, policy=self._policy))
        found = read_metadata(results[0])
        own = found.get(metadata_key(info))
        stored = own or found.get((canonical_series(info.name), None))
        declared = SeriesInfo(info.name, info.kind, info.unit, info.better, info.builders)
        current = None if stored is None else replace(stored.info, name=info.name, builders=info.builders)
        if current is not None:
            declared = reconcile(current, declared, override=override, override_unit=override_unit)
        now = self._now()
        if own is None or stored is None or declared != current or now - stored.time > _METADATA_REFRESH:
            time = now if stored is None else max(now, stored.time + 1)
            master = "" if stored is None else stored.master
            yield self.client.write(metadata_line(declared, time, master).encode("utf-8", "replace"))
        return declared

    @_checks_response
    @defer.inlineCallbacks
    def series(
        self,
        builders: Optional[frozenset[str]] = None,
        *,
        branch: Optional[str] = None,
        proposal: Optional[str] = None,
    ) -> Generator[Any, Any, list[SeriesInfo]]:
        """Return all series that have metadata, a number or a text, one for each name, kind and unit.

        With ``builders``, ``branch`` or a proposal, only series with such points, and their counts and values.
        """
        query = Query("*", builders=builders, branch=branch, proposal=proposal)
        metadata, *contents = yield self._query(
            influxql.join(
                influxql.series_metadata(policy=self._policy), influxql.series_contents(query, policy=self._policy)
            )
        )
        is_whole = query in (Query("*"), Query("*", proposal=EVERY_PROPOSAL))
        return read_series(read_metadata(metadata), contents, with_empty=is_whole)

    @_checks_response
    @defer.inlineCallbacks
    def forget(self, series: str) -> Generator[Any, Any, int]:
        """Delete a series with its points, metadata and running totals; returns the number of points."""
        results = yield self._query(
            influxql.join(
                influxql.extent(Query(series, proposal=EVERY_PROPOSAL)), influxql.state_keys(policy=self._policy)
            )
        )
        keys = [row[1] for one in results[3] for row in one["values"]]
        yield self._query(influxql.forget(series, [key for key in keys if state_series(key) == series]))
        return total_count(results[2])

    # writing

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Write points and running totals.

        Nothing is written if a point is invalid.  Up to BATCH points are one request.  A point that was written before
        for a build of a proposal, or now is, is deleted under its former tags.
        """
        try:
            bodies = request_bodies(self._writer, points, state or {}, self._now(), BATCH)
        except StorageError:
            return defer.fail()
        return self._send(bodies, points)

    @_checks_response
    @defer.inlineCallbacks
    def _send(self, bodies: Sequence[bytes], points: Sequence[Point]) -> Generator[Any, Any, None]:
        for body in bodies:
            yield self.client.write(body)
        groups: dict[tuple[str, bool], list[Point]] = {}
        for point in points:
            groups.setdefault((canonical_series(point.series), influxql.is_proposed(point)), []).append(point)
        for (series, _), moved in groups.items():
            (chunks,) = yield self._query(influxql.twins(moved, policy=self._policy))
            rows = read_twins(chunks, moved)
            for at in range(0, len(rows), DELETIONS):
                yield self._query(influxql.delete(series, rows[at : at + DELETIONS]))

    @_checks_response
    @defer.inlineCallbacks
    def recall(self, keys: Sequence[str]) -> Generator[Any, Any, dict[str, float]]:
        """Return the latest running totals of those ``keys`` that have one."""
        if not keys:
            return {}
        results = yield self._query(influxql.recall(keys, policy=self._policy))
        return {key: float(result[0]["values"][0][1]) for key, result in zip(keys, results) if result}

    # reading

    @defer.inlineCallbacks
    def _scope(self, query: Query) -> Generator[Any, Any, dict[str, Any]]:
        """Return the retention policy and, for ``exact_tags``, the series' tag keys."""
        tag_keys: list[str] = []
        if query.exact_tags:
            results = yield self._query(influxql.tag_keys(query.series, policy=self._policy))
            tag_keys = [row[0] for one in results[0] for row in one["values"]]
        return {"policy": self._policy, "tag_keys": tag_keys}

    @defer.inlineCallbacks
    def _builders(self, query: Query, scope: dict[str, Any]) -> Generator[Any, Any, dict[str, SeriesInfo]]:
        """Return the metadata of the series by builder, for those that have the query's kind and unit.

        The points are read only if builders without metadata, or of several meanings, may match.
        """
        metadata, names, outside = yield self._query(
            influxql.join(
                influxql.series_metadata(query.series, policy=self._policy), influxql.builder_names(query, **scope)
            )
        )
        stored = read_metadata(metadata)
        known = known_builders(stored, names, outside, query)
        if known is not None:
            known = of_meaning(query, known)
            if len({(info.kind, info.unit) for info in known.values()}) <= 1:
                return known
        (contents,) = yield self._query(influxql.builder_contents(query, **scope))
        return of_meaning(query, read_builders(stored, contents, canonical_series(query.series)))

    @defer.inlineCallbacks
    def _one_meaning(self, query: Query) -> Generator[Any, Any, tuple[Query, dict[str, Any], Optional[Kind]]]:
        """Return the query restricted to builders of its kind and unit, its scope, and the kind, None without points.

        Raises QueryError where the builders have different kinds or units.
        """
        scope = yield self._scope(query)
        infos = yield self._builders(query, scope)
        meaning = one_meaning(query.series, {(builder, info.kind, info.unit) for builder, info in infos.items()})
        return influxql.restricted(query, infos), scope, None if meaning is None else meaning[0]

    @_checks_response
    @defer.inlineCallbacks
    def last(self, query: Query, before: Optional[int] = None) -> Generator[Any, Any, Optional[Point]]:
        """Return the newest point; with ``before``, the newest of a build with a smaller buildid."""
        scope = yield self._scope(query)
        if query.kind is not None or query.unit is not None:
            query = influxql.restricted(query, (yield self._builders(query, scope)))
        found = yield self._points(
            influxql.points(query, 1, before=before, **scope), {canonical_series(query.series): query.series}
        )
        return found[0] if found else None

    @_checks_response
    @defer.inlineCallbacks
    def points(self, query: Query, limit: int) -> Generator[Any, Any, list[Point]]:
        """Return the newest ``limit`` points, oldest first."""
        check_limit(limit)
        query, scope, _ = yield self._one_meaning(query)
        return (yield self._newest(query, limit, scope))  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def _newest(self, query: Query, limit: int, scope: dict[str, Any]) -> Generator[Any, Any, list[Point]]:
        names = {canonical_series(query.series): query.series}
        found = yield self._points(influxql.points(query, limit, **scope), names)
        found.reverse()
        return found  # type: ignore[no-any-return]

    @_checks_response
    @defer.inlineCallbacks
    def lines(self, query: Query) -> Generator[Any, Any, list[LineInfo]]:
        """Return the lines of the matching points.  The server reads all of them, as branches have no index."""
        scope = yield self._scope(query)
        builders = yield self._builders(query, scope)
        lines = Lines()
        yield self._query(
            influxql.lines(influxql.restricted(query, builders), **scope),
            lambda _, chunk: lines.add(read_points(query.series, chunk)),
        )
        return lines.infos(builders)

    @_checks_response
    @defer.inlineCallbacks
    def workers(self, query: Query) -> Generator[Any, Any, list[str]]:
        """Return the workers of the matching points, "" for points without one."""
        query, scope, _ = yield self._one_meaning(query)
        (counts,) = yield self._query(influxql.workers(query, **scope))
        return read_workers(counts)

    @_checks_response
    @defer.inlineCallbacks
    def records(self, buildid: int) -> Generator[Any, Any, list[Point]]:
        """Return all points of a build, sorted by time.  The server scans all its points."""
        names: dict[str, str] = {}
        statement = influxql.join(
            influxql.series_metadata(policy=self._policy), influxql.records(buildid, policy=self._policy)
        )
        found = yield self._points(statement, names)
        return sorted(found, key=lambda point: point.time)

    @defer.inlineCallbacks
    def _points(self, statement: influxql.Statement, names: dict[str, str]) -> Generator[Any, Any, list[Point]]:
        """Return the points of a response, read chunk by chunk; ``names`` maps measurements to series."""
        found: list[Point] = []

        def handle(_: int, chunk: Mapping[str, Any]) -> None:
            if chunk["name"] == METADATA:
                names.update((name, stored.info.name) for (name, _), stored in read_metadata([chunk]).items())
            else:
                found.extend(read_points(names.get(chunk["name"], chunk["name"]), chunk))

        yield self._query(statement, handle)
        return found

    @_checks_response
    @defer.inlineCallbacks
    def summarize(
        self, query: Query, statistics: Sequence[Statistic]
    ) -> Generator[Any, Any, dict[str, Optional[Value]]]:
        """Return each statistic by its name, None without data."""
        query, scope, kind = yield self._one_meaning(query)
        if kind is not None:
            check_text_statistics(query.series, kind, statistics)
        (result,) = yield self._query(influxql.summarize(query, statistics, **scope))
        row = result[0]["values"][0][1:] if result else []
        return read_statistics(row, statistics)

    run_chain = query_chain.run_chain

    @_checks_response
    @defer.inlineCallbacks
    def buckets(self, query: Query, count: int) -> Generator[Any, Any, list[Bucket]]:
        """Return ``count`` equal buckets from ``since`` or the first point to ``until`` or the last; [] without data.

        With more than EXACT_BUCKET_POINTS points, points within 2 microseconds before an edge can be counted after it.
        """
        check_buckets(count)
        query, scope, _ = yield self._one_meaning(query)
        oldest, newest, counts = yield self._query(influxql.extent(query, **scope))
        points = total_count(counts)
        if not points:
            return []
        first = oldest[0]["values"][0][0] if query.since is None else query.since
        end = newest[0]["values"][0][0] + 1 if query.until is None else query.until
        edges = bucket_edges(first, end, count)
        if points <= self._exact_bucket_points:
            found = yield self._newest(query, points, scope)
            return make_buckets(edges, found)
        width = max(1, (end - first) // count)
        (result,) = yield self._query(influxql.buckets(query, first, end, width, **scope))
        return buckets_of_rows(edges, width, result[0]["values"])

    def health(self) -> Health:
        """Return the counters ``queries`` and ``failures``, and the error of the last query."""
        return Health(self.name, last_error=self._last_error, counters=dict(self.counters))

    def close(self) -> defer.Deferred[None]:
        """Close the connections."""
        self.client.close()
        return defer.succeed(None)
