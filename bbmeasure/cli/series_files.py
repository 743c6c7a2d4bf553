"""Series of a CSV file, or of a data file of github-action-benchmark."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from bbmeasure import times, units
from bbmeasure.adapters import github_action_benchmark
from bbmeasure.errors import QueryError
from bbmeasure.records import Direction, Kind, direction
from bbmeasure.units import excerpt

#: Columns of a CSV file that have a meaning; of several in one file the first is used.
COLUMNS = {
    "time": ("time", "date", "timestamp"),
    "name": ("name", "series", "benchmark", "metric"),
    "branch": ("branch",),
    "unit": ("unit",),
    "better": ("better",),
}


@dataclass
class FileSeries:
    """A series of a file: values in base units, oldest first, each with its unix time where the file has one."""

    name: str
    branch: str = ""
    unit: str = "1"
    kind: Optional[Kind] = None
    better: Optional[Direction] = None
    values: list[float] = field(default_factory=list)
    times: list[Optional[float]] = field(default_factory=list)

    def sort(self) -> None:
        """Order the values by time, if all have one."""
        if all(moment is not None for moment in self.times):
            order = sorted(range(len(self.times)), key=lambda index: self.times[index] or 0.0)
            self.values = [self.values[index] for index in order]
            self.times = [self.times[index] for index in order]


def read(text: str, *, column: Optional[str] = None, unit: Optional[str] = None) -> list[FileSeries]:
    """The series of a file's text; raises QueryError or ParseError.

    ``column`` is the column of the values of a CSV file, ``unit`` the unit of values that have none.
    """
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped:
        raise QueryError("the file is empty: expected a CSV file, or a data file of github-action-benchmark")
    if stripped[0] in "{[" or stripped.startswith("window."):
        series = _read_benchmarks(stripped)
    else:
        series = _read_csv(text.lstrip("\ufeff"), column, unit or "1")
    if not series:
        raise QueryError("the file has no values")
    for each in series:
        each.sort()
    return series


def _read_benchmarks(text: str) -> list[FileSeries]:
    """A series for each benchmark of each suite."""
    if text.startswith("["):
        raise QueryError(
            "the file is a JSON list: expected an object with entries, as github-action-benchmark keeps it"
        )
    found: dict[tuple[str, ...], FileSeries] = {}
    suites = set()
    for run in github_action_benchmark.parse_runs(text):
        suites.add(run.suite)
        for record in run.records:
            if isinstance(record.value, str):
                continue
            key = run.suite, record.name, record.unit
            if key not in found:
                better = None if record.better is Direction.NONE else record.better
                found[key] = FileSeries(record.name, "", record.unit, record.kind, better)
            found[key].values.append(record.value)
            found[key].times.append(run.time)
    if len(suites) > 1:
        for (suite, *_), series in found.items():
            series.name = f"{suite}: {series.name}"
    return list(found.values())


def _read_csv(text: str, column: Optional[str], unit: str) -> list[FileSeries]:
    """A series for each name and branch."""
    rows = list(_rows(text))
    if not rows:
        return []
    heads = [cell.strip() for cell in rows[0][1]]
    if any(_number(cell) is not None for cell in heads):
        if len(heads) > 1:
            raise QueryError(f"line {rows[0][0]}: expected the names of {len(heads)} columns")
        heads = [column or "value"]
    else:
        rows = rows[1:]
    places = {head.lower(): place for place, head in reversed(list(enumerate(heads)))}
    value_place = _value_place(heads, places, column, rows)
    fields = {
        meaning: next((places[name] for name in names if name in places and places[name] != value_place), None)
        for meaning, names in COLUMNS.items()
    }
    found: dict[tuple[str, str, str], FileSeries] = {}
    for line, row in rows:
        cells = {
            meaning: row[place].strip() for meaning, place in fields.items() if place is not None and place < len(row)
        }
        written = row[value_place].strip() if value_place < len(row) else ""
        if written:
            _add_row(found, line, written, cells, heads[value_place], unit)
    return list(found.values())


def _add_row(
    found: dict[tuple[str, str, str], FileSeries],
    line: int,
    written: str,
    cells: Mapping[str, str],
    head: str,
    unit: str,
) -> None:
    """Add a row's value to the series that it belongs to."""
    try:
        quantity = units.parse(written)
        if quantity.unit == "1" and quantity.kind == "number":
            quantity = units.to_base(quantity.value, cells.get("unit") or unit)
        better = direction(cells["better"].lower()) if cells.get("better") else None
        moment = times.read(cells.get("time") or None, time.time())
    except ValueError as error:
        raise QueryError(f"line {line}: {error}") from None
    key = cells.get("name") or head, cells.get("branch", ""), quantity.unit
    if key not in found:
        found[key] = FileSeries(key[0], key[1], quantity.unit, Kind(quantity.kind), better)
    found[key].values.append(quantity.value)
    found[key].times.append(None if moment is None else times.seconds(moment))


def _rows(text: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows that are not blank or comments, with their line numbers."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    delimiter = next((each for each in ("\t", ";", ",") if each in first), ",")
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) and not row[0].startswith("#"):
                yield reader.line_num, row
    except csv.Error as error:
        raise QueryError(f"line {reader.line_num}: expected CSV ({error})") from None


def _value_place(
    heads: Sequence[str], places: Mapping[str, int], column: Optional[str], rows: Sequence[tuple[int, Sequence[str]]]
) -> int:
    """The column of the values: the one that is named, ``value``, or the only one with numbers and no other meaning."""
    known = ", ".join(excerpt(head, 40) for head in heads)
    if column is not None:
        if column.lower() not in places:
            raise QueryError(f"column {excerpt(column)}: expected one of {known}")
        return places[column.lower()]
    if "value" in places:
        return places["value"]
    meanings = {name for names in COLUMNS.values() for name in names}
    numbers = [
        place
        for place, head in enumerate(heads)
        if head.lower() not in meanings and any(place < len(row) and _number(row[place]) is not None for _, row in rows)
    ]
    if len(numbers) != 1:
        raise QueryError(f"columns {known}: expected one named value, or --column to name the one of the values")
    return numbers[0]


def _number(cell: str) -> Optional[float]:
    """The number of a cell, with or without a unit; None for a cell that is not a number."""
    try:
        number = units.parse(cell).value
    except ValueError:
        return None
    return number if math.isfinite(number) else None
