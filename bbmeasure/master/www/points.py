"""Reading of the points of a series in pages, for one request at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from operator import methodcaller
from typing import Any, Optional
from weakref import WeakKeyDictionary

from twisted.internet import defer

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import QueryError
from bbmeasure.master.www.arguments import Arguments
from bbmeasure.master.www.point_formats import ColumnsFormat, CsvFormat, ObjectsFormat, PointFormat, read_format
from bbmeasure.master.www.streaming import Fragments, JsonWriter, check_size
from bbmeasure.model import LineInfo, Query, SeriesInfo
from bbmeasure.reports.look_back import look_back
from bbmeasure.reports.selection import read_selected
from bbmeasure.storage.base import Storage

#: Points of one query to the journal.  With two objects a point, a page stays below the 700 new objects at which Python
#: starts a garbage collection, which takes up to 100 ms among all objects of a master.
PAGE_SIZE = 250
#: Points of one query to a server.
SERVER_PAGE_SIZE = 5_000


class PointReader:
    """Reads points from the newest backwards, so that no more than one page is in memory as objects."""

    def __init__(self, pipeline: Pipeline, json_writer: JsonWriter) -> None:
        self._pipeline = pipeline
        self._json_writer = json_writer
        self._page_locks: WeakKeyDictionary[Storage, defer.DeferredLock] = WeakKeyDictionary()

    @defer.inlineCallbacks
    def answer(self, storage: Storage, query: Query, arguments: Arguments) -> Generator[Any, Any, Optional[Fragments]]:
        """The answer with the newest points in the format of the request, oldest first; None if no line matches."""
        check_format(arguments)
        point_format, pages = yield self._pages(storage, query, arguments)
        if point_format is None:
            return None
        if isinstance(point_format, ColumnsFormat) and arguments.flag("analysis"):
            histories = list(point_format.histories.values())
            point_format.look_backs = yield self._pipeline.stores[0].compute(look_back, histories)
        body: Fragments = point_format.body(pages)
        return body

    @defer.inlineCallbacks
    def _pages(
        self, storage: Storage, query: Query, arguments: Arguments
    ) -> Generator[Any, Any, tuple[Optional[PointFormat], list[list[bytes]]]]:
        """The format, None if no line matches, and the encoded pages of the newest points, oldest first."""
        lock = self._page_locks.setdefault(storage, defer.DeferredLock())
        page_size = PAGE_SIZE if storage in self._pipeline.stores else SERVER_PAGE_SIZE
        limit = arguments.limit()
        point_format: Optional[PointFormat] = None
        pages: list[list[bytes]] = []
        size = 0
        while limit > 0:
            requested = min(limit, page_size)
            yield lock.acquire()
            try:
                if point_format is None:
                    found = yield _first_page(storage, query, requested)
                    if found is None:
                        return None, []
                    selection, lines, points = found
                    point_format = make_format(selection.info, lines, arguments)
                else:
                    points = yield storage.points(query, requested)
                if len(points) < requested:
                    limit = 0
                elif limit > requested:  # the next page starts with all points at the oldest time of this one
                    oldest = points[0].time
                    points = [point for point in points if point.time > oldest] or points
                    query = replace(query, until=min(points[0].time, oldest + 1))
                limit -= len(points)
                page = yield self._json_writer.write(point_format.page(points))
            finally:
                lock.release()
            pages.append(page.fragments)
            size += page.size
            check_size(size)
        return point_format, pages[::-1]


def _first_page(storage: Storage, query: Query, limit: int) -> defer.Deferred[Any]:
    return storage.run_chain(read_selected(query, lambda _: methodcaller("points", query, limit)))


def make_format(info: SeriesInfo, lines: Sequence[LineInfo], arguments: Arguments) -> PointFormat:
    """The format of a request for the points of some lines."""
    name = read_format(arguments.get("format"))
    if name == "csv":
        return CsvFormat(info, {key for line in lines for key in line.tags})
    return ColumnsFormat(info, analyse=arguments.flag("analysis")) if name == "columns" else ObjectsFormat(info)


def check_format(arguments: Arguments) -> None:
    """QueryError for an unknown format, and for one that has no analysis."""
    name = read_format(arguments.get("format"))
    if arguments.flag("analysis") and name != "columns":
        raise QueryError("analysis 1: expected it with format=columns")
