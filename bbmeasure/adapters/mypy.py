"""mypy, the default format or ``--output=json``: errors by code, without notes."""

from __future__ import annotations

import re

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import is_cut, line_number, lines, split_position
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: 2 is a crash, invalid use or a syntax error: https://github.com/python/mypy/blob/master/mypy/main.py
FOUND_ISSUES = frozenset([1])
LINE_BASED = True

_JSON = Json("mypy")
_CODE = re.compile(r"\[([a-z][a-z0-9-]*)\]\Z")
_SEVERITIES = ("error", "warning", "note")
_SUMMARY = re.compile(r"(?:Found [0-9]+ errors? in [0-9]+ files?|Success: )")
#: The category of an error without a code, as with `--hide-error-codes`.
_NO_CODE = "error"


def issues(text: str) -> list[Issue]:
    """The errors; an empty output has none."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("{"):
        return _json_issues(text)
    return _text_issues(text) if start else []


def _json_issues(text: str) -> list[Issue]:
    """The format of JSONFormatter in https://github.com/python/mypy/blob/master/mypy/error_formatter.py."""
    return [
        Issue(
            category=_JSON.text(fields, "code", _NO_CODE),
            file=_JSON.named(fields, "file"),
            line=line_number(fields.get("line")),
            severity=_JSON.text(fields, "severity"),
        )
        for _number, fields in _JSON.load_lines(text)
        if _JSON.named(fields, "severity") != "note"
    ]


def _text_issues(text: str) -> list[Issue]:
    """``file:line: error: message  [code]``, the code on a later line where ``--pretty`` wrapped the message.

    The format of ``format_messages`` in https://github.com/python/mypy/blob/master/mypy/errors.py
    """
    found: list[Issue] = []
    other = (0, "")
    is_open = is_mypy = False
    for number, line in lines(text):
        head, severity, message = _split(line)
        if (severity and head == "mypy") or message.startswith("INTERNAL ERROR"):
            raise ParseError("mypy", number, f"{excerpt(line)}: mypy itself failed")
        code = _CODE.search(message if severity else line)
        if severity:
            is_mypy, is_open = True, severity != "note" and code is None
            if severity != "note":
                file, position = split_position(head)
                found.append(Issue(code[1] if code else _NO_CODE, file, position, severity))
        elif is_open and code is not None and line[0] != " ":
            found[-1] = Issue(code[1], found[-1].file, found[-1].line, found[-1].severity)
            is_open = False
        elif _SUMMARY.match(line):
            is_mypy = True
        else:
            other = number, line
    if other[0] and (not is_mypy or is_cut(text, other[0])):
        raise ParseError("mypy", other[0], f"{excerpt(other[1])}: expected file:line: error: message")
    return found


def _split(line: str) -> tuple[str, str, str]:
    """The position, severity and message of a line; the severity is empty for other lines."""
    found = [(line.find(f": {severity}: "), severity) for severity in _SEVERITIES]
    at, severity = min(((at, severity) for at, severity in found if at > 0), default=(0, ""))
    if line[0].isspace():
        return "", "", ""
    return line[:at], severity, line[at + len(severity) + 4 :] if severity else ""


def parse(text: str) -> list[Record]:
    """``mypy`` and ``mypy_by_category``."""
    return lint.parse("mypy", text, issues)
