"""The bundled counter of source lines: physical lines with more than blanks, comments and docstrings.

Strings, here documents, regex literals and nested templates are code, whatever they contain, and a comment that is
never closed is none.  In Python a docstring is any string that is a statement.  Other counters differ: sloccount
treats a string in double quotes at the beginning of a line as a comment, cloc and scc one in triple quotes, tokei none.

Files are read as bytes and not decoded: invalid encodings do not matter.
"""

from __future__ import annotations

import os
from typing import Dict, Optional, Sequence

from bbmeasure_scripts import file_walk, sloc_languages

#: The largest file that is counted, in bytes: larger ones are not written by people.
LARGEST_FILE = 16 * 1024 * 1024
#: A file with a NUL among so many first bytes is binary, as for git.
_BINARY_PREFIX = 8000
#: The longest first line that names an interpreter, in bytes.
_SHEBANG_PREFIX = 256


class Count:
    """Lines and files by language."""

    def __init__(self) -> None:
        self.lines: Dict[str, int] = {}
        self.files: Dict[str, int] = {}

    def add(self, language: str, lines: int) -> None:
        """Add one file."""
        self.lines[language] = self.lines.get(language, 0) + lines
        self.files[language] = self.files.get(language, 0) + 1


def count_tree(roots: Sequence[str], excluded: file_walk.Excluded, notes: file_walk.Notes) -> Count:
    """Count the source lines of all files of known languages below ``roots``."""
    count = Count()
    for folder, names, statuses in file_walk.walk(roots, excluded, notes):
        for name, status in zip(names, statuses):
            language = sloc_languages.by_name(name)
            if language is None and not sloc_languages.may_be_script(name):
                continue
            path = os.path.join(folder, name)
            if status.st_size > LARGEST_FILE:
                if language is not None:
                    notes.add(f"larger than {LARGEST_FILE >> 20} MiB", path)
                continue
            try:
                _count_file(path, language, count, notes)
            except OSError as error:
                file_walk.note_error(error, path, notes)
    return count


def _count_file(path: str, language: Optional[str], count: Count, notes: file_walk.Notes) -> None:
    by_line = sloc_languages.may_be_other(path)
    with open(path, "rb", buffering=0) as file:
        content = file.read(_SHEBANG_PREFIX if language is None or by_line else LARGEST_FILE) or b""
        if language is None or by_line:
            language = sloc_languages.by_first_line(content) or language
            if language is None:
                return
            content += file.read(LARGEST_FILE) or b""
    text = normalize(content)
    if b"\0" in text[:_BINARY_PREFIX]:
        notes.add("binary", path)
        return
    if text.startswith(b"<?xml"):
        notes.add("XML", path)
        return
    count.add(language, sloc_languages.SYNTAXES[language].count_lines(text))


def normalize(text: bytes) -> bytes:
    """Text with line feeds as line ends, without a byte order mark, and UTF-16 converted to UTF-8."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = text.decode("utf-16", "replace").encode("utf-8", "replace")
    elif text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
