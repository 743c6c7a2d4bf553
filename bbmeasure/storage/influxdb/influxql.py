"""Questions as InfluxQL: every name quoted, every text bound, so that what is asked for is all that is answered.

A reserved word or a space in a bare name is answered by 200 with an error in the body, a quote in a pasted text by
whatever it then says (``/query`` executes DROP also for a GET): hence quoted identifiers and bound parameters (``$p0``)
without exception.  Names are changed as :mod:`bbmeasure.storage.influxdb.line_protocol` changes them.  Columns
name the tag or the field explicitly (``::tag``), as ``step`` may be either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import Query
from bbmeasure.statistics import Statistic
from bbmeasure.storage.influxdb.line_protocol import (
    DECLARATIONS,
    EARLIEST,
    FIELDS,
    LATEST,
    STATE,
    clean_series,
    clean_text,
)

#: What a field is called in an answer, so that no tag is taken for it.
PREFIX = "_"
_NOTHING = "\"builder\"::tag = '' AND \"builder\"::tag != ''"
_UNWRITABLE = str.maketrans("\r\0", "  ")
#: Records refuse a tag whose name begins so.
_NO_TAG = "_no_tag"
_POINT = ", ".join(f'"{name}"::field AS "{PREFIX}{name}"' for name in FIELDS) + ", *::tag"


@dataclass(frozen=True)
class Statement:
    """One or more statements, and the values of the ``$names`` in them."""

    text: str
    params: Mapping[str, str] = field(default_factory=dict)


class _Bound:
    """Texts that were bound, by the names they got."""

    def __init__(self, letter: str = "p") -> None:
        self.params: dict[str, str] = {}
        self._letter = letter

    def __call__(self, text: str) -> str:
        name = f"{self._letter}{len(self.params)}"
        self.params[name] = text.encode("utf-8", "replace").decode()
        return f"${name}"


def identifier(name: str) -> str:
    """A name in quotes, whatever it holds; InfluxQL has no way to write a carriage return or a NUL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").translate(_UNWRITABLE)
    return f'"{escaped}"'.encode("utf-8", "replace").decode()


def source(series: str, policy: Optional[str] = None) -> str:
    """What stands behind FROM for the points of a series."""
    return _measurement(clean_series(series), policy)


def _measurement(name: str, policy: Optional[str]) -> str:
    return f"{identifier(policy)}.{identifier(name)}" if policy else identifier(name)


def _everything(policy: Optional[str]) -> str:
    return f"{identifier(policy)}./.*/" if policy else "/.*/"


def _where(query: Query, bound: _Bound, tag_keys: Iterable[str] = ()) -> list[str]:
    """The conditions of a query; with ``exact_tags`` none of ``tag_keys`` may be set but those that are given."""
    wanted = {clean_text(key): clean_text(value) for key, value in query.tags.items()}
    if query.exact_tags:
        wanted = {**dict.fromkeys(set(tag_keys) - {"builder", "worker", "build"}, ""), **wanted}
    for key, value in (("builder", query.builder), ("worker", query.worker)):
        if value is not None:
            wanted[key] = clean_text(value)
    conditions = [_tag_is(key, wanted[key], bound) for key in sorted(wanted)]
    return conditions + _among(query.builders, bound) + _between(query.since, query.until)


def _among(builders: Optional[frozenset[str]], bound: _Bound) -> list[str]:
    """The condition that points are of some builders; none where they may be of any."""
    if builders is None:
        return []
    among = [f'"builder"::tag = {bound(clean_text(name))}' for name in sorted(builders)]
    return [f"({' OR '.join(among) or _NOTHING})"]


def _tag_is(key: str, value: str, bound: _Bound) -> str:
    """InfluxDB takes ``time``, in capitals too, for the time: no tag has that name, and one called Time has no test."""
    if key.lower() == "time":
        if key != "time":
            raise QueryError(f"tag {key!r}: expected another name, as InfluxDB takes this one for the time")
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
    return f"SELECT {what} FROM {origin}{where}{rest}"  # noqa: S608  (every part is quoted, bound or our own)


def points(
    query: Query,
    limit: int,
    *,
    policy: Optional[str] = None,
    tag_keys: Iterable[str] = (),
    before: Optional[int] = None,
) -> Statement:
    """The newest ``limit`` points, the newest first; with ``before`` only those of builds with a smaller buildid."""
    bound = _Bound()
    conditions = _where(query, bound, tag_keys)
    if before is not None:
        conditions.append(f'"buildid"::field < {int(before)}')
    text = _select(_POINT, source(query.series, policy), conditions, f" ORDER BY time DESC LIMIT {int(limit)}")
    return Statement(text, bound.params)


def records(buildid: int, *, policy: Optional[str] = None) -> Statement:
    """All points of a build, of every series: InfluxDB has no index of fields and reads all its points for it."""
    return Statement(_select(_POINT, _everything(policy), [f'"buildid"::field = {int(buildid)}']))


