"""Every error that bbmeasure raises on purpose.

A message says what was got and what was wanted.  Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations


class MeasureError(Exception):
    """The root: ``except MeasureError`` catches whatever this project raises on purpose."""


class UnitError(MeasureError, ValueError):
    """A unit that is not known, or a text that is not a number with a unit."""


class RecordError(MeasureError, ValueError):
    """A record that cannot be one: its name, value, kind, tags or samples are off."""


class WireError(MeasureError, ValueError):
    """A line from a worker that cannot be read as a record."""


class ParseError(MeasureError, ValueError):
    """The output of a tool that its adapter cannot read.

    ``line`` counts from 1 and is 0 where no single line is at fault.
    """

    def __init__(self, tool: str, line: int, why: str) -> None:
        where = f", line {line}" if line else ""
        super().__init__(f"{tool} output{where}: {why}")
        self.tool = tool
        self.line = line
        self.why = why


class LimitError(MeasureError):
    """More than a limit allows: records, bytes, names, tags, series."""


class SeriesConflictError(MeasureError, ValueError):
    """A value whose kind or unit is not the one its series has."""


class QueryError(MeasureError, ValueError):
    """A question that makes no sense: a bad range, an unknown statistic, a deviation of texts."""


class UnknownSeriesError(MeasureError, LookupError):
    """A series that no store has seen."""


class StorageError(MeasureError):
    """A store that cannot do what was asked of it."""


class StorageUnavailableError(StorageError):
    """A store that does not answer now, and may later."""


class StorageFullError(StorageError):
    """A store that took no more: the disk is full and so is the waiting room in memory."""


class UnknownAdapterError(MeasureError, LookupError):
    """A tool that no adapter reads."""
