"""InfluxQL statements.

All identifiers are quoted and all values are bound parameters (``$p0``), as a quote in a pasted value would inject
InfluxQL and ``/query`` executes DROP.  Names are cleaned by the functions of
:mod:`bbmeasure.storage.influxdb.line_protocol`.  Columns are declared as tag or field (``::tag``), as ``step`` can be
either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import EVERY_PROPOSAL, Point, Query
from bbmeasure.records import canonical_series, canonical_tag
from bbmeasure.statistics import Statistic
from bbmeasure.storage.influxdb.line_protocol import (
    ALERTS,
    DECISIONS,
    EARLIEST,
    FIELDS,
    IS_PROPOSED,
    LATEST,
    METADATA,
    OUTSIDE,
    PROPOSED,
    STATE,
    USUAL,
)

#: Prefix of the fields' aliases in responses, which distinguishes them from tags.
PREFIX = "_"
_MATCHES_NOTHING = "\"builder\"::tag = '' AND \"builder\"::tag != ''"
_UNWRITABLE = str.maketrans("\r\0", "  ")
#: Name that no tag has, as records refuse a leading underscore.
_NO_TAG = "_no_tag"
#: Up to so many builders are named in a condition.
_MAX_BUILDERS = 20
#: Tags that only bbmeasure sets, which are no part of a point's ``tags``.
OWN_TAGS = ("builder", "worker", "build", PROPOSED)
#: The fields that tell lines apart, beside the value.
_LINE_FIELDS = ("value", "text", "buildid", "branch", "proposal", "machine")


def _columns(fields: Iterable[str]) -> str:
    """The fields under aliases, and all tags."""
    return ", ".join(f'"{name}"::field AS "{PREFIX}{name}"' for name in fields) + ", *::tag"


@dataclass(frozen=True)
class Statement:
    """One or more InfluxQL statements with the values of their bound parameters."""

    text: str
    params: Mapping[str, str] = field(default_factory=dict)


class _Parameters:
    """Bound parameters, named by a letter and their index."""

    def __init__(self, letter: str = "p") -> None:
        self.params: dict[str, str] = {}
        self._letter = letter

    def __call__(self, text: str) -> str:
        name = f"{self._letter}{len(self.params)}"
        self.params[name] = text.encode("utf-8", "replace").decode()
        return f"${name}"


def identifier(name: str) -> str:
    """Return a quoted identifier; InfluxQL cannot represent a carriage return or a NUL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").translate(_UNWRITABLE)
    return f'"{escaped}"'.encode("utf-8", "replace").decode()


def source(series: str, policy: Optional[str] = None) -> str:
    """Return the FROM clause of a series."""
    return _measurement(canonical_series(series), policy)


def _measurement(name: str, policy: Optional[str]) -> str:
    return f"{identifier(policy)}.{identifier(name)}" if policy else identifier(name)


def _all_measurements(policy: Optional[str]) -> str:
    return f"{identifier(policy)}./.*/" if policy else "/.*/"


def _where(query: Query, bound: _Parameters, tag_keys: Iterable[str] = ()) -> list[str]:
    """Return the conditions of a query; with ``exact_tags`` the other ``tag_keys`` must be empty."""
    return _matching(query, bound, tag_keys) + _between(query.since, query.until)


def _matching(query: Query, bound: _Parameters, tag_keys: Iterable[str] = ()) -> list[str]:
    """Return the conditions of a query except its range."""
    wanted = {canonical_tag(key): canonical_tag(value) for key, value in query.tags.items()}
    if query.exact_tags:
        wanted = {**dict.fromkeys(set(tag_keys) - {*OWN_TAGS}, ""), **wanted}
    for key, value in (("builder", query.builder), ("worker", query.worker)):
        if value is not None:
            wanted[key] = canonical_tag(value)
    conditions = [_tag_is(key, wanted[key], bound) for key in sorted(wanted)]
    return conditions + _of_builders(query.builders, bound) + _of_line(query, bound)


