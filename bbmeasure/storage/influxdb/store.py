"""InfluxStorage: an InfluxDB as a store that answers for itself, by its own aggregates.

Several masters may write into one database and read each other's points: what each series is stands in the measurement
``bbmeasure_series`` (tag ``series``; fields ``kind``, ``unit``, ``better``, the full ``name``, and the ``master`` that
said it), whose last word holds.  Nothing here is needed to ship points to the server, which is
:mod:`bbmeasure.export.exporter`' work.
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
from bbmeasure.model import NANOSECONDS, Bucket, Health, Point, Query, SeriesInfo
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import (
    DECLARATIONS,
    STATE,
    LineWriter,
    clean_series,
    clean_text,
    key,
    measurement,
    slices,
)
from bbmeasure.storage.influxdb.results import (
    count_of,
    declaration,
    fill_in,
    large_buckets,
    read_declared,
    read_points,
    small_buckets,
    statistics_of,
)
from bbmeasure.storage.influxdb.server import ODD, Server, ServerError, Trouble
from bbmeasure.storage.validation import (
    bucket_edges,
    check_buckets,
    check_limit,
    check_point,
    check_stream,
    check_text_statistics,
    reconcile,
    state_series,
)

#: Points that go to the server in one request.
BATCH = 5_000
#: Up to so many points are read and put into buckets here, to the nanosecond; of more the server makes buckets.
SMALL = 2_000
#: What was said of a series is said again after so long, so that a retention policy does not take it away.
_SAY_AGAIN = 86_400 * NANOSECONDS


Asking = TypeVar("Asking", bound=Callable[..., "defer.Deferred[Any]"])


def _understood(method: Asking) -> Asking:
    """Have a question fail with a ServerError where its answer has another form than was asked for."""

    @wraps(method)
    def asking(self: InfluxStorage, *args: Any, **options: Any) -> defer.Deferred[Any]:
        return method(self, *args, **options).addErrback(self._misunderstood)

    return cast("Asking", asking)


class InfluxStorage:
    """The points in one database of an InfluxDB 1.x, or of a server that speaks like it.

    ``clock`` tells when something is declared.  Writes go to the server at once: there is no outbox here.
    """

    def __init__(
        self, name: str, client: InfluxClient, *, clock: Any, tag_build_number: bool = False, small: int = SMALL
    ) -> None:
        self.name = name
        self.client = client
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self._writer = LineWriter(tag_build_number=tag_build_number)
        self._small = small
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
    def _ask(self, statement: influxql.Statement, take: Any = None) -> Generator[Any, Any, Any]:
        """The series that each statement is answered with; counts what goes wrong."""
        self.counters["asked"] += 1
        try:
            answer = yield self.client.query(statement, take)
        except StorageError as error:
            self.counters["failed"] += 1
            self._last_error = str(error)
            raise
        self._last_error = None
        return answer

    def _misunderstood(self, failed: Failure) -> Failure:
        error = failed.value
        if isinstance(error, MeasureError) or not isinstance(error, ODD):
            return failed
        self.counters["failed"] += 1
        odd = ServerError(Trouble.UNEXPECTED_RESPONSE, self._server.redact(f"{type(error).__name__}: {error}"), 200)
        self._last_error = str(odd)
        raise odd from error

    # what series are

    @_understood
    @defer.inlineCallbacks
    def declare(self, info: SeriesInfo, *, override: bool = False) -> Generator[Any, Any, SeriesInfo]:
        """Say what a series is, see :class:`~bbmeasure.storage.base.Storage`."""
        measurement(info.name)
        answer = yield self._ask(influxql.declared(info.name, policy=self._policy))
        held = read_declared(answer[0]).get(clean_series(info.name))
        said = SeriesInfo(info.name, info.kind, info.unit, info.better)
        result = said if held is None else reconcile(replace(held.info, name=info.name), said, override=override)
        now = self._now()
        if held is None or result != held.info or now - held.time > _SAY_AGAIN:
            time = now if held is None else max(now, held.time + 1)
            said_by = "" if held is None else held.master
            yield self.client.write(declaration(result, time, said_by).encode("utf-8", "replace"))
        return result

    @_understood
    @defer.inlineCallbacks
    def series(self, builders: Optional[frozenset[str]] = None) -> Generator[Any, Any, list[SeriesInfo]]:
        """All series by name, with what they hold: those that were declared, and others that have a value or a text.

        With ``builders`` those that have some of these, and what that is.
        """
        declared, *held = yield self._ask(
            influxql.together(influxql.declared(policy=self._policy), influxql.held(builders, policy=self._policy))
        )
        infos = {name: one.info for name, one in read_declared(declared).items()}
        return sorted(fill_in(infos, held, builders), key=lambda info: info.name)

    @_understood
    @defer.inlineCallbacks
    def forget(self, series: str) -> Generator[Any, Any, int]:
        """Remove a series with its points, declaration and state; how many points that were."""
        answer = yield self._ask(
            influxql.together(influxql.extent(Query(series)), influxql.state_keys(policy=self._policy))
        )
        keys = [row[1] for one in answer[3] for row in one["values"]]
        yield self._ask(influxql.forget(series, [key for key in keys if state_series(key) == series]))
        return count_of(answer[2])

    # writing

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Send points, and running totals with them.  All or nothing as far as BATCH points go, and the server does."""
        try:
            bodies = self._bodies(points, state or {})
        except StorageError:
            return defer.fail()
        return self._send(bodies)

    @defer.inlineCallbacks
    def _send(self, bodies: Sequence[bytes]) -> Generator[Any, Any, None]:
        for body in bodies:
            yield self.client.write(body)

    def _bodies(self, points: Sequence[Point], state: Mapping[str, float]) -> list[bytes]:
        for point in points:
            check_point(point)
            check_stream(point)
        bodies = []
        for at in range(0, len(points), BATCH):
            parts = []
            for lines, refused in slices(self._writer, points[at : at + BATCH]):
                for _, point, why in refused:
                    raise StorageError(f"a point of {point.series!r}: {why}")
                parts.append(lines)
            bodies.append(b"".join(parts))
        now = self._now()
        totals = "".join(
            f"{key(STATE, {'key': clean_text(name)})} value={float(value)!r} {now}\n" for name, value in state.items()
        )
        if totals:
            bodies.append(totals.encode("utf-8", "replace"))
        return bodies

    @_understood
    @defer.inlineCallbacks
    def recall(self, keys: Sequence[str]) -> Generator[Any, Any, dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        if not keys:
            return {}
        answer = yield self._ask(influxql.recall(keys, policy=self._policy))
        return {name: float(found[0]["values"][0][1]) for name, found in zip(keys, answer) if found}

    # reading

    @defer.inlineCallbacks
    def _where(self, query: Query) -> Generator[Any, Any, dict[str, Any]]:
        """What the statements of a query need besides it."""
        tag_keys: list[str] = []
        if query.exact_tags:
            answer = yield self._ask(influxql.tag_keys(query.series, policy=self._policy))
            tag_keys = [row[0] for one in answer[0] for row in one["values"]]
        return {"policy": self._policy, "tag_keys": tag_keys}

    @_understood
    @defer.inlineCallbacks
    def last(self, query: Query, before: Optional[int] = None) -> Generator[Any, Any, Optional[Point]]:
        """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
        where = yield self._where(query)
        found = yield self._points(
            influxql.points(query, 1, before=before, **where), {clean_series(query.series): query.series}
        )
        return found[0] if found else None

    @_understood
    @defer.inlineCallbacks
    def points(self, query: Query, limit: int) -> Generator[Any, Any, list[Point]]:
        """The newest ``limit`` points, oldest first."""
        check_limit(limit)
        where = yield self._where(query)
        found = yield self._points(influxql.points(query, limit, **where), {clean_series(query.series): query.series})
        found.reverse()
        return found  # type: ignore[no-any-return]

    @_understood
    @defer.inlineCallbacks
    def records(self, buildid: int) -> Generator[Any, Any, list[Point]]:
        """All points of a build, in the order of their time.  The server reads all it holds for it."""
        names: dict[str, str] = {}
        statement = influxql.together(
            influxql.declared(policy=self._policy), influxql.records(buildid, policy=self._policy)
        )
        found = yield self._points(statement, names)
        return sorted(found, key=lambda point: point.time)

    @defer.inlineCallbacks
    def _points(self, statement: influxql.Statement, names: dict[str, str]) -> Generator[Any, Any, list[Point]]:
        """The points in an answer, made piece by piece as it comes; ``names`` are the series' of measurements."""
        found: list[Point] = []

        def take(_: int, piece: Mapping[str, Any]) -> None:
            if piece["name"] == DECLARATIONS:
                names.update((name, one.info.name) for name, one in read_declared([piece]).items())
            else:
                found.extend(read_points(names.get(piece["name"], piece["name"]), piece))

        yield self._ask(statement, take)
        return found

    @_understood
    @defer.inlineCallbacks
    def summarize(
        self, query: Query, statistics: Sequence[Statistic]
    ) -> Generator[Any, Any, dict[str, Optional[Value]]]:
        """Each statistic by its name; None where there is no data."""
        where = yield self._where(query)
        declared, answer = yield self._ask(
            influxql.together(
                influxql.declared(query.series, policy=self._policy), influxql.summarize(query, statistics, **where)
            )
        )
        for held in read_declared(declared).values():
            check_text_statistics(held.info, statistics)
        row = answer[0]["values"][0][1:] if answer else []
        return statistics_of(row, statistics)

    @_understood
    @defer.inlineCallbacks
    def buckets(self, query: Query, count: int) -> Generator[Any, Any, list[Bucket]]:
        """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data.

        Of more than SMALL points, those less than 2 microseconds before an edge may be counted behind it.
        """
        check_buckets(count)
        where = yield self._where(query)
        oldest, newest, counted = yield self._ask(influxql.extent(query, **where))
        points = count_of(counted)
        if not points:
            return []
        first = oldest[0]["values"][0][0] if query.since is None else query.since
        end = newest[0]["values"][0][0] + 1 if query.until is None else query.until
        edges = bucket_edges(first, end, count)
        if points <= self._small:
            found = yield self.points(query, points)
            return small_buckets(edges, found)
        width = max(1, (end - first) // count)
        (answer,) = yield self._ask(influxql.buckets(query, first, end, width, **where))
        return large_buckets(edges, width, answer[0]["values"])

    def health(self) -> Health:
        """How it is: the counters ``asked`` and ``failed``, and what went wrong with the last question."""
        return Health(self.name, last_error=self._last_error, counters=dict(self.counters))

    def close(self) -> defer.Deferred[None]:
        """Let go of connections."""
        self.client.close()
        return defer.succeed(None)
