"""Messages of linkers that have another form than those of compilers: GNU ld, gold, MSVC's link."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

#: What GNU ld prints for an error without the word: _bfd_error_handler and einfo in
#: https://sourceware.org/git/?p=binutils-gdb.git;a=blob;f=ld/ldmain.c
_ERRORS = re.compile(
    r"undefined reference to [`'\"]"
    r"|undefined reference to symbol "
    r"|(?:un)?defined symbol: "
    r"|multiple definition of [`'\"]"
    r"|cannot find (?:-l|\S)"
    r"|cannot open \S"
    r"|relocation truncated to fit: "
    r"|relocation \S+ against .* can ?not be used when making "
    r"|file (?:format )?not recognized"
    r"|file in wrong format"
    r"|error adding symbols: "
    r"|unrecognized option "
    r"|could not read symbols: "
    r"|dangerous relocation: "
)
#: Errors that directly follow the name of the linker, of GNU ld and Apple's ld.
_ERRORS_OF_PROGRAM = re.compile(
    r"symbol\(s\) not found for architecture "
    r"|(?:library|framework|file) (?:'[^']*' )?not found"
    r"|\d+ duplicate symbols? "
    r"|region [`'][^']*' overflowed by "
    r"|\S+ section [`'][^']*' will not fit in region "
    r"|section \S+ (?:VMA|LMA) .* overlaps section "
    r"|\S+ architecture of input file "
    r"|(?:hidden|internal|protected) symbol "
    r"|\S+: TLS (?:local|reference|definition) .* mismatches "
    r"|final link failed"
    r"|internal error "
)
#: The place of a linker: a section with an offset, or gold's function.
_SECTION = re.compile(r"(?P<file>.*?):?\((?P<section>[.*\w][^()\s]*\+0x[0-9a-f]+)\)\Z")
_FUNCTION = re.compile(r"(?P<file>[^\s:]\S*(?::\S+)?):function [^\n]{1,4000}\Z")

#: What GNU ld before version 2.35 writes without its name.
_LIBRARY = re.compile(r"(?P<place>\S+\.(?:o|so|a)(?:\.[\d.]+)?(?:\([^()\s]+\))?): undefined reference to [`'\"]")
_OBJECT = re.compile(r"\A\S+\.o(?:bj)?:(?=\S)")


class LinkerError(NamedTuple):
    """The place of an error of GNU ld that has no word for its severity; ``place`` is empty where there is none."""

    place: str


def error(line: str, after_program: Optional[str]) -> Optional[LinkerError]:
    """The error in a line of GNU ld: ``after_program`` is the line without ``ld: ``, None without that."""
    text = line if after_program is None else after_program
    if after_program is not None and (_ERRORS.match(after_program) or _ERRORS_OF_PROGRAM.match(after_program)):
        return LinkerError("")
    library = _LIBRARY.match(text)
    if library is not None:
        return LinkerError(library["place"])
    at = text.find(": ")
    while at > 0:
        if _ERRORS.match(text, at + 2) and (after_program is not None or _is_place(text[:at])):
            return LinkerError(text[:at])
        at = text.find(": ", at + 2)
    return None


def file_of(place: str) -> str:
    """The file in the place of a linker, ``t.c`` of ``t.c:(.text+0x24)``; empty where it is another place."""
    match = _SECTION.match(place) if place.endswith(")") else None
    if match is None and ":function " in place:
        match = _FUNCTION.match(place)
    return "" if match is None else without_object(match["file"].rpartition(": ")[2]) or "-"


def without_object(file: str) -> str:
    """The source file of ``ccXYZ.o:t.c`` in a temporary folder."""
    return _OBJECT.sub("", file, count=1)


def _is_place(place: str) -> bool:
    """Whether a line without the linker's name is nevertheless its own: it begins with a section or a source line."""
    return bool(file_of(place)) or re.match(r"\S[^:]*\.\w+:\d+\Z", place) is not None
