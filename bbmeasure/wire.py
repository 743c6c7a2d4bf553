"""Wire format, version 1, in which a worker sends records to the master.

One JSON object a line, alone in the file named by ``$BBMEASURE_FILE``, after ``##bbmeasure`` and a space on stdout::

    {"v":1,"name":"link_time","value":12.5,"unit":"s","better":"lower","tags":{"target":"core"}}

Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import codecs
import json
import math
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Union

from bbmeasure import units
from bbmeasure.ansi import strip_ansi
from bbmeasure.errors import MeasureError, WireError
from bbmeasure.plain_wire import FILE_VARIABLE as FILE_VARIABLE
from bbmeasure.plain_wire import MARKER as MARKER
from bbmeasure.plain_wire import VERSION as VERSION
from bbmeasure.records import Direction, Record

#: The limit of a line on stdout, in bytes: a worker splits lines at 4,095.
LONGEST_MARKER_LINE = 4000
#: The largest sidecar file, in bytes, and the longest line in it, in characters.
LARGEST_FILE = 1024 * 1024
LONGEST_LINE = 256 * 1024
#: The most refused lines of a file, after which it is not read further.
MOST_REFUSALS = 1000

#: The part of the marker that is searched for, and the length of the text before it that may contain the rest of the
#: marker and control sequences of a terminal.
_WORD = "bbmeasure"
_MAX_LOOKBEHIND = 64
#: The part of a line on stdout that is decoded, in characters.
_MAX_LINE_PREFIX = 2 * LONGEST_MARKER_LINE


class Refusal(NamedTuple):
    """A refused line: its number from 1, the reason, and its start."""

    line: int
    why: str
    excerpt: str


def encode(record: Record) -> str:
    """Encode a record as a line of ASCII, without a line break."""
    fields: Dict[str, Any] = {"v": VERSION, "name": record.name, "value": record.value, "kind": record.kind.value}
    if record.unit != "1":
        fields["unit"] = record.unit
    if record.better is not Direction.NONE:
        fields["better"] = record.better.value
    if record.tags:
        fields["tags"] = dict(record.tags)
    if record.samples:
        fields["samples"] = list(record.samples)
    line = json.dumps(fields, separators=(",", ":"), allow_nan=False)
    return line.replace(MARKER, "\\u0023" + MARKER[1:])  # a marker in a value must not be found as a marker


def encode_marker(record: Record) -> str:
    """Encode a record as a marked line for stdout; WireError where it exceeds the limit of a line."""
    line = MARKER + encode(record)
    if len(line) >= LONGEST_MARKER_LINE:
        raise WireError(
            f"record {units.excerpt(record.name)}: expected a line of less than {LONGEST_MARKER_LINE} bytes,"
            f" got {len(line)}; write it to ${FILE_VARIABLE} instead"
        )
    return line


def decode(line: str) -> Record:
    """Decode a line of JSON; raises WireError, RecordError or UnitError."""
    if len(line) > LONGEST_LINE:
        raise WireError(f"line of {len(line)} characters: expected at most {LONGEST_LINE}")
    try:
        return _record(line)
    except RecursionError:
        raise WireError("nested too deeply: expected a flat JSON object") from None


def _record(line: str) -> Record:
    fields = _load(line)
    if not isinstance(fields, dict):
        raise WireError(f"{units.excerpt(line)}: expected a JSON object")
    version = fields.get("v", VERSION)
    if version != VERSION:
        raise WireError(f"version {units.excerpt(str(version))}: expected {VERSION}")
    if "name" not in fields:
        raise WireError("fields without a name: expected a name")
    return Record(
        fields["name"],
        fields.get("value"),
        kind=fields.get("kind"),
        unit=fields.get("unit"),
        better=fields.get("better"),
        tags=fields.get("tags"),
        samples=fields.get("samples") or (),
    )


def _load(line: str) -> Any:
    try:
        return _JSON.decode(line)
    except ValueError as error:
        if isinstance(error, MeasureError):
            raise
        raise WireError(f"{units.excerpt(line)}: expected a JSON object ({error})") from None


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise WireError(f"number {units.excerpt(digits)}: expected a finite number")
    return value


def _no_constant(word: str) -> NoReturn:
    raise WireError(f"number {word}: expected a finite number")


#: Decodes all numbers as floats: a million digits as an integer would take quadratic time.
_JSON = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_no_constant)


def read(line: str, number: int) -> Union[Record, Refusal]:
    """Decode line ``number``; returns a refusal where it is invalid."""
    try:
        return decode(line)
    except MeasureError as error:
        return Refusal(number, str(error), line[:80])


def to_utf8(content: bytes) -> bytes:
    """``content`` in UTF-8 if a byte order mark identifies it as UTF-16, which PowerShell's > writes."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace").encode("utf-8", "replace")
    return content