def summarize(
    query: Query, statistics: Sequence[Statistic], *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()
) -> Statement:
    """How many numbers and how many texts there are, then each statistic of the numbers, then each of the texts.

    Of texts there are only the statistics with ``of_text``.
    """
    bound = _Bound()
    calls = ['count("value"::field)', 'count("text"::field)']
    calls += [_call(one, "value") for one in statistics]
    calls += [_call(one, "text") for one in statistics if one.of_text]
    text = _select(", ".join(calls), source(query.series, policy), _where(query, bound, tag_keys))
    return Statement(text, bound.params)


def _call(statistic: Statistic, name: str) -> str:
    percentile = "" if statistic.percentile is None else f", {statistic.percentile:.10f}"
    return f'{statistic.influxql}("{name}"::field{percentile})'


def extent(query: Query, *, policy: Optional[str] = None, tag_keys: Iterable[str] = ()) -> Statement:
    """Three statements: the first point's value, the last one's, and how many numbers and texts there are."""
    bound = _Bound()
    conditions = _where(query, bound, tag_keys)
    what, origin = '"value"::field, "text"::field', source(query.series, policy)
    ends = [_select(what, origin, conditions, f" ORDER BY time {order} LIMIT 1") for order in ("ASC", "DESC")]
    ends.append(_select('count("value"::field), count("text"::field)', origin, conditions))
    return Statement("; ".join(ends), bound.params)


def buckets(
    query: Query,
    first: int,
    end: int,
    width: int,
    *,
    policy: Optional[str] = None,
    tag_keys: Iterable[str] = (),
) -> Statement:
    """Numbers, texts, average, minimum and maximum of each ``width`` nanoseconds from ``first`` up to ``end``."""
    bound = _Bound()
    conditions = _where(query, bound, tag_keys) + _between(first, end)
    calls = ['count("value"::field)', 'count("text"::field)']
    calls += [f'{call}("value"::field)' for call in ("mean", "min", "max")]
    group = f" GROUP BY time({int(width)}ns, {int(first) % int(width)}ns) fill(none)"
    return Statement(_select(", ".join(calls), source(query.series, policy), conditions, group), bound.params)


def tag_keys(series: str, *, policy: Optional[str] = None) -> Statement:
    """The names of all tags of a series."""
    return Statement(f"SHOW TAG KEYS FROM {source(series, policy)}")


def declared(*series: str, policy: Optional[str] = None) -> Statement:
    """What was said of some series last, or of each there is.  Its bound names are its own: it goes with others."""
    bound = _Bound("d")
    wanted = " OR ".join(f'"series"::tag = {bound(clean_series(name))}' for name in series)
    conditions = [wanted] if wanted else []
    what = '"kind"::field, "unit"::field, "better"::field, "name"::field, "master"::field'
    rest = ' GROUP BY "series" ORDER BY time DESC LIMIT 1'
    return Statement(_select(what, _measurement(DECLARATIONS, policy), conditions, rest), bound.params)


def together(first: Statement, then: Statement) -> Statement:
    """Both in one request; they must not bind the same names."""
    return Statement(f"{first.text}; {then.text}", {**first.params, **then.params})


def held(builders: Optional[frozenset[str]] = None, *, policy: Optional[str] = None) -> Statement:
    """What every series holds, of some ``builders`` alone where they are given: six statements.

    How many numbers and texts; all builders; the first number, the last, the first text, the last.
    """
    bound = _Bound()
    origin, among = _everything(policy), _among(builders, bound)
    texts = [
        _select('count("value"::field), count("text"::field)', origin, among),
        f'SHOW TAG VALUES FROM {origin} WITH KEY = "builder"',
    ]
    texts += [
        _select(f'{call}("{name}"::field)', origin, among) for name in ("value", "text") for call in ("first", "last")
    ]
    return Statement("; ".join(texts), bound.params)


def recall(keys: Sequence[str], *, policy: Optional[str] = None) -> Statement:
    """The running totals under ``keys``, one statement each."""
    bound = _Bound()
    origin = _measurement(STATE, policy)
    texts = [_select('last("value"::field)', origin, [f'"key"::tag = {bound(clean_text(key))}']) for key in keys]
    return Statement("; ".join(texts), bound.params)


def state_keys(*, policy: Optional[str] = None) -> Statement:
    """The keys of all running totals."""
    return Statement(f'SHOW TAG VALUES FROM {_measurement(STATE, policy)} WITH KEY = "key"')


def forget(series: str, keys: Sequence[str] = ()) -> Statement:
    """Drop a series in all retention policies, with what was said of it and the running totals under ``keys``.

    ``DROP MEASUREMENT`` would take an administrator.
    """
    bound = _Bound()
    texts = [f"DROP SERIES FROM {source(series)}"]
    texts.append(f'DROP SERIES FROM {identifier(DECLARATIONS)} WHERE "series" = {bound(clean_series(series))}')
    texts += [f'DROP SERIES FROM {identifier(STATE)} WHERE "key" = {bound(clean_text(key))}' for key in keys]
    return Statement("; ".join(texts), bound.params)


def create_database(name: str) -> Statement:
    """Make a database; nothing happens where it is there."""
    return Statement(f"CREATE DATABASE {identifier(name)}")
