"""The journals that a master has open: one a file, however many instances use it."""

from __future__ import annotations

from typing import Any

from bbmeasure.layer import Capture
from bbmeasure.storage.sqlite import SQLiteStorage

_ATTRIBUTE = "_bbmeasure_journals"


def _open(layer: Capture) -> dict[str, list[Any]]:
    """Journal and number of users, by path."""
    found: dict[str, list[Any]] = layer.__dict__.setdefault(_ATTRIBUTE, {})
    return found


def acquire(layer: Capture, reactor: Any, path: str) -> SQLiteStorage:
    """The journal of that file, opened if it is not yet."""
    entry = _open(layer).setdefault(path, [None, 0])
    if entry[0] is None:
        entry[0] = SQLiteStorage(path, reactor=reactor, close_limit=1.0)
    entry[1] += 1
    journal: SQLiteStorage = entry[0]
    return journal


def release(layer: Capture, journal: SQLiteStorage) -> bool:
    """One user less; whether it was the last, so that the journal has to be closed."""
    for path, entry in list(_open(layer).items()):
        if entry[0] is journal:
            entry[1] -= 1
            if entry[1] <= 0:
                del _open(layer)[path]
                return True
    return False
