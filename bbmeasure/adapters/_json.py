"""JSON from an untrusted source: any unexpected value raises a ParseError.

All numbers are decoded as floats: a million digits as an integer would take quadratic time.  NaN and Infinity, which
some tools write, are accepted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bbmeasure.adapters._text import lines
from bbmeasure.errors import ParseError
from bbmeasure.units import excerpt

#: The limits of objects and lists, and of commas, which bound the memory of a decoded document.
MAX_CONTAINERS = 3_000_000
MAX_COMMAS = 16_000_000
#: How many lines that may start a document are tried, where other output precedes it.
MAX_CANDIDATES = 5


class Json:
    """Decoder of the JSON of one tool, with checks of the types of values."""

    def __init__(self, tool: str) -> None:
        self.tool = tool

    def load(self, text: str) -> Any:
        """Decode the document in ``text``; ignores lines before and after it, such as those of npm."""
        whole, text = text, text.lstrip("\ufeff \t\r\n")
        before = whole.count("\n", 0, len(whole) - len(text))
        self._check_size(text)
        failure = ParseError(self.tool, 1, f"{excerpt(text)}: expected JSON")
        for count, start in enumerate(_candidates(text)):
            try:
                return self._decode(text[start:] if start else text)
            except json.JSONDecodeError as error:
                if not count:
                    line = before + text.count("\n", 0, start) + error.lineno
                    failure = ParseError(self.tool, line, f"expected JSON ({error.msg}, column {error.colno})")
        raise failure

    def whole(self, text: str) -> list[Any]:
        """Decode a document that is a list; ParseError where it is another."""
        document = self.load(text)
        if not isinstance(document, list):
            raise self._unexpected("document", "a list", document)
        return document

    def load_lines(self, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Decode the object on each line; yields it with its line number."""
        for number, line in lines(text.lstrip("\ufeff")):
            try:
                yield number, self.mapping(self._decode(line), "line")
            except json.JSONDecodeError as error:
                why = f"expected a JSON object ({error.msg}, column {error.colno})"
                raise ParseError(self.tool, number, why) from None

    def mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        """``value`` as an object."""
        if not isinstance(value, dict):
            raise self._unexpected(what, "an object", value)
        return value

    def items(self, value: Any, what: str) -> list[Any]:
        """``value`` as a list; [] for null."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._unexpected(what, "a list", value)
        return value

    def mappings(self, value: Any, what: str) -> Iterator[Mapping[str, Any]]:
        """The objects of a list."""
        return (self.mapping(item, f"item of {what}") for item in self.items(value, what))

    def required(self, fields: Mapping[str, Any], key: str) -> list[Any]:
        """The list at ``key``; ParseError where there is none."""
        value = fields.get(key)
        if not isinstance(value, list):
            raise self._unexpected(key, "a list", value)
        return value

    def named(self, fields: Mapping[str, Any], key: str) -> str:
        """The string at ``key``; ParseError where it is missing, null or empty."""
        value = self.text(fields, key)
        if not value:
            raise self._unexpected(key, "a non-empty string", None)
        return value

    def present(self, fields: Mapping[str, Any], *keys: str) -> None:
        """ParseError where one of ``keys`` is missing; a null is present."""
        for key in keys:
            if key not in fields:
                raise ParseError(self.tool, 0, f"expected a field {key}, got {excerpt(', '.join(map(str, fields)))}")

    def inner(self, fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """The object at ``key``; an empty one where it is missing or null."""
        value = fields.get(key)
        return {} if value is None else self.mapping(value, key)

    def text(self, fields: Mapping[str, Any], key: str, default: str = "") -> str:
        """The string at ``key``; ``default`` where it is missing or null."""
        value = fields.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._unexpected(key, "a string", value)
        return value

    def number(self, fields: Mapping[str, Any], key: str) -> float:
        """The number at ``key``, which may be NaN or infinite."""
        value = fields.get(key)
        if not isinstance(value, float):
            raise self._unexpected(key, "a number", value)
        return value

    def numbers(self, fields: Mapping[str, Any], key: str) -> list[float]:
        """The numbers in the list at ``key``, of which a null is NaN; [] where the list is missing or null."""
        listed = self.items(fields.get(key), key)
        if {*map(type, listed)} == {float}:
            return listed
        for value in listed:
            if not isinstance(value, float) and value is not None:
                raise self._unexpected(f"item of {key}", "a number", value)
        return [math.nan if value is None else value for value in listed] if None in listed else listed

    def _unexpected(self, what: str, expected: str, value: Any) -> ParseError:
        got = "nothing" if value is None else f"{_WORDS.get(type(value), 'a value')} {excerpt(str(value), 40)}"
        return ParseError(self.tool, 0, f"{what}: expected {expected}, got {got}")

    def _check_size(self, text: str) -> None:
        if text.count("{") + text.count("[") > MAX_CONTAINERS or text.count(",") > MAX_COMMAS:
            limits = f"{MAX_CONTAINERS} lists and objects, and {MAX_COMMAS} commas"
            raise ParseError(self.tool, 0, f"expected at most {limits}")

    def _decode(self, text: str) -> Any:
        try:
            document, end = _DECODER.raw_decode(text)
            if _MORE.match(text, end):
                raise json.JSONDecodeError("extra data after the document", text, end)
            return document
        except RecursionError:
            raise ParseError(self.tool, 0, "nested too deeply for the output of this tool") from None


_DECODER = json.JSONDecoder(parse_int=float)
#: Text that must not follow a document: more on its last line, or another document.  Each alternative matches blanks
#: itself, which avoids backtracking.
_MORE = re.compile(r"[ \t\r]*[^ \t\r\n]|\s*[\[{]")
_WORDS = {dict: "an object", list: "a list", str: "the string", float: "the number", bool: "the boolean"}


def _candidates(text: str) -> Iterator[int]:
    """Positions at which a document may start: the first character, or the first lines that start with a bracket."""
    at, left = 0, MAX_CANDIDATES
    while left:
        if text[at : at + 1] in ("{", "["):
            yield at
            left -= 1
            if at == 0 and not text[1:2].isalpha():  # "[INFO] ..." is not a document
                return
        brackets = [found for found in (text.find("\n{", at), text.find("\n[", at)) if found >= 0]
        if not brackets:
            return
        at = min(brackets) + 1
