"""XML from an untrusted source, parsed with expat without a tree.

A document may refer to a DTD, as those of Cobertura do, which is not loaded.  Declarations within the document, such as
entities ("billion laughs", external files), are refused.  Depth and number of elements are limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable
from xml.parsers import expat

from bbmeasure.errors import ParseError
from bbmeasure.units import excerpt

MAX_DEPTH = 100
MAX_ELEMENTS = 4_000_000
#: The size of the pieces that are passed to expat, which parses an unfinished attribute again for each piece.
_PIECE_SIZE = 256 * 1024


#: Function for a start tag: the name without a prefix, the attributes, and the depth, 0 for the root.
Handler = Callable[[str, Mapping[str, str], int], None]


class _Reader:
    """Parser that calls a handler with each start tag of a document."""

    def __init__(self, tool: str, before: int, roots: tuple[str, ...], handler: Handler) -> None:
        self.tool = tool
        self.has_ended = False
        self._roots = roots
        self._handler = handler
        self._before = before
        self._fed = 0
        self._depth = 0
        self._count = 0
        parser = expat.ParserCreate("utf-8")  # regardless of its declaration, as the text is decoded
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        self.parser = parser

    def feed(self, piece: str, is_last: bool) -> None:
        """Parse a piece; ParseError where it is not XML."""
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

    def _error(self, why: str) -> ParseError:
        return ParseError(self.tool, self._before + self.parser.CurrentLineNumber, why)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        depth = self._depth
        self._count += 1
        if self._count > MAX_ELEMENTS or depth >= MAX_DEPTH:
            raise self._error(f"expected at most {MAX_ELEMENTS} elements, nested {MAX_DEPTH} deep")
        local = name.rpartition(":")[2] if ":" in name else name
        if not depth and local not in self._roots:
            raise self._error(f"element {excerpt(local)}: expected {' or '.join(self._roots)}")
        self._depth = depth + 1
        self._handler(local, attributes, depth)

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _doctype(self, _name: str, _system: Any, _public: Any, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise self._error("document type with an internal subset: expected none")

    def _entity(self, *_declared: Any) -> None:
        raise self._error("entity declaration: expected none")


def read(tool: str, text: str, roots: tuple[str, ...], handler: Handler) -> None:
    """Call ``handler`` with each start tag in document order.

    Text before the XML declaration and after the document is ignored.  ParseError where the document is not
    well-formed, or its root is not one of ``roots``.
    """
    start, before = _start_of(tool, text)
    reader = _Reader(tool, before, roots, handler)
    for at in range(start, len(text) + 1, _PIECE_SIZE):
        reader.feed(text[at : at + _PIECE_SIZE], at + _PIECE_SIZE > len(text))
        if reader.has_ended:
            return


def _start_of(tool: str, text: str) -> tuple[int, int]:
    """The start of the document, and the number of lines before it."""
    start = text.find("<?xml")
    start = text.find("<") if start < 0 else start
    if start < 0:
        raise ParseError(tool, 1, f"{excerpt(text)}: expected XML")
    return start, text.count("\n", 0, start)
