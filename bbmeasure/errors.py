"""Exceptions of bbmeasure.

A message names the actual and the expected value.  Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations


class MeasureError(Exception):
    """Base class of all exceptions of bbmeasure."""


class UnitError(MeasureError, ValueError):
    """An unknown unit, or a text that is not a number with an optional unit."""


class RecordError(MeasureError, ValueError):
    """An invalid name, value, kind, direction, tag or sample of a record."""


class WireError(MeasureError, ValueError):
    """A line from a worker that is not a record in the wire format."""


class ParseError(MeasureError, ValueError):
    """Output of a tool that its adapter cannot parse.

    ``line`` is the line number from 1, or 0 where the error is not in a single line.
    """

    def __init__(self, tool: str, line: int, why: str) -> None:
        where = f", line {line}" if line else ""
        super().__init__(f"{tool} output{where}: {why}")
        self.tool = tool
        self.line = line
        self.why = why


class LimitError(MeasureError):
    """A limit is exceeded, such as that of records, bytes, series or time."""


class SeriesConflictError(MeasureError, ValueError):
    """A value whose kind or unit is not that of its series."""


class QueryError(MeasureError, ValueError):
    """An invalid query: a range, an unknown statistic, a deviation of texts."""


class UnknownSeriesError(MeasureError, LookupError):
    """A series that the store does not have."""


class StorageError(MeasureError):
    """An error of a store."""


class StorageUnavailableError(StorageError):
    """A temporary error of a store, such as a lost connection."""


class StorageBusyError(StorageUnavailableError):
    """A store with as many pending requests as it accepts; a later request may succeed."""


class StorageFullError(StorageError):
    """The disk is full, and so is the buffer in memory."""


class UnknownAdapterError(MeasureError, LookupError):
    """The name of a tool without an adapter."""
