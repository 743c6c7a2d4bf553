"""Points that a server holds under former tags, beside which it would store them again.

The tag ``proposed`` is part of a point's identity on an InfluxDB only.  A point that was sent before its build became
one of a proposal, or of none, is found under its other tags: after an upgrade from version 0.1, or after a change of
``trustedBranches``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Optional

from bbmeasure.cli.influxdb_client import BlockingClient
from bbmeasure.model import LineInfo, Point, Query
from bbmeasure.records import canonical_series, canonical_tag
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.results import read_twins
from bbmeasure.storage.sqlite.journal import JournalReader

#: Points that are read and compared at a time, and points that one request deletes.
PAGE = 5_000
DELETIONS = 100

#: Time and tags of a point on the server.
Row = tuple[int, dict[str, str]]


def count_proposed(journal: JournalReader, since: int) -> int:
    """The number of points of proposals since a time in nanoseconds."""
    return sum(line.count for series in _names(journal) for line in _lines(journal, series, since) if line.proposed)


def find(journal: JournalReader, client: BlockingClient, since: int) -> Iterator[tuple[str, list[Row]]]:
    """The points since a time (nanoseconds) that the server holds under other tags, with the name of their series."""
    on_server = _proposed_on_server(client, since)
    for series in _names(journal):
        for builder in sorted({line.builder for line in _lines(journal, series, since) if line.builder}):
            key = (canonical_series(series), canonical_tag(builder))
            query = Query(series, since=since, builder=builder, proposal="*")
            if key in on_server or any(line.proposed for line in journal.lines(query)):
                for page in pages(journal, query):
                    yield series, _former_rows(client, page)


def delete(client: BlockingClient, series: str, rows: Sequence[Row]) -> None:
    """Delete those points on the server."""
    for at in range(0, len(rows), DELETIONS):
        client.execute(influxql.delete(series, rows[at : at + DELETIONS]))


def _names(journal: JournalReader) -> list[str]:
    return sorted({info.name for info in journal.series(proposal="*")})


def _lines(journal: JournalReader, series: str, since: int) -> Sequence[LineInfo]:
    return journal.lines(Query(series, since=since, proposal="*"))


def _proposed_on_server(client: BlockingClient, since: int) -> set[tuple[str, str]]:
    """Measurement and builder of the points of proposals on the server."""
    found = client.execute(influxql.proposed_builders(since, policy=client.server.retention_policy))
    with client.expected_response(found):
        return {(series["name"], series["tags"]["builder"]) for series in found[0]}


def pages(journal: JournalReader, query: Query) -> Iterator[Sequence[Point]]:
    """The points of a query in pages, the newest first; no point is in two pages.

    Of more than PAGE points of one builder at the same nanosecond only the first PAGE are returned.
    """
    until: Optional[int] = None
    while True:
        page = journal.points(replace(query, until=until), PAGE)
        if len(page) < PAGE:
            yield page
            return
        oldest = page[0].time
        later = [point for point in page if point.time > oldest]  # the next page begins with all of that time
        yield later or page
        until = oldest + 1 if later else oldest


def _former_rows(client: BlockingClient, points: Sequence[Point]) -> list[Row]:
    rows: list[Row] = []
    for proposed in (False, True):
        moved = [point for point in points if influxql.is_proposed(point) is proposed]
        if moved:
            chunks = client.execute(influxql.twins(moved, policy=client.server.retention_policy))
            with client.expected_response(chunks):
                rows += read_twins(chunks[0], moved)
    return rows
