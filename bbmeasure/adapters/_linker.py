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
    r"|symbol\(s\) not found for architecture "
)
#: The place of a linker: a section with an offset, or gold's function.
_SECTION = re.compile(r"(?P<file>.*?):?\((?P<section>[.*\w][^()\s]*\+0x[0-9a-f]+)\)\Z")
_FUNCTION = re.compile(r"(?P<file>[^\s:]\S*(?::\S+)?):function [^\n]{1,4000}\Z")

_OBJECT = re.compile(r"\A\S+\.o(?:bj)?:(?=\S)")


class LinkerError(NamedTuple):
    """The place of an error of GNU ld that has no word for its severity; ``place`` is empty where there is none."""

    place: str


def error(line: str, after_program: Optional[str]) -> Optional[LinkerError]:
    """The error in a line of GNU ld: ``after_program`` is the line without ``ld: ``, None without that."""
    text = line if after_program is None else after_program
    if after_program is not None and _ERRORS.match(after_program):
        return LinkerError("")
    at = text.find(": ")
    while at > 0:
        if _ERRORS.match(text, at + 2) and (after_program is not None or _is_place(text[:at])):
            return LinkerError(text[:at])
        at = text.find(": ", at + 2)
    return None


def file_of(place: str) -> str:
    """The file in the place of a linker, ``t.c`` of ``t.c:(.text+0x24)``; empty where it is another place."""
    for pattern in (_SECTION, _FUNCTION):
        match = pattern.match(place)
        if match is not None:
            return without_object(match["file"].rpartition(": ")[2]) or "-"
    return ""


def without_object(file: str) -> str:
    """The source file of ``ccXYZ.o:t.c`` in a temporary folder."""
    return _OBJECT.sub("", file, count=1)


def _is_place(place: str) -> bool:
    """Whether a line without the linker's name is nevertheless its own: it begins with a section or a source line."""
    return bool(file_of(place)) or re.match(r"\S[^:]*\.\w+:\d+\Z", place) is not None
