"""SpoolFile: what a stopping master could not write to its journal, in a file beside it, for the next start.

Each line of ``PATH.spool`` is a word and a JSON value: ``point``, ``state`` (running totals) or ``declare``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import schema
from bbmeasure.storage.sqlite.point_json import decode_point, encode_point
from bbmeasure.storage.validation import check_point

_FORMAT = "bbmeasure-spool 1"
_MAX_BYTES = 2**31


class Declaration(NamedTuple):
    """A declaration of a series of one builder, see :meth:`~bbmeasure.storage.base.CaptureStorage.declare`."""

    info: SeriesInfo
    override: bool = False
    override_unit: bool = False
    proposed: bool = False


@dataclass
class Unwritten:
    """Declarations, points and running totals in the order of their arrival; a later total replaces an earlier one."""

    declarations: list[Declaration] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    state: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.declarations or self.points or self.state)

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        yield _FORMAT
        for info, *overrides in self.declarations:
            fields = (info.name, info.kind.value, info.unit, info.better.value, list(info.builders))
            yield f"declare {json.dumps([*fields, *overrides], ensure_ascii=False)}"
        for point in self.points:
            yield f"point {encode_point(point)}"
        if self.state:
            yield f"state {json.dumps(self.state, ensure_ascii=False)}"

    def add(self, line: str) -> None:
        """Add what a line holds; raises an exception for any other line."""
        word, _, text = line.partition(" ")
        if word == "point":
            point = decode_point(text)
            check_point(point)
            self.points.append(point)
        elif word == "state":
            self.state.update((str(key), float(value)) for key, value in json.loads(text).items())
        elif word == "declare":
            name, kind, unit, better, builders, *overrides = json.loads(text)
            info = SeriesInfo(name, Kind(kind), unit, Direction(better), tuple(builders))
            self.declarations.append(Declaration(info, *map(bool, overrides)))
        else:
            raise ValueError(f"unknown word {word[:20]!r}")


class SpoolFile:
    """The file ``PATH.spool``; for the writer's thread, as all methods block."""

    def __init__(self, path: schema.Path) -> None:
        self.path = f"{os.fspath(path)}.spool"
        #: The number of lines that could not be read.
        self.unreadable = 0
        self._refused = False

    def save(self, unwritten: Unwritten) -> None:
        """Replace the content, synced; raises StorageUnavailableError where the file cannot be written.

        A file that :meth:`load` refused is kept as ``PATH.spool.bad``.
        """
        new = f"{self.path}.new"
        try:
            with open(new, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in unwritten.lines())
                file.flush()
                os.fsync(file.fileno())
            if self._refused:
                os.replace(self.path, f"{self.path}.bad")
            os.replace(new, self.path)
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise StorageUnavailableError(f"{self.path}: {error}") from error

    def load(self) -> Unwritten:
        """The content, empty where there is no file; :attr:`unreadable` lines are left out.

        Raises StorageError for a file of another format, and where it cannot be read.
        """
        unwritten = Unwritten()
        self._refused = True
        try:
            with open(self.path, encoding="utf-8", errors="replace", newline="\n") as file:
                if os.fstat(file.fileno()).st_size > _MAX_BYTES or file.readline(100).rstrip("\n") != _FORMAT:
                    raise StorageError(f"{self.path}: expected the line {_FORMAT!r}; it was left as it is")
                for line in file:
                    self._add(unwritten, line.rstrip("\n"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageError(f"{self.path}: {error}") from error
        self._refused = False
        return unwritten

    def _add(self, unwritten: Unwritten, line: str) -> None:
        try:
            unwritten.add(line)
        except Exception:  # noqa: BLE001  (counted, and the file is kept)
            self.unreadable += 1

    def remove(self) -> None:
        """Remove the file, whose content is in the journal now; with unreadable lines keep it as ``PATH.spool.bad``."""
        with contextlib.suppress(FileNotFoundError):
            if self.unreadable:
                os.replace(self.path, f"{self.path}.bad")
            else:
                os.unlink(self.path)
