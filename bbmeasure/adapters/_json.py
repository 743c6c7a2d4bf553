"""Reads a stranger's JSON: every way in which it can be off becomes a ParseError of its tool.

All numbers are floats, so that a million digits cost no more than their reading.  NaN and Infinity, which are no JSON
but what some tools write, are read as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bbmeasure.adapters._text import lines
from bbmeasure.errors import ParseError
from bbmeasure.units import excerpt

#: The most objects and lists, and the most commas, that a document may have: what it becomes in memory is bounded.
MOST_CONTAINERS = 1_000_000
MOST_COMMAS = 3_000_000
#: How many lines that could begin a document are tried, where a tool's banner stands before it.
MOST_BEGINNINGS = 5


class Json:
    """One tool's JSON.  The methods that take a value say what they wanted where it is something else."""

    def __init__(self, tool: str) -> None:
        self.tool = tool

    def load(self, text: str) -> Any:
        """The document in ``text``; lines of chatter before and behind it, as npm prints, are passed over."""
        whole, text = text, text.lstrip("\ufeff \t\r\n")
        before = whole.count("\n", 0, len(whole) - len(text))
        self._check_size(text)
        why = ParseError(self.tool, 1, f"{excerpt(text)}: expected JSON")
        for count, start in enumerate(_beginnings(text)):
            try:
                return self._decode(text[start:] if start else text)
            except json.JSONDecodeError as error:
                if not count:
                    line = before + text.count("\n", 0, start) + error.lineno
                    why = ParseError(self.tool, line, f"expected JSON ({error.msg}, column {error.colno})")
        raise why

    def load_lines(self, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The object on each line, with its line number."""
        for number, line in lines(text.lstrip("\ufeff")):
            try:
                yield number, self.mapping(self._decode(line), "line")
            except json.JSONDecodeError as error:
                why = f"expected a JSON object ({error.msg}, column {error.colno})"
                raise ParseError(self.tool, number, why) from None

    def mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        """``value``, which must be an object."""
        if not isinstance(value, dict):
            raise self._wanted(what, "an object", value)
        return value

    def items(self, value: Any, what: str) -> list[Any]:
        """``value``, which must be a list; [] for null."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wanted(what, "a list", value)
        return value

    def mappings(self, value: Any, what: str) -> Iterator[Mapping[str, Any]]:
        """The objects of a list."""
        return (self.mapping(item, f"item of {what}") for item in self.items(value, what))

    def required(self, fields: Mapping[str, Any], key: str) -> list[Any]:
        """The list at ``key``, which must be there."""
        value = fields.get(key)
        if not isinstance(value, list):
            raise self._wanted(key, "a list", value)
        return value

    def inner(self, fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """The object at ``key``; an empty one where it is not there or null."""
        value = fields.get(key)
        return {} if value is None else self.mapping(value, key)

    def text(self, fields: Mapping[str, Any], key: str, default: str = "") -> str:
        """The text at ``key``; ``default`` where it is not there or null."""
        value = fields.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wanted(key, "a text", value)
        return value

    def number(self, fields: Mapping[str, Any], key: str) -> float:
        """The number at ``key``, which may be NaN or infinite."""
        value = fields.get(key)
        if not isinstance(value, float):
            raise self._wanted(key, "a number", value)
        return value

    def numbers(self, fields: Mapping[str, Any], key: str) -> list[float]:
        """The numbers in the list at ``key``; [] where it is not there or null."""
        listed = self.items(fields.get(key), key)
        for value in listed:
            if not isinstance(value, float):
                raise self._wanted(f"item of {key}", "a number", value)
        return listed

    def _wanted(self, what: str, wanted: str, value: Any) -> ParseError:
        got = "nothing" if value is None else f"{_WORDS.get(type(value), 'a value')} {excerpt(str(value), 40)}"
        return ParseError(self.tool, 0, f"{what}: expected {wanted}, got {got}")

    def _check_size(self, text: str) -> None:
        if text.count("{") + text.count("[") > MOST_CONTAINERS or text.count(",") > MOST_COMMAS:
            most = f"{MOST_CONTAINERS} lists and objects, and {MOST_COMMAS} commas"
            raise ParseError(self.tool, 0, f"expected at most {most}")

    def _decode(self, text: str) -> Any:
        try:
            document, end = _DECODER.raw_decode(text)
            if _MORE.match(text, end):
                raise json.JSONDecodeError("more behind the document", text, end)
            return document
        except RecursionError:
            raise ParseError(self.tool, 0, "nested too deeply: expected what the tool writes") from None


_DECODER = json.JSONDecoder(parse_int=float)
#: What may not stand behind a document: more on its last line, or another one.  Each half reads blanks once: with
#: both behind one run of blanks, re would try each way to share it.
_MORE = re.compile(r"[ \t\r]*[^ \t\r\n]|\s*[\[{]")
_WORDS = {dict: "an object", list: "a list", str: "the text", float: "the number", bool: "the word"}


def _beginnings(text: str) -> Iterator[int]:
    """Where a document may begin: the first character, or the first lines with a bracket in front."""
    at, left = 0, MOST_BEGINNINGS
    while left:
        if text[at : at + 1] in ("{", "["):
            yield at
            left -= 1
            if at == 0 and not text[1:2].isalpha():  # "[INFO] ..." is no document
                return
        brackets = [found for found in (text.find("\n{", at), text.find("\n[", at)) if found >= 0]
        if not brackets:
            return
        at = min(brackets) + 1
