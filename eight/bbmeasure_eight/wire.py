"""Wire format, version 1, in which a worker sends records to the master on standard output.

One JSON object after ``##bbmeasure`` and a space, anywhere in a line.  The same format as ``bbmeasure.wire``, with
which the tests compare this module.
"""

from __future__ import unicode_literals

import json
import math

from bbmeasure_eight import texts
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.records import Record

VERSION = 1
MARKER = "##bbmeasure "
#: The limit of a line on stdout, in bytes: a slave splits lines at 4,095.
LONGEST_MARKER_LINE = 4000
LONGEST_LINE = 256 * 1024

_WORD = "bbmeasure"
_MAX_LOOKBEHIND = 64
_MAX_LINE_PREFIX = 2 * LONGEST_MARKER_LINE


def _number(digits):
    value = float(digits)
    if math.isinf(value):
        raise MeasureError("number %s: expected a finite number" % texts.excerpt(digits))
    return value


def _no_constant(word):
    raise MeasureError("number %s: expected a finite number" % texts.decode(word))


_JSON = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_no_constant)


def decode(line):
    """Decode a line of JSON; raises MeasureError."""
    if texts.length(line) > LONGEST_LINE:
        raise MeasureError("line of %d characters: expected at most %d" % (len(line), LONGEST_LINE))
    try:
        fields = _JSON.decode(line)
    except MeasureError:
        raise
    except ValueError as error:
        raise MeasureError("%s: expected a JSON object (%s)" % (texts.excerpt(line), texts.decode(str(error))))
    except RuntimeError:  # the limit of recursion
        raise MeasureError("nested too deeply: expected a flat JSON object")
    if not isinstance(fields, dict):
        raise MeasureError("%s: expected a JSON object" % texts.excerpt(line))
    if fields.get("v", VERSION) != VERSION:
        raise MeasureError("version %r: expected %d" % (fields["v"], VERSION))
    if "name" not in fields:
        raise MeasureError("fields without a name: expected a name")
    given = dict((str(key), fields.get(key)) for key in ("kind", "unit", "better", "tags"))
    return Record(fields["name"], fields.get("value"), samples=fields.get("samples") or (), **given)


class MarkerScanner(object):
    """Decodes the marked lines in a stream of text; buffers at most one line.

    :meth:`feed` and :meth:`finish` return records, and the reasons, as text, of refused lines.
    """

    def __init__(self):
        self._rest = ""

    def feed(self, text):
        """Add a piece of text; returns the items of the lines that are complete."""
        text = self._rest + text
        end = text.rfind("\n") + 1
        self._rest = text[end:]
        if len(self._rest) > 2 * _MAX_LINE_PREFIX:
            at = self._rest.find(_WORD)
            at = len(self._rest) - len(_WORD) if at < 0 else at
            self._rest = self._rest[max(0, at - _MAX_LOOKBEHIND) :][: _MAX_LINE_PREFIX + 1]
        return self._scan(text[:end])

    def finish(self):
        """Return the items of a last line without a line break."""
        rest, self._rest = self._rest, ""
        return self._scan(rest)

    def _scan(self, text):
        items = []
        at = text.find(_WORD)
        while at >= 0:
            start = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            items.extend(_read_line(text[max(start, at - _MAX_LOOKBEHIND) : end]))
            at = text.find(_WORD, end)
        return items


def _read_line(line):
    """The items of a line; two programs may have written into one line."""
    parts = texts.strip_ansi(line[:_MAX_LINE_PREFIX]).split(MARKER)[1:]
    if parts and texts.length(line) > _MAX_LINE_PREFIX:
        why = "marked line of more than %d characters: expected less than %d"
        return [why % (_MAX_LINE_PREFIX, LONGEST_MARKER_LINE)]
    return [_read_part(part.strip()) for part in parts]


def _read_part(part):
    """The record after a marker; ignores the output of other programs after its closing brace."""
    if texts.length(part) + len(MARKER) >= LONGEST_MARKER_LINE:
        return "marked line of %d characters: expected less than %d" % (len(part), LONGEST_MARKER_LINE)
    try:
        end = _JSON.raw_decode(part)[1]
    except (ValueError, RuntimeError):
        end = len(part)
    try:
        return decode(part[:end])
    except MeasureError as error:
        return error.args[0]
