"""Expands patterns and walks folders, for ``size`` and ``sloc``.

Symbolic links are not followed.  Files that vanish during the walk are left out; unreadable ones are counted.
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

#: Files of one folder: the folder, an iterable of their names, and the result of ``os.lstat`` for each.
Files = Tuple[str, Iterable[str], List[os.stat_result]]

#: The most files of one batch, which bounds the memory for a huge folder.
_BATCH_SIZE = 1000
_LINKS = attrgetter("st_nlink")
_NAME = attrgetter("name")
_BY_DESCRIPTOR = os.scandir in os.supports_fd
#: Whether names ignore case and paths have backslashes.
_WINDOWS = os.sep == "\\"
#: The reparse tag of a junction, a link to a folder of Windows that is_symlink() does not know.
_JUNCTION = 0xA0000003
#: The longest path that Windows finds, unless longer ones are enabled in its registry.
_LONGEST_WINDOWS_PATH = 259
_FOLDER = os.O_RDONLY
for _name in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER |= getattr(os, _name, 0)


class Notes:
    """Counts what a walk left out, by reason, with an example for each."""

    def __init__(self) -> None:
        self.counts: Dict[str, int] = {}
        self._examples: Dict[str, str] = {}

    def add(self, reason: str, path: str) -> None:
        """Count one path for ``reason``."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self._examples.setdefault(reason, path)

    def lines(self) -> List[str]:
        """A line for each reason, with its count and its first path."""
        return [f"{reason}: {count}, such as {self._examples[reason]}" for reason, count in self.counts.items()]


class Excluded:
    """Patterns of files and folders to leave out.

    A pattern with a ``/`` matches paths relative to the root of the walk, any other matches names.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        trimmed = [folded.rstrip("/") for folded in map(_folded, patterns) if folded.strip("/")]
        self._names = _any_of(pattern for pattern in trimmed if "/" not in pattern)
        self._paths = _any_of(pattern.lstrip("/") for pattern in trimmed if "/" in pattern)

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def matches(self, name: str, relative: str) -> bool:
        """Whether an entry is left out; ``relative`` is its path relative to the root, with ``/``."""
        if self._names is not None and self._names.match(_folded(name)):
            return True
        return self._paths is not None and bool(self._paths.match(_folded(relative)))


def _folded(path: str) -> str:
    """A path with ``/`` and without differences of case that the system ignores."""
    return path.lower().replace("\\", "/") if _WINDOWS else path


def _any_of(patterns: Iterator[str]) -> Optional[Pattern[str]]:
    translated = [_matcher(pattern).pattern for pattern in patterns]
    return re.compile("|".join(translated)) if translated else None


def _matcher(pattern: str) -> Pattern[str]:
    """The regular expression of a shell pattern; one that never matches for an invalid range such as ``[z-a]``."""
    try:
        return re.compile(fnmatch.translate(pattern))
    except re.error:  # up to Python 3.9
        return re.compile("(?!)")


def expand(pattern: str, notes: Notes) -> List[str]:
    """The paths of a pattern, sorted; the pattern itself if a file of that name exists.

    ``*``, ``?`` and ``[...]`` match within a name, ``**`` any number of folders.  As in a shell, names that begin with
    a dot match only if the pattern begins with one.
    """
    if os.path.lexists(pattern) or not _MAGIC.search(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    base, rest = os.path.splitdrive(pattern)
    parts = re.split(r"[\\/]+" if _WINDOWS else "/+", rest)
    if not parts[0]:
        base, parts = base + os.sep, parts[1:]
    while parts and not _MAGIC.search(parts[0]):
        base, parts = os.path.join(base, parts[0]), parts[1:]
    return sorted(set(_matches(base, [part for part in parts if part], notes)))


def expand_all(patterns: Sequence[str], notes: Notes) -> List[str]:
    """The paths of all patterns, in their order; a pattern without a path is noted."""
    roots: List[str] = []
    for pattern in patterns:
        paths = expand(pattern, notes)
        if not paths:
            notes.add("not found", pattern)
        roots.extend(paths)
    return roots


def _matches(base: str, parts: Sequence[str], notes: Notes) -> Iterator[str]:
    """The matching paths below ``base``; iterative, and visits each part of the pattern once in each folder."""
    waiting = [(base, 0)]
    seen = set(waiting)
    while waiting:
        folder, index = waiting.pop()
        if index == len(parts):
            yield folder
            continue
        new = [item for item in _match_part(folder, parts, index, notes) if item not in seen]
        seen.update(new)
        waiting.extend(new)


def _match_part(folder: str, parts: Sequence[str], index: int, notes: Notes) -> Iterator[Tuple[str, int]]:
    """The paths in a folder that match one part of a pattern, each with the index of the part to match next."""
    part, following = parts[index], index + 1
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
            yield os.path.join(folder, name), index if part == "**" and not is_last else following


def _entries(folder: str, notes: Notes) -> List[Tuple[str, bool]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return [(entry.name, _is_folder(entry)) for entry in entries]
    except OSError as error:
        note_error(error, folder, notes)
        return []


def note_error(error: OSError, path: str, notes: Notes) -> None:
    """Count a path that cannot be read; one that no longer exists is ignored.

    A path that is too long for Windows is one that it does not find.
    """
    too_long = _WINDOWS and len(os.path.abspath(path)) > _LONGEST_WINDOWS_PATH
    if too_long or not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        notes.add(f"unreadable ({error.strerror})", path)


def walk(roots: Sequence[str], excluded: Excluded, notes: Notes) -> Iterator[Files]:
    """All regular files below ``roots``, each once, even if roots overlap or files are hard links of each other.

    Yields batches of one folder: to yield each file costs a quarter more.
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
    """Whether a file was not seen before; always true where the system has no inode numbers."""
    key = (status.st_dev, status.st_ino)
    if status.st_ino and key in seen:
        return False
    seen.add(key)
    return True


