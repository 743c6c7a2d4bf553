"""Which files a path, a pattern or a folder means: what ``size`` and ``sloc`` walk.

Symbolic links are never followed.  What vanishes while it is walked is left out; what cannot be read is counted.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from typing import Dict, Iterator, List, Optional, Pattern, Sequence, Set, Tuple

_MAGIC = re.compile(r"[*?\[]")

#: A file as it was found: its path and what ``os.lstat`` says of it.
Found = Tuple[str, os.stat_result]


class Notes:
    """What a walk could not take, by reason; and a few names for each, for people."""

    def __init__(self) -> None:
        self.counts: Dict[str, int] = {}
        self._examples: Dict[str, str] = {}

    def add(self, reason: str, path: str) -> None:
        """Count one more for ``reason``."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self._examples.setdefault(reason, path)

    def lines(self) -> List[str]:
        """A line for each reason: how many, and the first of them."""
        return [f"{self.counts[reason]} {reason}, such as {self._examples[reason]}" for reason in self.counts]


class Excluded:
    """The patterns that leave files and folders out.

    A pattern with a ``/`` is matched with the path below the root that is walked, any other with the name alone.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        trimmed = [pattern.rstrip("/") for pattern in patterns if pattern.strip("/")]
        self._names = _either(pattern for pattern in trimmed if "/" not in pattern)
        self._paths = _either(pattern.lstrip("/") for pattern in trimmed if "/" in pattern)

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def matches(self, name: str, below: str) -> bool:
        """Whether an entry ``name`` is left out; ``below`` is its path below the root, with ``/``."""
        if self._names is not None and self._names.match(name):
            return True
        return self._paths is not None and bool(self._paths.match(below))


def _either(patterns: Iterator[str]) -> Optional[Pattern[str]]:
    translated = [fnmatch.translate(pattern) for pattern in patterns]
    return re.compile("|".join(translated)) if translated else None


def expand(pattern: str, notes: Notes) -> List[str]:
    """The paths that ``pattern`` means: itself where it exists, else what it matches, sorted.

    ``*``, ``?`` and ``[...]`` match within a name, ``**`` any folders; names that begin with a dot only where the
    pattern does too, as in a shell.
    """
    if os.path.lexists(pattern) or not _MAGIC.search(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    parts = re.split(r"[\\/]+" if os.sep == "\\" else "/+", pattern)
    base = ""
    if not parts[0]:
        base, parts = os.sep, parts[1:]
    while parts and not _MAGIC.search(parts[0]):
        base, parts = os.path.join(base, parts[0]), parts[1:]
    return sorted(set(_matches(base, [part for part in parts if part], notes)))


def _matches(base: str, parts: Sequence[str], notes: Notes) -> Iterator[str]:
    if not parts:
        yield base
        return
    head, rest = parts[0], parts[1:]
    if not _MAGIC.search(head):
        path = os.path.join(base, head)
        if os.path.lexists(path):
            yield from _matches(path, rest, notes)
        return
    if head == "**" and rest:
        yield from _matches(base, rest, notes)
    matcher = re.compile(fnmatch.translate(os.path.normcase("*" if head == "**" else head)))
    for name, is_folder in _entries(base, notes):
        hidden = name.startswith(".") and not head.startswith(".")
        if hidden or not matcher.match(os.path.normcase(name)) or (rest and not is_folder):
            continue
        deeper = parts if head == "**" and rest else rest
        yield from _matches(os.path.join(base, name), deeper, notes)


def _entries(folder: str, notes: Notes) -> List[Tuple[str, bool]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        note(error, folder, notes)
        return []


def note(error: OSError, path: str, notes: Notes) -> None:
    """Count what an error keeps from us; what has vanished is no longer there to be missed."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        notes.add(f"unreadable ({error.strerror})", path)


def walk(roots: Sequence[str], excluded: Excluded, notes: Notes) -> Iterator[Found]:
    """Every regular file of ``roots``, each once also where roots overlap or names are hard links of one file."""
    seen: Set[Tuple[int, int]] = set()
    overlap = len(roots) > 1
    for root in roots:
        for path, status in _walk_root(root, excluded, notes):
            if overlap or status.st_nlink > 1:
                key = (status.st_dev, status.st_ino)
                if status.st_ino and key in seen:
                    continue
                seen.add(key)
            yield path, status


def _walk_root(root: str, excluded: Excluded, notes: Notes) -> Iterator[Found]:
    try:
        status = os.lstat(root)
    except OSError as error:
        note(error, root, notes)
        return
    name = os.path.basename(os.path.normpath(root))
    if excluded and excluded.matches(name, name):
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk_folder(root, excluded, notes)
    elif stat.S_ISREG(status.st_mode):
        yield root, status
    else:
        notes.add("not followed, a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file", root)


def _walk_folder(root: str, excluded: Excluded, notes: Notes) -> Iterator[Found]:
    """The regular files below ``root``; a loop and no recursion, as folders nest deeper than Python calls."""
    folders: List[Tuple[str, str]] = [(root, "")]
    while folders:
        folder, below = folders.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            note(error, folder, notes)
            continue
        with entries:
            for entry in entries:
                if excluded and excluded.matches(entry.name, below + entry.name):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, below + entry.name + "/"))
                        continue
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    note(error, entry.path, notes)
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, status
                elif not stat.S_ISLNK(status.st_mode):
                    notes.add("no regular file", entry.path)
