"""Judge the values of a CSV file, or of a data file of github-action-benchmark."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from bbmeasure import analysis, units
from bbmeasure.cli import chart, output, series_files
from bbmeasure.cli.series_files import FileSeries
from bbmeasure.errors import ParseError, QueryError
from bbmeasure.records import Direction, direction

#: Exit status where the newest value of a series is worse.
WORSE = 3
#: Columns of the two tables; those that are empty in every row are left out.
CHANGES = ("series", "branch", "change at", "time", "before", "after", "change")
VERDICTS = ("series", "branch", "verdict", "values", "last", "usual", "change")


@dataclass(frozen=True)
class _Judged:
    """A series with its change points and the verdict of its newest value."""

    series: FileSeries
    changes: list[analysis.Change]
    verdict: analysis.Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure judge``."""
    parser.epilog = (
        "A CSV file has a column of values, named value or by --column, and may have columns time, name, branch, unit "
        "and better; a file of one column needs no heading. JSON is the data file of github-action-benchmark, such "
        "as data.js. Exit status: 3 if the newest value of a series is worse."
    )
    parser.add_argument("file", metavar="FILE", help="the file, or - for standard input")
    parser.add_argument("--column", metavar="NAME", help="the column of a CSV file that has the values")
    parser.add_argument("--unit", metavar="U", help="unit of the values of a CSV file, such as ms or MiB")
    parser.add_argument(
        "--better",
        choices=("lower", "higher", "none"),
        help="which values are better (default: lower, if not in the file)",
    )
    parser.add_argument("--name", metavar="NAME", help="judge only the series of this name")
    parser.add_argument("--branch", metavar="NAME", help="judge only the values of this branch")
    parser.add_argument("--minimum-change", metavar="F", help="least change of a confirmed shift (default: 2 %%)")
    parser.add_argument("--limit", metavar="VALUE", help="largest value that is allowed, such as 10 or '10 MiB'")
    parser.add_argument("--lower-limit", metavar="VALUE", help="least value that is allowed")
    parser.add_argument("--maximum-increase", metavar="F", help="largest increase that is allowed, such as '5 %%'")
    parser.add_argument("--maximum-decrease", metavar="F", help="largest decrease that is allowed")
    parser.add_argument("--history", metavar="N", type=int, default=40, help="values of a baseline (default: 40)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the change points and the last verdict of each series; 3 if the newest value of one is worse."""
    try:
        found = series_files.read(_read_text(options.file), column=options.column, unit=options.unit)
    except (QueryError, ParseError) as error:
        name = "standard input" if options.file == "-" else output.clean(options.file, 200)
        raise QueryError(f"{name}: {error}") from None
    chosen = [
        series for series in found if options.name in (None, series.name) and options.branch in (None, series.branch)
    ]
    if not chosen:
        names = ", ".join(sorted({units.excerpt(series.name, 40) for series in found})[:20])
        raise QueryError(f"no series of that name and branch: the file has {names}")
    judged = [_judge(series, options) for series in chosen]
    if options.json:
        print(json.dumps({"series": [_to_json(each) for each in judged]}))
    else:
        _print_tables(judged)
    return WORSE if any(each.verdict.state is analysis.State.WORSE for each in judged) else 0


def _read_text(name: str) -> str:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QueryError(f"byte {error.start}: expected text in UTF-8") from None


def _judge(series: FileSeries, options: argparse.Namespace) -> _Judged:
    better = series.better or Direction.LOWER
    if options.better is not None:
        better = Direction.NONE if options.better == "none" else direction(options.better)
    rules = analysis.Rules(
        kind=series.kind,
        better=better,
        minimum_change=_fraction(options.minimum_change, "--minimum-change"),
        limit=_limit(options.limit, series, options.unit, "--limit"),
        lower_limit=_limit(options.lower_limit, series, options.unit, "--lower-limit"),
        maximum_increase=_fraction(options.maximum_increase, "--maximum-increase"),
        maximum_decrease=_fraction(options.maximum_decrease, "--maximum-decrease"),
        history=options.history,
        unit=series.unit,
    )
    changes = analysis.change_points(series.values, minimum_change=rules.shift_change)
    return _Judged(series, changes, analysis.verdicts(series.values, rules)[-1])


def _fraction(text: Optional[str], option: str) -> Optional[float]:
    """A fraction of an option: ``0.05`` or ``5 %``."""
    if text is None:
        return None
    quantity = units.parse(text)
    if quantity.unit != "1":
        raise QueryError(f"{option} {units.excerpt(text)}: expected a fraction such as 0.05 or '5 %'")
    return quantity.value


def _limit(text: Optional[str], series: FileSeries, unit: Optional[str], option: str) -> Optional[float]:
    """A limit of an option in the base unit of a series; a plain number is in the unit of ``--unit``, or in that."""
    if text is None:
        return None
    quantity = units.parse(text)
    if quantity.unit == "1" and unit is not None:
        quantity = units.to_base(quantity.value, unit)
    if quantity.unit not in ("1", series.unit):
        wanted = f"expected a value in {series.unit}, as {units.excerpt(series.name)} is"
        raise QueryError(f"{option} {units.excerpt(text)}: {wanted}")
    return quantity.value


def _to_json(judged: _Judged) -> dict[str, Any]:
    series = judged.series
    return {
        "name": series.name,
        "branch": series.branch,
        "unit": series.unit,
        "count": len(series.values),
        "time": series.times[-1],
        "verdict": asdict(judged.verdict),
        "changes": [{**asdict(change), "time": series.times[change.index]} for change in judged.changes],
    }


def _print_tables(judged: list[_Judged]) -> None:
    if sys.stdout.isatty():
        for each in judged:
            _print_chart(each)
        print()
    changes = [_change_row(each.series, change) for each in judged for change in each.changes]
    print(_table(CHANGES, changes, left=4) if changes else "no change points")
    print()
    print(_table(VERDICTS, [_verdict_row(each) for each in judged], left=3))
    for each in judged:
        if each.verdict.state not in (analysis.State.NORMAL, analysis.State.NO_BASELINE):
            print(f"{_title(each.series)}: {output.clean(each.verdict.reason, 200)}")


def _table(heads: tuple[str, ...], rows: list[list[str]], *, left: int) -> str:
    """A table without the columns that are empty in every row."""
    filled = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    kept = [[row[place] for place in filled] for row in rows]
    return output.table([heads[place] for place in filled], kept, left=sum(place < left for place in filled))


def _change_row(series: FileSeries, change: analysis.Change) -> list[str]:
    return [
        output.clean(series.name, 40),
        output.clean(series.branch, 20),
        str(change.index),
        _format_time(series.times[change.index]),
        _format(series, change.before),
        _format(series, change.after),
        output.format_change(change.change),
    ]


def _verdict_row(judged: _Judged) -> list[str]:
    series, verdict = judged.series, judged.verdict
    usual = ""
    if verdict.low is not None and verdict.high is not None:
        usual = f"{_format(series, verdict.low)} to {_format(series, verdict.high)}"
    return [
        output.clean(series.name, 40),
        output.clean(series.branch, 20),
        str(verdict.state),
        str(len(series.values)),
        _format(series, verdict.value),
        usual,
        output.format_change(verdict.change),
    ]


def _print_chart(judged: _Judged) -> None:
    """Print a sparkline of a series, with a mark below each change point."""
    width = max(20, shutil.get_terminal_size().columns - 4)
    has_blocks = (sys.stdout.encoding or "").lower().startswith("utf")
    values = judged.series.values
    print(_title(judged.series))
    print(f"  {chart.sparkline(values, width, chart.BLOCKS if has_blocks else chart.ASCII)}")
    marks = chart.marks([change.index for change in judged.changes], len(values), width)
    print(f"  {marks}".rstrip())


def _title(series: FileSeries) -> str:
    return output.clean(f"{series.name} ({series.branch})" if series.branch else series.name)


def _format(series: FileSeries, value: float) -> str:
    return output.format_value(value, series.unit, series.kind.value if series.kind else "")


def _format_time(seconds: Optional[float]) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
