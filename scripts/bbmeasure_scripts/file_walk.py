"""Which files a path, a pattern or a folder means: what ``size`` and ``sloc`` walk.

Symbolic links are never followed.  What vanishes while it is walked is left out; what cannot be read is counted.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from itertools import compress, islice
from operator import attrgetter
from typing import Dict, Iterable, Iterator, List, Optional, Pattern, Sequence, Set, Tuple

_MAGIC = re.compile(r"[*?\[]")

#: Files of one folder: the folder, and for each file its name (to be read once) and what ``os.lstat`` says of it.
Files = Tuple[str, Iterable[str], List[os.stat_result]]

#: The most files that are handed on at once, so that a huge folder takes no huge memory.
_MOST = 1000
_LINKS = attrgetter("st_nlink")
_NAME = attrgetter("name")
_BY_DESCRIPTOR = os.scandir in os.supports_fd
_FOLDER = os.O_RDONLY
for _name in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER |= getattr(os, _name, 0)


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
    translated = [_matcher(pattern).pattern for pattern in patterns]
    return re.compile("|".join(translated)) if translated else None


def _matcher(pattern: str) -> Pattern[str]:
    """What matches the whole of a name as in a shell; nothing where a range is upside down, as ``[z-a]``."""
    try:
        return re.compile(fnmatch.translate(pattern))
    except re.error:  # up to Python 3.9; later ones match nothing too
        return re.compile("(?!)")


def expand(pattern: str, notes: Notes) -> List[str]:
    """The paths that ``pattern`` means: itself where it exists, else what it matches, sorted.

    ``*``, ``?`` and ``[...]`` match within a name, ``**`` any folders; names that begin with a dot only where the
    pattern does too, as in a shell.
    """
    if os.path.lexists(pattern) or not _MAGIC.search(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    base, rest = os.path.splitdrive(pattern)
    parts = re.split(r"[\\/]+" if os.sep == "\\" else "/+", rest)
    if not parts[0]:
        base, parts = base + os.sep, parts[1:]
    while parts and not _MAGIC.search(parts[0]):
        base, parts = os.path.join(base, parts[0]), parts[1:]
    return sorted(set(_matches(base, [part for part in parts if part], notes)))


def expand_all(patterns: Sequence[str], notes: Notes) -> List[str]:
    """The paths that all ``patterns`` mean, in their order; one that means none is noted."""
    roots: List[str] = []
    for pattern in patterns:
        found = expand(pattern, notes)
        if not found:
            notes.add("not found", pattern)
        roots.extend(found)
    return roots


def _matches(base: str, parts: Sequence[str], notes: Notes) -> Iterator[str]:
    """The paths below ``base``; a loop and no recursion, and each place of the pattern once in each folder."""
    waiting = [(base, 0)]
    seen = set(waiting)
    while waiting:
        folder, place = waiting.pop()
        if place == len(parts):
            yield folder
            continue
        new = [found for found in _step(folder, parts, place, notes) if found not in seen]
        seen.update(new)
        waiting.extend(new)


def _step(folder: str, parts: Sequence[str], place: int, notes: Notes) -> Iterator[Tuple[str, int]]:
    """Where one part of a pattern leads from a folder: paths, and the place of the part that is next there."""
    part, following = parts[place], place + 1
    is_last = following == len(parts)
    if not _MAGIC.search(part):
        path = os.path.join(folder, part)
        if os.path.lexists(path):
            yield path, following
        return
    if part == "**" and not is_last:
        yield folder, following
    matcher = _matcher(os.path.normcase("*" if part == "**" else part))
    for name, is_folder in _entries(folder, notes):
        hidden = name.startswith(".") and not part.startswith(".")
        if not hidden and matcher.match(os.path.normcase(name)) and (is_last or is_folder):
            yield os.path.join(folder, name), place if part == "**" and not is_last else following


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


def walk(roots: Sequence[str], excluded: Excluded, notes: Notes) -> Iterator[Files]:
    """Every regular file of ``roots``, each once also where roots overlap or names are hard links of one file.

    They come in lists, a folder or a part of one at a time: a generator that yields each file costs a quarter more.
    """
    seen: Set[Tuple[int, int]] = set()
    overlap = len(roots) > 1
    for root in roots:
        for folder, names, statuses in _walk_root(root, excluded, notes):
            if overlap or max(map(_LINKS, statuses), default=1) > 1:
                new = [_is_new(status, seen) for status in statuses]
                names, statuses = compress(names, new), list(compress(statuses, new))
            yield folder, names, statuses


def _is_new(status: os.stat_result, seen: Set[Tuple[int, int]]) -> bool:
    """Whether a file was not there before; one whose system numbers no files is taken as new."""
    key = (status.st_dev, status.st_ino)
    if status.st_ino and key in seen:
        return False
    seen.add(key)
    return True


def _walk_root(root: str, excluded: Excluded, notes: Notes) -> Iterator[Files]:
    try:
        status = os.lstat(root)
    except OSError as error:
        note(error, root, notes)
        return
    folder, name = os.path.split(os.path.normpath(root))
    if excluded and excluded.matches(name, name):
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk_folders(root, excluded, notes)
    elif stat.S_ISREG(status.st_mode):
        yield folder, [name], [status]
    else:
        notes.add("not followed, a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file", root)


def _walk_folders(root: str, excluded: Excluded, notes: Notes) -> Iterator[Files]:
    """The files below ``root``; a loop and no recursion, as folders nest deeper than Python calls."""
    folders: List[Tuple[str, str]] = [(root, "")]
    while folders:
        folder, below = folders.pop()
        within: List[str] = []
        try:
            for files in _scan(folder, below, excluded, notes, within):
                yield (folder, *files)
        except OSError as error:
            note(error, folder, notes)
        folders.extend((os.path.join(folder, name), f"{below}{name}/") for name in within)


def _scan(
    folder: str, below: str, excluded: Excluded, notes: Notes, within: List[str]
) -> Iterator[Tuple[Iterable[str], List[os.stat_result]]]:
    """The files of one folder, in parts; the names of the folders in it are added to ``within``.

    Through a descriptor where the system can, which makes each ``lstat`` a quarter cheaper; and in loops in C, as most
    entries of most folders are files.
    """
    descriptor = os.open(folder, _FOLDER) if _BY_DESCRIPTOR else None
    try:
        with os.scandir(folder if descriptor is None else descriptor) as entries:
            while True:
                part = list(islice(entries, _MOST))
                if not part:
                    break
                if excluded:
                    part = [entry for entry in part if not excluded.matches(entry.name, below + entry.name)]
                files = _files(folder, part, notes, within)
                yield _states(folder, files, notes)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _files(folder: str, entries: List[os.DirEntry[str]], notes: Notes, within: List[str]) -> List[os.DirEntry[str]]:
    """Those of the entries that are files; the names of folders are added to ``within``, all else is noted."""
    try:
        files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:  # a file system that tells no types, and a state that cannot be had
        files = [entry for entry in entries if _is_file(entry)]
    if len(files) == len(entries):
        return files
    for entry in set(entries).difference(files):
        try:
            if entry.is_dir(follow_symlinks=False):
                within.append(entry.name)
            elif not entry.is_symlink():
                notes.add("no regular file", os.path.join(folder, entry.name))
        except OSError as error:
            note(error, os.path.join(folder, entry.name), notes)
    return files


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file; one that cannot be asked is none, and is noted when it is asked for a folder."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _states(folder: str, files: List[os.DirEntry[str]], notes: Notes) -> Tuple[Iterable[str], List[os.stat_result]]:
    """The names and states of entries that are files; those that are gone are left out."""
    try:
        return map(_NAME, files), list(map(os.DirEntry.stat, files))
    except OSError:
        kept = []
    for entry in files:
        try:
            kept.append((entry.name, entry.stat(follow_symlinks=False)))
        except OSError as error:
            note(error, os.path.join(folder, entry.name), notes)
    return [name for name, _ in kept], [status for _, status in kept]