def _walk_root(root: str, excluded: Excluded, notes: Notes) -> Iterator[Files]:
    try:
        status = os.lstat(root)
    except OSError as error:
        note_error(error, root, notes)
        return
    folder, name = os.path.split(os.path.normpath(root))
    if excluded and excluded.matches(name, name):
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk_folders(root, excluded, notes)
    elif stat.S_ISREG(status.st_mode):
        yield folder, [name], [status]
    else:
        notes.add("symbolic link, not followed" if stat.S_ISLNK(status.st_mode) else "not a regular file", root)


def _walk_folders(root: str, excluded: Excluded, notes: Notes) -> Iterator[Files]:
    """The files below ``root``; iterative, as folders may be nested deeper than the recursion limit."""
    folders: List[Tuple[str, str]] = [(root, "")]
    while folders:
        folder, relative = folders.pop()
        subfolders: List[str] = []
        try:
            for files in _scan(folder, relative, excluded, notes, subfolders):
                yield (folder, *files)
        except OSError as error:
            note_error(error, folder, notes)
        folders.extend((os.path.join(folder, name), f"{relative}{name}/") for name in subfolders)


def _scan(
    folder: str, relative: str, excluded: Excluded, notes: Notes, subfolders: List[str]
) -> Iterator[Tuple[Iterable[str], List[os.stat_result]]]:
    """The files of one folder, in batches; the names of its folders are appended to ``subfolders``.

    Scans a file descriptor where the system supports it, which makes each ``lstat`` a quarter cheaper, and loops in C,
    as most entries are files.
    """
    descriptor = os.open(folder, _FOLDER) if _BY_DESCRIPTOR else None
    try:
        with os.scandir(folder if descriptor is None else descriptor) as entries:
            while True:
                batch = list(islice(entries, _BATCH_SIZE))
                if not batch:
                    break
                if excluded:
                    batch = [entry for entry in batch if not excluded.matches(entry.name, relative + entry.name)]
                files = _files(folder, batch, notes, subfolders)
                yield _statuses(folder, files, notes)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _files(folder: str, entries: List[os.DirEntry[str]], notes: Notes, subfolders: List[str]) -> List[os.DirEntry[str]]:
    """The entries that are files; names of folders are appended to ``subfolders``, other entries are noted."""
    try:
        files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:  # the file system has no entry types, and lstat fails
        files = [entry for entry in entries if _is_file(entry)]
    if len(files) == len(entries):
        return files
    for entry in set(entries).difference(files):
        try:
            if _is_folder(entry):
                subfolders.append(entry.name)
            elif not entry.is_symlink() and not _is_junction(entry):
                notes.add("not a regular file", os.path.join(folder, entry.name))
        except OSError as error:
            note_error(error, os.path.join(folder, entry.name), notes)
    return files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, not a link to one: a link, or a junction on Windows, may be circular."""
    return entry.is_dir(follow_symlinks=False) and not _is_junction(entry)


def _is_junction(entry: os.DirEntry[str]) -> bool:
    return _WINDOWS and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == _JUNCTION


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file; False where lstat fails, which is noted when is_dir() fails too."""
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _statuses(folder: str, files: List[os.DirEntry[str]], notes: Notes) -> Tuple[Iterable[str], List[os.stat_result]]:
    """The names and statuses of files; those that no longer exist are left out.

    On Windows the status of an entry has no inode number and no number of links, which that of its path has.
    """
    try:
        return map(_NAME, files), list(map(_status_of_path if _WINDOWS else os.DirEntry.stat, files))
    except OSError:
        readable = []
    for entry in files:
        try:
            status = _status_of_path(entry) if _WINDOWS else entry.stat(follow_symlinks=False)
            readable.append((entry.name, status))
        except OSError as error:
            note_error(error, os.path.join(folder, entry.name), notes)
    return [name for name, _ in readable], [status for _, status in readable]


def _status_of_path(entry: os.DirEntry[str]) -> os.stat_result:
    return os.lstat(entry.path)
