"""The format in which a worker hands records to the master, version 1.

One JSON object a line: as it is in the file that ``$BBMEASURE_FILE`` names, behind ``##bbmeasure`` and a space on
stdout::

    {"v":1,"name":"link_time","value":12.5,"unit":"s","better":"lower","tags":{"target":"core"}}

History: 1, the first.  Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Union

from bbmeasure import units
from bbmeasure.ansi import strip_ansi
from bbmeasure.errors import MeasureError, WireError
from bbmeasure.records import Direction, Record

VERSION = 1
MARKER = "##bbmeasure "
#: The environment variable that names the sidecar file of a step.
FILE_VARIABLE = "BBMEASURE_FILE"
#: The longest line on stdout, in bytes: a worker cuts lines at 4,095 and loses the rest.
LONGEST_MARKER_LINE = 4000
#: The largest sidecar file, in bytes, and the longest line in it, in characters.
LARGEST_FILE = 1024 * 1024
LONGEST_LINE = 256 * 1024
#: The most lines of a file that are refused one by one.
MOST_REFUSALS = 1000

#: What is looked for first; a terminal may have put colours into the marker, within so many characters before it.
_WORD = "bbmeasure"
_LONGEST_PAINT = 64
#: The most of a line on stdout that is looked at, in characters.
_LONGEST_KEPT = 2 * LONGEST_MARKER_LINE


class Refusal(NamedTuple):
    """A line that was not taken: where it stood (from 1), why, and how it began."""

    line: int
    why: str
    excerpt: str


def encode(record: Record) -> str:
    """The line of a record, without a line break and in ASCII."""
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
    return line.replace(MARKER, "\\u0023" + MARKER[1:])  # a marker in a text is none


def encode_marker(record: Record) -> str:
    """The line of a record for stdout; WireError where a worker would cut it."""
    line = MARKER + encode(record)
    if len(line) >= LONGEST_MARKER_LINE:
        raise WireError(
            f"record {units.excerpt(record.name)}: expected a line of less than {LONGEST_MARKER_LINE} bytes,"
            f" got {len(line)}; write it to ${FILE_VARIABLE} instead"
        )
    return line


def decode(line: str) -> Record:
    """The record of one JSON line; WireError, RecordError or UnitError say why there is none."""
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
        raise WireError("no name: expected one")
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
        raise WireError(f"number {units.excerpt(digits)}: expected a finite one")
    return value


def _no_constant(word: str) -> NoReturn:
    raise WireError(f"number {word}: expected a finite one")


#: Every number is a float, so that a million digits cost no more than their reading.
_JSON = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_no_constant)


def read(line: str, number: int) -> Union[Record, Refusal]:
    """The record of line ``number``, or why there is none."""
    try:
        return decode(line)
    except MeasureError as error:
        return Refusal(number, str(error), line[:80])


def read_file(content: bytes) -> Iterator[Union[Record, Refusal]]:
    """What a sidecar file holds, line by line; a last line without its line break was cut and is refused if broken.

    After MOST_REFUSALS lines that are no records it gives up, so that a megabyte of rubbish costs milliseconds.
    """
    refused = 0
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.decode("utf-8", "replace").strip("\ufeff\r\t \0")
        if not line:
            continue
        if refused >= MOST_REFUSALS:
            yield Refusal(number, f"{refused} lines before could not be read: the rest was not looked at", line[:80])
            return
        found = read(line, number)
        refused += isinstance(found, Refusal)
        yield found


class MarkerScanner:
    """Finds marked lines in a stream of text that arrives in pieces; keeps no more than one line of it.

    A Refusal's ``line`` counts the marked lines: to count all lines would take as long as to find those.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._number = 0

    def feed(self, text: str) -> List[Union[Record, Refusal]]:
        """What the lines that end in ``text`` hold."""
        text = self._rest + text
        end = text.rfind("\n") + 1
        self._rest = text[end:]
        if len(self._rest) > 2 * _LONGEST_KEPT:
            self._rest = self._shorten(self._rest)
        return self._scan(text[:end]) if end else []

    def finish(self) -> List[Union[Record, Refusal]]:
        """What the last line holds, if it had no line break."""
        rest, self._rest = self._rest, ""
        return self._scan(rest) if rest else []

    @staticmethod
    def _shorten(rest: str) -> str:
        """The part of an endless line that may still matter: from its marker on, or what could be the beginning of one.

        A little more is kept than is read, so that the line is known to be too long.
        """
        at = rest.find(_WORD)
        at = len(rest) - len(_WORD) if at < 0 else at
        return rest[max(0, at - _LONGEST_PAINT) :][: _LONGEST_KEPT + 1]

    def _scan(self, text: str) -> List[Union[Record, Refusal]]:
        found: List[Union[Record, Refusal]] = []
        at = text.find(_WORD)
        while at >= 0:
            start = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            found.extend(self._read_line(text[max(start, at - _LONGEST_PAINT) : end]))
            at = text.find(_WORD, end)
        return found

    def _read_line(self, line: str) -> Iterator[Union[Record, Refusal]]:
        """The records of a line from its first marker on; two programs may have written into one line."""
        parts = strip_ansi(line[:_LONGEST_KEPT]).split(MARKER)[1:]
        self._number += bool(parts)
        if parts and len(line) > _LONGEST_KEPT:
            why = f"marked line of more than {_LONGEST_KEPT} characters: expected less than {LONGEST_MARKER_LINE}"
            yield Refusal(self._number, why, parts[0][:80])
            return
        for part in parts:
            yield self._read_part(part.strip())

    def _read_part(self, part: str) -> Union[Record, Refusal]:
        """One marked record; what another program wrote behind its closing brace is no matter."""
        if len(part) + len(MARKER) >= LONGEST_MARKER_LINE:
            why = f"marked line of {len(part)} characters: expected less than {LONGEST_MARKER_LINE}"
            return Refusal(self._number, why, part[:80])
        try:
            end = _JSON.raw_decode(part)[1]
        except (ValueError, RecursionError):
            end = len(part)  # reading it says why
        return read(part[:end], self._number)
