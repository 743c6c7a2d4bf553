"""Reads a stranger's XML with the standard library's expat, element by element, and keeps no tree.

A document may name its DTD, as Cobertura's do, but nothing is fetched; one that declares anything of its own (entities:
"billion laughs", external files) is refused.  Depth and the number of elements are limited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.parsers import expat

from bbmeasure.errors import ParseError
from bbmeasure.units import excerpt

DEEPEST = 100
MOST_ELEMENTS = 1_000_000
#: How much is handed to expat at once: larger pieces keep an endless attribute from being read again for each piece.
_PIECE = 256 * 1024


class Element(NamedTuple):
    """The beginning of an element: its name without a prefix, its attributes, how deep it stands (the root: 0)."""

    name: str
    attributes: Mapping[str, str]
    depth: int


class _Reader:
    """Collects the elements that expat sees."""

    def __init__(self, tool: str, before: int) -> None:
        self.tool = tool
        self.seen: list[Element] = []
        self.has_ended = False
        self._before = before
        self._fed = 0
        self._depth = 0
        self._count = 0
        parser = expat.ParserCreate("utf-8")  # whatever it declares: it is text by now
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        self.parser = parser

    def feed(self, piece: str, is_last: bool) -> None:
        """Read another piece; ParseError where it is no XML."""
        encoded = piece.encode("utf-8", "replace")
        try:
            self.parser.Parse(encoded, is_last)
        except expat.ExpatError as error:
            at = max(0, self.parser.ErrorByteIndex - self._fed)
            if self._count and not self._depth and encoded[at : at + 1] != b"<":
                self.has_ended = True
                return
            why = f"expected XML ({expat.ErrorString(error.code)}, column {error.offset})"
            raise ParseError(self.tool, self._before + error.lineno, why) from None
        self._fed += len(encoded)

    def _fault(self, why: str) -> ParseError:
        return ParseError(self.tool, self._before + self.parser.CurrentLineNumber, why)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or self._depth >= DEEPEST:
            raise self._fault(f"expected at most {MOST_ELEMENTS} elements, nested {DEEPEST} deep")
        self.seen.append(Element(name.rpartition(":")[2], attributes, self._depth))
        self._depth += 1

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _doctype(self, _name: str, _system: Any, _public: Any, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise self._fault("a document type with declarations of its own: expected none")

    def _entity(self, *_declared: Any) -> None:
        raise self._fault("an entity is declared: expected none")


def elements(tool: str, text: str, roots: tuple[str, ...]) -> Iterator[Element]:
    """The elements in the order of their beginning.

    What stands before the XML declaration and behind the document (a tool's chatter) is passed over.  ParseError where
    the document is not well formed, or where its root is none of ``roots``.
    """
    start, before = _start_of(tool, text)
    reader = _Reader(tool, before)
    for at in range(start, len(text) + 1, _PIECE):
        reader.feed(text[at : at + _PIECE], at + _PIECE > len(text))
        for element in reader.seen:
            if element.depth == 0 and element.name not in roots:
                got = excerpt(element.name)
                raise ParseError(tool, before + 1, f"element {got}: expected {' or '.join(roots)}")
            yield element
        reader.seen.clear()
        if reader.has_ended:
            return


def _start_of(tool: str, text: str) -> tuple[int, int]:
    """Where the document begins, and how many lines stand before it."""
    start = text.find("<?xml")
    start = text.find("<") if start < 0 else start
    if start < 0:
        raise ParseError(tool, 1, f"{excerpt(text)}: expected XML")
    return start, text.count("\n", 0, start)