def _of_line(query: Query, bound: _Parameters) -> list[str]:
    """Return the conditions on proposal, branch and machine class."""
    conditions = []
    if query.proposal is None:
        conditions.append(_is_proposed(proposed=False))
    elif query.proposal != EVERY_PROPOSAL:
        conditions += [_is_proposed(proposed=True), f'"proposal"::field = {bound(query.proposal)}']
    if query.branch is not None:
        conditions.append(f'"branch"::field = {bound(query.branch)}')
    if query.machine is not None:
        named = bound(query.machine)
        # A comparison with a missing field has no value, which InfluxQL compares as false.
        is_unnamed = "(\"machine\"::field != '') = false"
        is_worker = f'("worker"::tag = {bound(canonical_tag(query.machine))} AND {is_unnamed})'
        conditions.append(f'("machine"::field = {named} OR {is_worker})')
    return conditions


def is_proposed(point: Point) -> bool:
    """Return whether the point is of a proposal."""
    return point.build is not None and bool(point.build.proposal)


def _is_proposed(*, proposed: bool) -> str:
    return f"\"{PROPOSED}\"::tag = '{IS_PROPOSED if proposed else ''}'"


def _of_builders(builders: Optional[frozenset[str]], bound: _Parameters) -> list[str]:
    """Return the condition on the builder, no condition for None."""
    if builders is None:
        return []
    alternatives = [f'"builder"::tag = {bound(canonical_tag(name))}' for name in sorted(builders)]
    return [f"({' OR '.join(alternatives) or _MATCHES_NOTHING})"]


def _tag_is(key: str, value: str, bound: _Parameters) -> str:
    """Return the condition on a tag.

    InfluxDB reads ``time`` in any case as the timestamp: no tag has that name, and a tag ``Time`` cannot be queried.
    """
    if key.lower() == "time":
        if key != "time":
            raise QueryError(f"tag {key!r}: expected another name, as InfluxDB reads this one as the timestamp")
        key = _NO_TAG
    return f"{identifier(key)}::tag = {bound(value)}"


def _between(since: Optional[int], until: Optional[int]) -> list[str]:
    conditions = []
    if since is not None and since > EARLIEST:
        conditions.append(f"time >= {min(int(since), LATEST)}")
    if until is not None and until <= LATEST:
        conditions.append(f"time < {max(int(until), EARLIEST + 1)}")
    return conditions


def _select(what: str, origin: str, conditions: Sequence[str], rest: str = "") -> str:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {what} FROM {origin}{where}{rest}"  # noqa: S608  (every part is quoted, bound or constant)


def points(
    query: Query,
    limit: int,
    *,
    policy: Optional[str] = None,
    tag_keys: Iterable[str] = (),
    before: Optional[int] = None,
) -> Statement:
    """Select the newest points, newest first; with ``before`` only those of builds with a smaller buildid."""
    bound = _Parameters()
    conditions = _where(query, bound, tag_keys)
    if before is not None:
        conditions.append(f'"buildid"::field < {int(before)}')
    text = _select(
        _columns(FIELDS), source(query.series, policy), conditions, f" ORDER BY time DESC LIMIT {int(limit)}"
    )
    return Statement(text, bound.params)