def read_file(content: bytes) -> Iterator[Union[Record, Refusal]]:
    """Decode the lines of a sidecar file, also a last line without a line break.

    Stops after MOST_REFUSALS invalid lines, so that a megabyte of them takes milliseconds.
    """
    refused = 0
    for number, raw in enumerate(to_utf8(content).split(b"\n"), start=1):
        line = raw.decode("utf-8", "replace").strip("\ufeff\r\t \0")
        if not line:
            continue
        if refused >= MOST_REFUSALS:
            yield Refusal(number, f"{refused} invalid lines: the rest was not read", line[:80])
            return
        why = _encoding_error(raw)
        item = Refusal(number, why, line[:80]) if why else read(line, number)
        refused += isinstance(item, Refusal)
        yield item


def _encoding_error(raw: bytes) -> str:
    """The reason for which a line is not read as UTF-8; empty where it is valid.

    Two names in another code page could become the same name.
    """
    if b"\0" in raw.strip(b"\0"):
        return "NUL character: expected UTF-8 (PowerShell's >> writes UTF-16)"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {raw[error.start]:#04x} at {error.start + 1}: expected UTF-8, or ASCII with \\u escapes"
    return ""


class MarkerScanner:
    """Decodes the marked lines in a stream of text; buffers at most one line.

    ``line`` of a refusal counts only marked lines: to count all lines would take as long as to find those.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._number = 0

    def feed(self, text: str) -> List[Union[Record, Refusal]]:
        """Add a piece of text; returns the records and refusals of the lines that are complete."""
        text = self._rest + text
        end = text.rfind("\n") + 1
        self._rest = text[end:]
        if len(self._rest) > 2 * _MAX_LINE_PREFIX:
            self._rest = self._shorten(self._rest)
        return self._scan(text[:end]) if end else []

    def finish(self) -> List[Union[Record, Refusal]]:
        """Return the records and refusals of a last line without a line break."""
        rest, self._rest = self._rest, ""
        return self._scan(rest) if rest else []

    @staticmethod
    def _shorten(rest: str) -> str:
        """The relevant part of an endless line: from its marker on, or the end, which may be the start of a marker.

        It is longer than the limit, so that the line is refused as too long.
        """
        at = rest.find(_WORD)
        at = len(rest) - len(_WORD) if at < 0 else at
        return rest[max(0, at - _MAX_LOOKBEHIND) :][: _MAX_LINE_PREFIX + 1]

    def _scan(self, text: str) -> List[Union[Record, Refusal]]:
        items: List[Union[Record, Refusal]] = []
        at = text.find(_WORD)
        while at >= 0:
            start = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            items.extend(self._read_line(text[max(start, at - _MAX_LOOKBEHIND) : end]))
            at = text.find(_WORD, end)
        return items

    def _read_line(self, line: str) -> Iterator[Union[Record, Refusal]]:
        """Decode the records of a line; two programs may have written into one line."""
        parts = strip_ansi(line[:_MAX_LINE_PREFIX]).split(MARKER)[1:]
        self._number += bool(parts)
        if parts and len(line) > _MAX_LINE_PREFIX:
            why = f"marked line of more than {_MAX_LINE_PREFIX} characters: expected less than {LONGEST_MARKER_LINE}"
            yield Refusal(self._number, why, parts[0][:80])
            return
        for part in parts:
            yield self._read_part(part.strip())

    def _read_part(self, part: str) -> Union[Record, Refusal]:
        """Decode one marked record; ignores the output of other programs after its closing brace."""
        if len(part) + len(MARKER) >= LONGEST_MARKER_LINE:
            why = f"marked line of {len(part)} characters: expected less than {LONGEST_MARKER_LINE}"
            return Refusal(self._number, why, part[:80])
        try:
            end = _JSON.raw_decode(part)[1]
        except (ValueError, RecursionError):
            end = len(part)  # read() determines the reason
        return read(part[:end], self._number)
