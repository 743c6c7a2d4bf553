"""Reading of the points of a series in pages, for one request at a time."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet import defer

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import QueryError
from bbmeasure.master.www.arguments import Arguments
from bbmeasure.master.www.point_formats import ColumnsFormat, CsvFormat, ObjectsFormat, PointFormat, read_format
from bbmeasure.master.www.streaming import Fragments, JsonWriter, check_size
from bbmeasure.model import LineInfo, Query, SeriesInfo
from bbmeasure.reports.look_back import look_back
from bbmeasure.reports.selection import without_range
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
    def answer(
        self, storage: Storage, query: Query, info: SeriesInfo, arguments: Arguments
    ) -> Generator[Any, Any, Fragments]:
        """The answer with the newest points in the format of the request, oldest first."""
        name = read_format(arguments.get("format"))
        analyse = arguments.flag("analysis")
        if analyse and name != "columns":
            raise QueryError("analysis 1: expected it with format=columns")
        if name == "csv":
            lines: list[LineInfo] = yield storage.lines(without_range(query))
            point_format: PointFormat = CsvFormat(info, {key for line in lines for key in line.tags})
        else:
            point_format = ColumnsFormat(info, analyse=analyse) if name == "columns" else ObjectsFormat(info)
        pages = yield self._pages(storage, query, arguments.limit(), point_format)
        if isinstance(point_format, ColumnsFormat) and analyse:
            histories = list(point_format.histories.values())
            point_format.look_backs = yield self._pipeline.stores[0].compute(look_back, histories)
        return point_format.body(pages)

    @defer.inlineCallbacks
    def _pages(
        self, storage: Storage, query: Query, limit: int, point_format: PointFormat
    ) -> Generator[Any, Any, list[list[bytes]]]:
        """The encoded pages of the newest points, oldest first."""
        lock = self._page_locks.setdefault(storage, defer.DeferredLock())
        page_size = PAGE_SIZE if storage in self._pipeline.stores else SERVER_PAGE_SIZE
        pages: list[list[bytes]] = []
        size = 0
        while limit > 0:
            requested = min(limit, page_size)
            yield lock.acquire()
            try:
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
        return pages[::-1]