def lines(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Select what tells lines apart, of all matching points: branch and machine class are fields without an index."""
    bound = _Parameters()
    text = _select(_columns(_LINE_FIELDS), source(query.series, policy), _where(query, bound, tag_keys))
    return Statement(text, bound.params)


def records(buildid: int, *, policy: Optional[str] = None) -> Statement:
    """Select all points of a build.  InfluxDB scans all its points, as fields have no index."""
    return Statement(_select(_columns(FIELDS), _all_measurements(policy), [f'"buildid"::field = {int(buildid)}']))


def summarize(
    query: Query, statistics: Sequence[Statistic], *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()
) -> Statement:
    """Select the counts of numbers and texts, the statistics of the numbers, and those of the texts (``of_text``)."""
    bound = _Parameters()
    calls = ['count("value"::field)', 'count("text"::field)']
    calls += [_call(one, "value") for one in statistics]
    calls += [_call(one, "text") for one in statistics if one.of_text]
    text = _select(", ".join(calls), source(query.series, policy), _where(query, bound, tag_keys))
    return Statement(text, bound.params)


def _call(statistic: Statistic, name: str) -> str:
    percentile = "" if statistic.percentile is None else f", {statistic.percentile:.10f}"
    return f'{statistic.influxql}("{name}"::field{percentile})'


def extent(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Select, in three statements, the first point, the last point, and the counts of numbers and texts."""
    bound = _Parameters()
    conditions = _where(query, bound, tag_keys)
    what, origin = '"value"::field, "text"::field', source(query.series, policy)
    ends = [_select(what, origin, conditions, f" ORDER BY time {order} LIMIT 1") for order in ("ASC", "DESC")]
    ends.append(_select('count("value"::field), count("text"::field)', origin, conditions))
    return Statement("; ".join(ends), bound.params)


def workers(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Select the counts of numbers and texts by worker."""
    bound = _Parameters()
    what, rest = 'count("value"::field), count("text"::field)', ' GROUP BY "worker"'
    return Statement(_select(what, source(query.series, policy), _where(query, bound, tag_keys), rest), bound.params)


def buckets(
    query: Query,
    first: int,
    end: int,
    width: int,
    *,
    policy: Optional[str] = None,
    tag_keys: Iterable[str] = (),
) -> Statement:
    """Select counts, average, minimum and maximum per ``width`` nanoseconds from ``first`` to ``end``, exclusive."""
    bound = _Parameters()
    conditions = _where(query, bound, tag_keys) + _between(first, end)
    calls = ['count("value"::field)', 'count("text"::field)']
    calls += [f'{call}("value"::field)' for call in ("mean", "min", "max")]
    group = f" GROUP BY time({int(width)}ns, {int(first) % int(width)}ns) fill(none)"
    return Statement(_select(", ".join(calls), source(query.series, policy), conditions, group), bound.params)


def tag_keys(series: str, *, policy: Optional[str] = None) -> Statement:
    """Return the statement for the tag keys of a series."""
    return Statement(f"SHOW TAG KEYS FROM {source(series, policy)}")


def series_metadata(*series: str, builders: Optional[Iterable[str]] = None, policy: Optional[str] = None) -> Statement:
    """Select the latest metadata of some series, or of all.  Its parameters can be joined with other statements'.

    With ``builders``, only that of these builders and that of no builder.
    """
    bound = _Parameters("d")
    wanted = " OR ".join(f'"series"::tag = {bound(canonical_series(name))}' for name in series)
    conditions = [f"({wanted})"] if wanted else []
    if builders is not None:
        conditions += _of_builders(frozenset(["", *builders]), bound)
    what = '"kind"::field, "unit"::field, "better"::field, "name"::field, "master"::field'
    rest = f' GROUP BY "series", "builder", "{OUTSIDE}" ORDER BY time DESC LIMIT 1'
    return Statement(_select(what, _measurement(METADATA, policy), conditions, rest), bound.params)


def restricted(query: Query, builders: Iterable[str]) -> Query:
    """Return the query for these builders alone if it selects a kind or unit, as these belong to builders."""
    if query.kind is None and query.unit is None:
        return query
    return replace(query, builders=frozenset(builders))


def builder_names(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Select, in two statements, the builders of a series, and a number and a text outside builds in any range.

    InfluxDB takes the builders from its index alone.
    """
    bound = _Parameters()
    origin = source(query.series, policy)
    conditions = [*_matching(query, bound, tag_keys), "\"builder\"::tag = ''"]
    outside = _select('first("value"::field), first("text"::field)', origin, conditions)
    return Statement(f'SHOW TAG VALUES FROM {origin} WITH KEY = "builder"; {outside}', bound.params)


def builder_contents(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Select a number and a text of each builder that has points of the query in any range."""
    bound = _Parameters()
    what, rest = 'first("value"::field), first("text"::field)', ' GROUP BY "builder"'
    text = _select(what, source(query.series, policy), _matching(query, bound, tag_keys), rest)
    return Statement(text, bound.params)


def join(first: Statement, second: Statement) -> Statement:
    """Return both statements as one request; their parameters must have different names."""
    return Statement(f"{first.text}; {second.text}", {**first.params, **second.params})


def series_contents(query: Query, *, policy: Optional[str] = None) -> Statement:
    """Select the contents of every series by builder, as far as they match, in five statements.

    These are the counts of numbers and texts, first and last number, first and last text.  Without filters a sixth
    selects the counts of proposals.
    """
    bound = _Parameters()
    origin, conditions, rest = _all_measurements(policy), _matching(query, bound), ' GROUP BY "builder"'
    counts = 'count("value"::field), count("text"::field)'
    texts = [_select(counts, origin, conditions, rest)]
    texts += [
        _select(f'{call}("{name}"::field)', origin, conditions, rest)
        for name in ("value", "text")
        for call in ("first", "last")
    ]
    if query == Query("*"):
        texts.append(_select(counts, origin, [_is_proposed(proposed=True)], rest))
    return Statement("; ".join(texts), bound.params)


def twins(points: Sequence[Point], *, policy: Optional[str] = None) -> Statement:
    """Select the points of one series, in the range of ``points``, on the other side of the tag ``proposed``.

    All ``points`` must be of one series, and all of proposals or none.
    """
    first, last = min(point.time for point in points), max(point.time for point in points)
    builders = {point.builder or "" for point in points}
    bound = _Parameters()
    conditions = _of_builders(frozenset(builders), bound) if len(builders) <= _MAX_BUILDERS else []
    conditions += [_is_proposed(proposed=not is_proposed(points[0])), *_between(first, last + 1)]
    text = _select(_columns(("value", "text")), source(points[0].series, policy), conditions)
    return Statement(text, bound.params)


def proposed_builders(since: int, *, policy: Optional[str] = None) -> Statement:
    """Select the counts of numbers and texts of proposals since a time, by series and builder."""
    conditions = [_is_proposed(proposed=True), *_between(since, None)]
    what = 'count("value"::field), count("text"::field)'
    return Statement(_select(what, _all_measurements(policy), conditions, ' GROUP BY "builder"'))


def delete(series: str, rows: Iterable[tuple[int, Mapping[str, str]]]) -> Statement:
    """Delete the points of exactly these times and tags; an empty tag must be missing.

    InfluxQL deletes them in all retention policies.
    """
    bound = _Parameters()
    texts = []
    for time, tags in rows:
        conditions = [_tag_is(key, value, bound) for key, value in sorted(tags.items())]
        texts.append(f"DELETE FROM {source(series)} WHERE {' AND '.join([*conditions, f'time = {int(time)}'])}")  # noqa: S608  (quoted or bound)
    return Statement("; ".join(texts), bound.params)


def recall(keys: Sequence[str], *, policy: Optional[str] = None) -> Statement:
    """Select the running totals of ``keys``, one statement each."""
    bound = _Parameters()
    origin = _measurement(STATE, policy)
    texts = [_select('last("value"::field)', origin, [f'"key"::tag = {bound(canonical_tag(key))}']) for key in keys]
    return Statement("; ".join(texts), bound.params)


def state_keys(*, policy: Optional[str] = None) -> Statement:
    """Return the statement for the keys of all running totals."""
    return Statement(f'SHOW TAG VALUES FROM {_measurement(STATE, policy)} WITH KEY = "key"')


def forget(series: str, keys: Sequence[str] = ()) -> Statement:
    """Drop a series in all retention policies, its metadata, and the running totals of ``keys``.

    ``DROP MEASUREMENT`` would require an administrator.
    """
    bound = _Parameters()
    texts = [f"DROP SERIES FROM {source(series)}"]
    of_series = f'"series" = {bound(canonical_series(series))}'
    texts += [f"DROP SERIES FROM {identifier(name)} WHERE {of_series}" for name in (METADATA, ALERTS, DECISIONS, USUAL)]
    texts += [f'DROP SERIES FROM {identifier(STATE)} WHERE "key" = {bound(canonical_tag(key))}' for key in keys]
    return Statement("; ".join(texts), bound.params)


def rows(name: str, since: Optional[int], limit: int) -> Statement:
    """Select the first points of any measurement, with all their fields and tags, from a time in nanoseconds."""
    conditions = [] if since is None else [f"time >= {since}"]
    return Statement(_select("*", identifier(name), conditions, f" ORDER BY time ASC LIMIT {limit}"))


def create_database(name: str) -> Statement:
    """Create a database unless it exists."""
    return Statement(f"CREATE DATABASE {identifier(name)}")
