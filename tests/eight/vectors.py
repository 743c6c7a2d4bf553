"""Test vectors for the distribution in ``eight/``: what the main distribution makes of units, wire, points, identities.

``python -m tests.eight.vectors FILE`` writes them as JSON; Eight's own tests, on Python 2.7, compare with them.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from bbmeasure import records, units, wire
from bbmeasure.capture.identity import Value as CapturedValue
from bbmeasure.capture.identity import identity_time, point_of, time_offset
from bbmeasure.errors import MeasureError
from bbmeasure.model import BuildContext, SeriesInfo
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.storage.influxdb.line_protocol import LineWriter, clean_tags, metadata_line

HOSTILE = (
    "plain",
    "comma, equals= space",
    "#comment",
    "back\\slash",
    "trailing\\",
    "\\,\\=\\ ",
    'quo"te',
    "caf\u00e9",
    "\U0001f600 face",
    "\ue000 before \U0001f600",
    "a" * 199,
    "value",
    "time",
    "SELECT * FROM x; DROP",
    "{brace}",
    "tab\there",
    "\u00a0",
    "'single'",
    "=",
    ",",
    "a\x9bb\xad",
    "\u202egnp.exe\u2066\u200b",
    "\ufeff\U000e0041\U0001d173\U0001bca0\U0001f600",
    "\u180e\u3164\u2028",
)

QUANTITIES = (
    *("42", "42\n", " 1.5 MiB ", "12.5 ms", "85 %", "1_024", "1__0", "1,000", "-0", "-0.0 s", "+3 s", ".5h", "5."),
    *("1e308 PB", "1e-320 ns", "0x10", "nan", "inf", "12 1", "12 apples", "3 {request}", "3 {request}/min"),
    *(
        "3 {a\u202e}",
        "3 {\u200b}/s",
        "3 {\x9b}",
        "3 {\U000e0041}",
        "3 {\U0001f600}",
        "3 {a b}",
        "\u0664\u0662",
        "7 \u00b5s",
        "7 \u03bcs",
        "20 \u00b0C",
        "",
        "   ",
        "1 2",
        "9" * 400,
    ),
    *("9" * 401, "1\u00a0s", "\x1c5", "8 bits", "1e400", "1E5kB/s", "1 s s", "{x}", "3 {" + "x" * 60 + "}"),
    *("3 {" + "x" * 61 + "}", "100 percent", "4 counts"),
)

#: Base units in which values are formatted.
FORMATTED = ("s", "bytes", "bytes/s", "1/s", "{request}", "{request}/s", "Cel")

LINES = (
    '{"v":1,"name":"a","value":12.5,"unit":"ms","better":"lower","tags":{"target":"core"}}',
    '{"name":"a","value":1}',
    '{"name":"a","value":1,"v":2}',
    '{"name":"a","value":1,"v":1.0}',
    '{"name":"a","value":true}',
    '{"name":"a","value":"text"}',
    '{"name":"a","value":"text","unit":"s"}',
    '{"name":"a","value":"bad \\ud800 surrogate"}',
    '{"name":"bad \\ud800","value":1}',
    '{"name":"\\ud83d\\ude00","value":1}',
    '{"name":"","value":1}',
    '{"name":"  ","value":1}',
    '{"name":"a\\nb","value":1}',
    '{"name":5,"value":1}',
    '{"name":"a"}',
    '{"value":1}',
    '{"name":"a","value":NaN}',
    '{"name":"a","value":Infinity}',
    '{"name":"a","value":1e999}',
    '{"name":"a","value":' + "9" * 1000 + "}",
    '{"name":"a","samples":[1,2,3,10]}',
    '{"name":"a","samples":[3,1,2],"unit":"ms"}',
    '{"name":"a","value":2,"samples":[1,2],"unit":"KiB","kind":"number"}',
    '{"name":"a","samples":[1,"x"]}',
    '{"name":"a","samples":[1,true]}',
    '{"name":"a","samples":"12"}',
    '{"name":"a","samples":[]}',
    '{"name":"a\\u202eb","value":"x\\u200b\\udb40\\udc41\\u001b","tags":{"k\\u0085":"v\\u2028"}}',
    '{"name":"a","value":1,"kind":"speed"}',
    '{"name":"a","value":1,"kind":"text"}',
    '{"name":"a","value":1,"unit":"furlong"}',
    '{"name":"a","value":1,"unit":5}',
    '{"name":"a","value":1,"unit":"{\\ud83d\\ude00}"}',
    '{"name":"a","value":1,"better":"up"}',
    '{"name":"a","value":1,"better":"none"}',
    '{"name":"a","value":-1,"kind":"count"}',
    '{"name":"a","value":-1,"unit":"s"}',
    '{"name":"a","value":-1}',
    '{"name":"a","value":1,"samples":[-1,2],"unit":"KiB"}',
    '{"name":"a","value":90,"unit":"{request}/min"}',
    '{"name":"a","value":90,"unit":"{\\ud83d\\ude00}/h"}',
    '{"name":"a","value":1,"unit":"s","kind":"size"}',
    '{"name":"a","value":1,"tags":{"n":1,"f":0.1,"big":1e300,"t":true,"none":null,"empty":""}}',
    '{"name":"a","value":1,"tags":{"f":1.1234567890123456,"g":-2.5e-7,"h":1e16}}',
    '{"name":"a","value":1,"tags":{"builder":"x"}}',
    '{"name":"a","value":1,"tags":{"_x":"x"}}',
    '{"name":"a","value":1,"tags":{"x":{"y":1}}}',
    '{"name":"a","value":1,"tags":[1]}',
    '{"name":"a","value":1,"tags":' + json.dumps({f"k{n}": "v" for n in range(17)}) + "}",
    '{"name":"a","value":1,"value":2}',
    '{"name":"' + "n" * 1000 + '","value":1}',
    '{"name":"' + "n" * 1001 + '","value":1}',
    '{"name":"' + "\U0001f600" * 1000 + '","value":1}',
    '{"name":"a","value":"' + "t" * 4001 + '"}',
    "[1]",
    "5",
    "",
    "{",
    '{"name":"a","value":1} trailing',
    '{"name":"a","value":1,"tags":' + "[" * 5000 + "]" * 5000 + "}",
)

#: Streams of standard output, in pieces.
STREAMS = (
    ('##bbmeasure {"name":"a","value":1}\n',),
    ("##bbm", 'easure {"name":"a",', '"value":1}', "\n"),
    ('noise ##bbmeasure {"name":"a","value":1} more noise\nother\n',),
    ('##bbmeasure {"name":"a","value":1}##bbmeasure {"name":"b","value":2}\n',),
    ('\x1b[1m##bbmeasure\x1b[0m {"name":"a","value":1}\x1b[K\n',),
    ('##bbmeasure {"name":"a","value":1}',),
    ("##bbmeasure nonsense\n",),
    ("bbmeasure without marker\n",),
    ('##bbmeasure {"name":"a","value":"' + "x" * 4100 + '"}\n',),
    ('##bbmeasure {"name":"a","value":"' + "x" * 9000 + '"}\n##bbmeasure {"name":"b","value":2}\n',),
    ("x" * 50_000, '##bbmeasure {"name":"a","value":1}\n'),
    ('##bbmeasure {"name":"a","value":1}\r\n##bbmeasure {"name":"caf\u00e9","value":2}\n',),
)


def _record(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "value": record.value,
        "kind": record.kind.value,
        "unit": record.unit,
        "better": record.better.value,
        "tags": dict(record.tags),
        "samples": list(record.samples),
    }


def _item(item: Any) -> Optional[dict[str, Any]]:
    return _record(item) if isinstance(item, Record) else None


def _quantities() -> Iterator[dict[str, Any]]:
    source = random.Random(8)
    texts = [*QUANTITIES, *(f"{source.uniform(0, 1000)!r} {unit}" for unit in units.known())]
    for text in texts:
        try:
            expected: Any = list(units.parse(text))
        except MeasureError:
            expected = None
        yield {"text": text, "expected": expected}


def _formats() -> Iterator[dict[str, Any]]:
    units_and_kinds = [("1", "ratio"), ("1", "count"), *((unit, "") for unit in FORMATTED)]
    for unit, kind in units_and_kinds:
        for value in (0.0, 1.0, -0.0, 1e-9, 0.5, 0.9999, 999.5, 1000.0, 123456.789, 1e14, 1e15, -42.0, 1.5e300):
            yield {"value": value, "unit": unit, "kind": kind, "expected": units.format(value, unit, kind)}


def _wire() -> Iterator[dict[str, Any]]:
    hostile = [{"name": name, "value": 1, "tags": {"k": name}} for name in HOSTILE]
    hostile += [{"name": "a", "value": 1, "tags": {name: "v"}} for name in (*HOSTILE, *records.RESERVED_TAGS)]
    for line in (*LINES, *map(json.dumps, hostile)):
        yield {"line": line, "expected": _item(wire.read(line, 1))}


def _streams() -> Iterator[dict[str, Any]]:
    for pieces in STREAMS:
        scanner = wire.MarkerScanner()
        items = [item for piece in pieces for item in scanner.feed(piece)] + scanner.finish()
        yield {"pieces": pieces, "expected": [_item(item) for item in items]}


def _builds() -> Sequence[dict[str, Any]]:
    plain: dict[str, Any] = {"builder": "b 1", "worker": "w,1", "build": 12, "step": "compile", "revision": "abc"}
    plain.update(branch="main", project='pro"j', proposal="")
    builds = [plain, dict(plain, step=None, revision=None, project=None)]
    builds.append(dict(plain, builder="#\\", worker="caf\u00e9\\"))
    builds.append(dict(plain, proposal="try", branch="release/1"))
    return builds


def _points() -> Iterator[dict[str, Any]]:
    """Points with the key and the fields of their line, without the buildid that Eight does not have."""
    writer = LineWriter()
    tags = [{}, {"result": "success"}, {"step": "a b", "result": "failure"}, *({"k": name} for name in HOSTILE)]
    tags += [{name: "v"} for name in HOSTILE]
    values: tuple[Any, ...] = (1.0, -0.1, 1e22, 1e16, 123456789.125, "text", 'a "b" \\ c', "two\nlines")
    records_ = [Record("size", value) for value in values] + [Record("s", samples=[1.0, 2.0, 4.0], unit="ms")]
    cases = [(record, {}, build) for record in records_ for build in (None, *_builds())]
    cases += [(Record("size", "two\nlines"), one, build) for one in tags for build in (None, _builds()[-1])]
    cases += [(Record(name, 1.5), {"t": "x"}, _builds()[0]) for name in HOSTILE if name.isprintable()]
    for record, more, build in cases:
        context = None if build is None else BuildContext(**build, buildid=77)
        point = point_of(CapturedValue(record, context, master_tags=more), 1_700_000_000_123_456_789)
        try:
            expected: Any = _split(writer.line(point))
        except MeasureError:
            expected = None
        yield {"record": _record(record), "tags": more, "build": build, "time": point.time, "expected": expected}


def _split(line: str) -> dict[str, Any]:
    """The key of a line and its fields, sorted: the order of fields means nothing."""
    at = _end(line)
    key, rest = line[:at], line[at + 1 :]
    fields, start, inside = [], 0, False
    at = 0
    while rest[at] != " " or inside:
        if rest[at] == "\\" and inside:
            at += 1
        elif rest[at] == '"':
            inside = not inside
        elif rest[at] == "," and not inside:
            fields.append(rest[start:at])
            start = at + 1
        at += 1
    fields.append(rest[start:at])
    return {"key": key, "fields": sorted(field for field in fields if not field.startswith("buildid="))}


def _end(line: str) -> int:
    """The end of the key: the first space that no backslash escapes."""
    return next(at for at, char in enumerate(line) if char == " " and line[at - 1] != "\\")


def _identities() -> Iterator[dict[str, Any]]:
    for master in ("host:/srv/master", "caf\u00e9:/\U0001f600"):
        for builder in HOSTILE:
            for step, tags in ((None, {}), (3, {"result": "success", "\ue000": "1", "\U0001f600": "2", "step": "x"})):
                time = identity_time(1_700_000_000.7, master, (builder, 42), step, builder, clean_tags(tags))
                yield {
                    "master": master,
                    "builder": builder,
                    "step": step,
                    "tags": tags,
                    "expected": time,
                    "offset": time_offset(master),
                }


def _metadata() -> Iterator[dict[str, Any]]:
    for name in HOSTILE:
        for builders in ((), (name,)):
            info = SeriesInfo(name, Kind.SIZE, "bytes", Direction.LOWER, builders)
            yield {"name": name, "builder": "".join(builders), "expected": metadata_line(info, 5, "m")}


def make() -> dict[str, Any]:
    """All vectors."""
    return {
        "quantities": list(_quantities()),
        "formats": list(_formats()),
        "units": sorted(units.known()),
        "wire": list(_wire()),
        "streams": list(_streams()),
        "points": list(_points()),
        "identities": list(_identities()),
        "metadata": list(_metadata()),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make()))
