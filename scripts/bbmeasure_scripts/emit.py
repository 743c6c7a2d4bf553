"""``bbmeasure emit NAME VALUE``: report one value from a shell script."""

from __future__ import annotations

import argparse
import re
from typing import Dict, List, Optional, Sequence

from bbmeasure import units
from bbmeasure.errors import MeasureError, RecordError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, line_writer, record_writer


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report a value; returns 0, 1 where it cannot be written, 2 where the command line is no valid record."""
    parser = _parser()
    wanted = command_line.read(parser, argv)
    try:
        record = make(wanted.name, wanted.value, wanted.unit, wanted.kind, wanted.better, wanted.tag)
    except MeasureError as error:
        line_writer.print_line(f"{parser.prog}: {error}")
        return 2
    return 0 if record_writer.write([record], [record_writer.summary(record)]) else 1


def make(
    name: str,
    values: Sequence[str],
    unit: Optional[str] = None,
    kind: Optional[str] = None,
    better: Optional[str] = None,
    tags: Sequence[str] = (),
) -> Record:
    """A record from the strings of a command line; several values are samples, and their median is the value."""
    if kind == "text":
        return Record(name, " ".join(values), kind=kind, unit=unit, better=better, tags=read_tags(tags))
    if unit is not None:
        numbers = [units.read_number(value) for value in values]
    else:
        quantities = [units.parse(value) for value in values]
        units_found = {(quantity.unit, quantity.kind) for quantity in quantities}
        if len(units_found) > 1:
            raise RecordError(f"values in {len(units_found)} units: expected one unit")
        numbers = [quantity.value for quantity in quantities]
        unit = quantities[0].unit
        kind = kind or quantities[0].kind
    if len(numbers) == 1:
        return Record(name, numbers[0], unit=unit, kind=kind, better=better, tags=read_tags(tags))
    return Record(name, samples=numbers, unit=unit, kind=kind, better=better, tags=read_tags(tags))


def read_tags(texts: Sequence[str]) -> Dict[str, str]:
    """Parse tags of the form ``KEY=VALUE``; RecordError where one has no ``=``."""
    tags: Dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise RecordError(f"tag {units.excerpt(text)}: expected KEY=VALUE")
        tags[key] = value
    return tags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure emit",
        formatter_class=command_line.formatter,
        description="Report one value to the Buildbot step that runs this.",
        epilog="Outside a measuring step it prints a marked line, which every step of bbmeasure reads in its output.",
    )
    kinds: List[str] = ["count", "duration", "size", "ratio", "number", "text"]
    # by default argparse accepts -5 as a value, but not -1e-6 and -5ms
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    parser.add_argument("name", metavar="NAME", help="the name of the series")
    parser.add_argument(
        "value",
        metavar="VALUE",
        nargs="+",
        help="a number with an optional unit: 42, '1.2 MiB', '85 %%'; several values are samples",
    )
    parser.add_argument("--unit", metavar="U", help="the unit, if the value has none: ms, bytes, '{request}'")
    parser.add_argument("--kind", choices=kinds, help="the kind of the value (default: that of the unit)")
    parser.add_argument("--better", choices=["lower", "higher"], help="the direction of an improvement")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="may be given several times")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
